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
Makes the calibration motion through control_node and records what comes of it.

Every command goes through control_node, with its limits, gates and stops; this node only sends
chunks as a policy does, and disarms whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock, Thread
import time
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import ActionChunk, FloatArray, RobotState
from faster_ros.nodes import conversions, images, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.calibration_motion import CalibrationMotion
from faster_ros.runtime.latency_calibration import CalibrationRecording
import numpy as np
import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

_GREY_SIZE = 80, 60  # pixels; small images are compared quicker and have less noise
_ANSWER_S = 20.0
_HOLD_ROWS = 50
_HOLD_STEP_NS = 100_000_000


class CalibrationFault(RuntimeError):
    """The motion could not be made; the text says why."""


class CalibrationClient:
    """A node of its own, spun in a thread; ``close`` ends it."""

    def __init__(self, spec: RobotSpec) -> None:
        rclpy.init()
        self._spec = spec
        self._lock = Lock()
        self._state: RobotState | None = None
        self._status: dict[str, str] = {}
        self._recording: CalibrationRecording | None = None
        node = self._node = Node('latency_calibration')
        self._chunks = node.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        node.create_subscription(JointState, spec.state_topic, self._on_state, qos.HISTORY)
        node.create_subscription(DiagnosticStatus, 'control_node/status', self._on_status,
                                 qos.STATUS)
        for name, camera in spec.cameras.items():
            node.create_subscription(Image, camera.topic, partial(self._on_image, name),
                                     qos.CAMERA)
        self._arm: Client[Any, Any] = node.create_client(SetBool, 'control_node/arm')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._closing = False
        self._thread = Thread(target=self._spin, name='calibration', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Disarm, disconnect and end the thread."""
        try:
            if self._status.get('mode', 'disarmed') != 'disarmed':
                self._call(False)
        finally:
            self._closing = True
            self._thread.join(5.0)
            self._node.destroy_node()
            rclpy.try_shutdown()

    def positions(self) -> FloatArray:
        """Return the measured joints (D,) once they and control_node are there."""
        self._wait(lambda: self._state is not None,
                   f'no joint state on {self._spec.state_topic}')
        self._wait(lambda: bool(self._status),
                   'no control_node/status; start control_node, and no policy')
        assert self._state is not None
        return self._state.positions

    def publishers_of_chunks(self) -> int:
        """Return how many other nodes publish chunks."""
        return self._node.count_publishers('policy/chunk') - 1

    def make(self, motion: CalibrationMotion) -> CalibrationRecording:
        """Arm, make the motion, disarm; raises CalibrationFault when the arm holds."""
        answer = self._call(True)
        if not answer.success:
            raise CalibrationFault(f'control_node does not arm: {answer.message}')
        held = self.positions()
        # The first chunk begins when it comes, so that the second one is due by its times.
        hold = ActionChunk(self._now_ns(), _HOLD_STEP_NS, np.tile(held, (_HOLD_ROWS, 1)),
                           self._spec.joint_names)
        self._chunks.publish(conversions.chunk_to_message(hold))
        self._wait(self._moves, 'the arm does not start')
        chunk = motion.chunk(self._now_ns(), held)
        with self._lock:
            recording = self._recording = CalibrationRecording(chunk)
        self._chunks.publish(conversions.chunk_to_message(chunk))
        end = time.monotonic() + motion.duration_s
        while time.monotonic() < end:
            time.sleep(0.05)
            status = self._status
            if status.get('mode') != 'running':
                raise CalibrationFault(
                    f"the arm holds: {status.get('detail') or status.get('mode')}")
        with self._lock:
            self._recording = None
        self._call(False)
        return recording

    def _moves(self) -> bool:
        """Tell whether control_node follows a chunk; what it said before it armed does not."""
        status = self._status
        return status.get('mode') == 'running' and status.get('waiting') == 'false'

    def _call(self, value: bool) -> SetBool.Response:
        if not self._arm.wait_for_service(_ANSWER_S):
            raise CalibrationFault('control_node/arm is not there')
        call = self._arm.call_async(SetBool.Request(data=value))
        self._wait(call.done, 'no answer of control_node/arm')
        return call.result()

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _ANSWER_S
        while not condition():
            detail = self._status.get('detail', '')
            if time.monotonic() > deadline or self._status.get('mode') == 'holding':
                raise CalibrationFault(f'{what}{f": {detail}" if detail else ""}')
            time.sleep(0.02)

    def _spin(self) -> None:
        while not self._closing:
            self._executor.spin_once(timeout_sec=0.05)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._status = values_of(message)

    def _on_state(self, message: JointState) -> None:
        try:
            state = self._state = conversions.state_from_message(message, self._spec)
        except ValueError:
            return  # of another publisher on this topic; control_node says what is wrong
        with self._lock:
            if self._recording is not None:
                self._recording.states.append(state)
                self._recording.delays.append((self._now_ns() - state.stamp_ns) * 1e-9)

    def _on_image(self, name: str, message: Any) -> None:
        with self._lock:
            if self._recording is None:
                return
            camera = self._spec.cameras[name]
            pixels = images.image_to_rgb(message, camera.width, camera.height)
            small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), _GREY_SIZE,
                               interpolation=cv2.INTER_AREA)
            self._recording.images.setdefault(name, []).append(
                (conversions.to_ns(message.header.stamp), np.asarray(small, np.uint8)))
