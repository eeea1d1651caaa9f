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
The simulated cameras: one thread that renders the frames that the physics exposed.

An image carries the ROS time of the physics state that it shows, whenever it is delivered. Nothing
is rendered, packed or compressed for a topic that nobody subscribes to. Used by sim_node.
"""

from __future__ import annotations

import array
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
import sched
import threading
import time
from typing import Any

import cv2
from faster_ros.interfaces import ImageArray
from faster_ros.nodes.conversions import to_time
from faster_ros.nodes.polling import NO_PUBLISHER_EVENTS
from faster_ros.robot_spec import CameraSpec
from faster_ros.sim.real_time import RealTimeSimulation
from faster_ros.sim.simulator import CameraRenderer, Simulator
import mujoco
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

_JPEG_QUALITY = 85
_LOOK_S = 0.1  # how often a thread without frames looks whether it shall end
_DELIVERY_S = 0.001  # how often late images are looked for
_QOS = QoSProfile(depth=2)  # reliable, as RealSense and Orbbec drivers offer it


@dataclass(frozen=True)
class CameraSettings:
    """
    Rates in Hz and size in pixels of all cameras; 0 takes what the robot file says.

    ``offsets_s``: how long after the trigger each camera is exposed; ``delays_s``: how much later
    than it could be its image is published. One number is of all cameras.
    """

    rate_hz: float = 0.0
    compressed_rate_hz: float = 0.0
    width: int = 0
    height: int = 0
    offsets_s: tuple[float, ...] = (0.0,)
    delays_s: tuple[float, ...] = (0.0,)


class CameraStreams:
    """All cameras of a simulation as topics, triggered at one instant."""

    def __init__(
        self,
        node: Node,
        simulator: Simulator,
        simulation: RealTimeSimulation,
        settings: CameraSettings,
    ) -> None:
        self._simulator = simulator
        self._simulation = simulation
        cameras = {
            name: replace(
                camera,
                width=settings.width or camera.width,
                height=settings.height or camera.height,
            )
            for name, camera in simulator.spec.cameras.items()
        }
        self._rate_hz = settings.rate_hz or max(camera.rate_hz for camera in cameras.values())
        share = settings.compressed_rate_hz / self._rate_hz if settings.compressed_rate_hz else 1.0
        self._streams = [
            _CameraStream(node, simulator, name, camera, min(share, 1.0))
            for name, camera in cameras.items()
        ]
        offsets = _for_each('camera_offsets', settings.offsets_s, len(cameras))
        self._delays_s = _for_each('camera_delays', settings.delays_s, len(cameras))
        self._offsets_s = sorted(set(offsets))
        self._shutters = [
            [place for place, own in enumerate(offsets) if own == offset]
            for offset in self._offsets_s
        ]
        self._context = node.context
        self._deliveries = sched.scheduler(time.monotonic)
        self.summary = ', '.join(
            f'{name} {camera.width}x{camera.height} at {self._rate_hz:g} Hz on {camera.topic}'
            for name, camera in cameras.items()
        )
        self.frame_count = 0
        self.failure: BaseException | None = None
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, name='cameras', daemon=True)]
        if any(self._delays_s):
            self._threads.append(
                threading.Thread(target=self._deliver, name='deliveries', daemon=True)
            )

    def start(self) -> None:
        """Start the camera thread, and one that delivers late if there are delays."""
        self._simulation.trigger_cameras(self._rate_hz, self._offsets_s)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads and wait for them."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=2.0)

    def _run(self) -> None:
        renderers: dict[tuple[int, int], CameraRenderer] = {}
        try:
            for stream in self._streams:
                if stream.size not in renderers:
                    renderers[stream.size] = CameraRenderer(self._simulator, *stream.size)
            self._render_frames(renderers)
        except BaseException as error:  # handed to the node, which ends with it
            self.failure = error
        finally:
            for renderer in renderers.values():
                renderer.close()

    def _render_frames(self, renderers: dict[tuple[int, int], CameraRenderer]) -> None:
        data = mujoco.MjData(self._simulator.model)
        while not self._stopping.is_set():
            for shutter, places in enumerate(self._shutters):
                stamp_ns = self._simulation.next_frame(data, _LOOK_S, shutter)
                if stamp_ns is None:
                    break
                for place in places:
                    stream = self._streams[place]
                    for publisher, message in stream.see(renderers[stream.size], data, stamp_ns):
                        self._send(publisher, message, self._delays_s[place])
            else:
                self.frame_count += 1

    def _send(self, publisher: Publisher[Any], message: Any, delay_s: float) -> None:
        if delay_s:
            self._deliveries.enter(delay_s, 0, publisher.publish, (message,))
        elif self._context.ok():
            publisher.publish(message)

    def _deliver(self) -> None:
        try:
            while not self._stopping.wait(_DELIVERY_S) and self._context.ok():
                self._deliveries.run(blocking=False)
        except BaseException as error:  # handed to the node, which ends with it
            self.failure = error


def _for_each(name: str, values: tuple[float, ...], cameras: int) -> tuple[float, ...]:
    if len(values) not in (1, cameras):
        raise ValueError(f'parameter {name!r} of sim_node: expected one number or one for each of '
                         f'{cameras} cameras, got {list(values)}')
    return values if len(values) == cameras else values * cameras


class _CameraStream:
    """One camera: its image, compressed image and camera_info topics."""

    def __init__(
        self,
        node: Node,
        simulator: Simulator,
        name: str,
        camera: CameraSpec,
        compressed_share: float,
    ) -> None:
        """``compressed_share``: of all images, the part that is compressed too."""
        self._name = name
        self._camera = camera
        self._compressed_share = compressed_share
        self._compressed_due = 0.0
        self.size = (camera.width, camera.height)
        topics = {
            Image: camera.topic,
            CompressedImage: f'{camera.topic}/compressed',
            CameraInfo: camera.topic.rsplit('/', 1)[0] + '/camera_info',
        }
        self._raw, self._compressed, self._info = (
            node.create_publisher(kind, topic, _QOS, event_callbacks=NO_PUBLISHER_EVENTS)
            for kind, topic in topics.items()
        )
        self._info_message = _camera_info(simulator, name, camera)

    def see(self, renderer: CameraRenderer, data: mujoco.MjData, stamp_ns: int
            ) -> Iterator[tuple[Publisher[Any], Any]]:
        """Render the state in ``data``; hand out the messages that somebody listens to."""
        raw, compressed, info = (
            publisher.get_subscription_count() > 0
            for publisher in (self._raw, self._compressed, self._info)
        )
        compressed = compressed and self._is_compressed_due()
        header = Header(stamp=to_time(stamp_ns), frame_id=self._camera.frame)
        image = renderer.render(self._name, data) if raw or compressed else None
        if raw and image is not None:
            yield self._raw, _raw_message(image, header)
        if compressed and image is not None:
            yield self._compressed, _compressed_message(image, header)
        if info:
            message = copy(self._info_message)  # one may be delivered after the next is made
            message.header = header
            yield self._info, message

    def _is_compressed_due(self) -> bool:
        self._compressed_due += self._compressed_share
        if self._compressed_due < 1.0:
            return False
        self._compressed_due -= 1.0
        return True


def _raw_message(image: ImageArray, header: Header) -> Image:
    height, width, _ = image.shape
    # An array.array is taken over as it is; an ndarray would be checked byte by byte (79 ms).
    return Image(
        header=header,
        height=height,
        width=width,
        encoding='rgb8',
        is_bigendian=0,
        step=3 * width,
        data=array.array('B', image.tobytes()),
    )


def _compressed_message(image: ImageArray, header: Header) -> CompressedImage:
    _, jpeg = cv2.imencode(
        '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    return CompressedImage(
        header=header, format='rgb8; jpeg compressed bgr8', data=array.array('B', jpeg.tobytes())
    )


def _camera_info(simulator: Simulator, name: str, camera: CameraSpec) -> CameraInfo:
    fx, fy, cx, cy = simulator.camera_intrinsics(name, camera.width, camera.height)
    return CameraInfo(
        height=camera.height,
        width=camera.width,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )
