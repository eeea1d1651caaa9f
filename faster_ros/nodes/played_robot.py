# Copyright 2026 the faster_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""
PlayedRobot: a robot of several arms and cameras that moves all the time, for recorder_node.

Each image has its number in its pixels, and what was published is kept by its stamps, so that what
was recorded can be compared with it. Cameras are triggered apart by a known time and deliver late.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
import sys
from threading import Event, Thread
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.nodes.paced_thread import PacedThread
from faster_ros.robot_spec import RobotSpec
import numpy as np
from numpy.typing import NDArray
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import Trigger

CAMERA_HZ = 30.0
_COMMAND_HZ = 100.0
_STATE_HZ, _DRIFT = 200.0, 1.0025  # each arm has a clock of its own, faster than the one before
SKEW_NS = 7_000_000  # from one camera's trigger to the next one's
_LATE_NS = 40_000_000  # from trigger to delivery
_BITS, _BLOCK, _PICTURES = 16, 32, 30
PATIENCE_S = 240.0


class PlayedRobot:
    """Cameras, arms and commands of a robot that moves all the time."""

    def __init__(self, spec: RobotSpec) -> None:
        self._spec = spec
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        node = self.node = Node('recorder_benchmark', context=self._context)
        self.status: dict[str, str] = {}
        self.arms = tuple(spec.parts)
        self.published: dict[str, list[int]] = {name: [] for name in spec.cameras}
        self.spoken: dict[str, list[int]] = {topic: [] for topic in spec.state_topics}
        self._images = {name: node.create_publisher(Image, camera.topic, qos.STATUS)
                        for name, camera in spec.cameras.items()}
        self._commands = node.create_publisher(JointState, 'control_node/command', qos.COMMAND)
        node.create_subscription(DiagnosticStatus, 'recorder_node/status',
                                 lambda message: self.status.update(values_of(message)), 10)
        self._pictures = _pictures(spec)
        self._clock_ns = node.get_clock().now().nanoseconds - time.monotonic_ns()
        self._closing = Event()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._threads = [
            PacedThread(CAMERA_HZ, self._send_images, _fail),
            PacedThread(_COMMAND_HZ, self._send_command, _fail),
            *(PacedThread(_STATE_HZ * _DRIFT ** place, self._arm(arm, part), _fail)
              for place, (arm, part) in enumerate(spec.parts.values()))]
        self._spinner = Thread(target=self._spin, daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._spinner.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        for thread in self._threads:
            thread.stop()
        self._closing.set()
        self._spinner.join(5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def call(self, name: str) -> tuple[str, float]:
        """Call a service of recorder_node; returns what it says and the seconds that it took."""
        client: Any = self.node.create_client(Trigger, f'recorder_node/{name}')
        if not client.wait_for_service(PATIENCE_S):
            raise ValueError(f'recorder_node/{name} is not there')
        begin = time.monotonic()
        answer = client.call_async(Trigger.Request())
        while not answer.done() and time.monotonic() < begin + PATIENCE_S:
            time.sleep(0.002)
        seconds = time.monotonic() - begin
        if not answer.done() or not answer.result().success:
            raise ValueError(f'recorder_node/{name}: '
                             f'{answer.result().message if answer.done() else "no answer"}')
        return str(answer.result().message), seconds

    def _spin(self) -> None:
        while not self._closing.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def _joints(self, now_ns: int) -> NDArray[np.float64]:
        swing = 0.2 * np.sin(now_ns * 1e-9 + np.arange(len(self._spec.joint_names)))
        return np.asarray(self._spec.home_positions + swing * self._spec.arm_mask)

    def _send_images(self, due_ns: int) -> None:
        # A camera is triggered by its own clock, however late this thread hands its image over.
        now_ns = due_ns + self._clock_ns - _LATE_NS
        for place, (name, camera) in enumerate(self._spec.cameras.items()):
            stamps = self.published[name]
            message = Image(height=camera.height, width=camera.width, encoding='rgb8',
                            step=3 * camera.width)
            message.data = array('B', _numbered(self._pictures[len(stamps) % _PICTURES],
                                                len(stamps)).tobytes())
            stamps.append(now_ns + place * SKEW_NS)
            message.header.stamp = conversions.to_time(stamps[-1])
            self._images[name].publish(message)

    def _arm(self, arm: RobotSpec, part: slice) -> Callable[[int], None]:
        """Return what publishes the joint states of an arm."""
        publisher = self.node.create_publisher(JointState, arm.state_topic, qos.STATUS)
        names, spoken = list(arm.driver_joint_names), self.spoken[arm.state_topic]

        def send(_: int) -> None:
            now_ns = self.node.get_clock().now().nanoseconds
            joints = self._joints(now_ns)[part]
            message = JointState(name=names, position=array('d', joints),
                                 velocity=array('d', joints * 0.0))
            message.header.stamp = conversions.to_time(now_ns)
            spoken.append(now_ns)
            publisher.publish(message)

        return send

    def _send_command(self, _: int) -> None:
        now_ns = self.node.get_clock().now().nanoseconds
        message = JointState(name=list(self._spec.action_names))
        message.position = array('d', self._joints(now_ns))
        message.header.stamp = conversions.to_time(now_ns)
        self._commands.publish(message)


def _fail(error: Exception) -> None:
    print(f'publishing failed: {error!r}', file=sys.stderr)


def _pictures(spec: RobotSpec) -> list[NDArray[np.uint8]]:
    """Return smooth pictures that move, as a camera on an arm sees them."""
    camera = next(iter(spec.cameras.values()))
    rows, columns = np.mgrid[0:camera.height, 0:camera.width]
    waves = [np.sin(0.03 * columns + 0.02 * rows * (1 + channel)
                    + 2 * np.pi * step / _PICTURES)
             for step in range(_PICTURES) for channel in range(3)]
    noise = np.random.default_rng(0).normal(0, 4, rows.shape)
    grey = [np.clip(128 + 80 * wave + noise, 0, 255).astype(np.uint8) for wave in waves]
    return [np.stack(grey[3 * step:3 * step + 3], axis=2) for step in range(_PICTURES)]


def _numbered(picture: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Return a picture with the bits of ``number`` as black and white blocks on top."""
    image = picture.copy()
    for bit in range(_BITS):
        image[:_BLOCK, bit * _BLOCK:(bit + 1) * _BLOCK] = 255 * (number >> bit & 1)
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """Return the number that ``_numbered`` has put into an image."""
    inner = slice(_BLOCK // 4, 3 * _BLOCK // 4)
    bits = [image[inner, bit * _BLOCK:(bit + 1) * _BLOCK][:, inner].mean() > 127
            for bit in range(_BITS)]
    return sum(1 << place for place, bit in enumerate(bits) if bit)
