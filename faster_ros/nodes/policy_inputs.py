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
What policy_node sees: camera images and joint states, into the buffer of its session.

They are read past the executor, which would take a third of a core for them.
"""

from __future__ import annotations

from faster_ros.nodes import conversions, diagnostics, images, qos
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.joint_states import JointStates
from faster_ros.runtime.observation_buffer import ObservationBuffer
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image, JointState


class PolicyInputs:
    """Subscriptions of all cameras and arms of one robot; belongs to the thread that polls."""

    def __init__(self, node: Node, spec: RobotSpec, buffer: ObservationBuffer, compressed: bool,
                 log: diagnostics.EdgeLog) -> None:
        """Connect; with ``compressed`` to <camera topic>/compressed."""
        self._node, self._spec, self._buffer, self._log = node, spec, buffer, log
        self._states = JointStates(spec)
        self._subscriptions = [
            *(self._subscribe_camera(name, compressed) for name in spec.cameras),
            *(self._subscribe_states(name, arm) for name, (arm, _) in spec.parts.items())]

    def poll(self) -> bool:
        """Take what has arrived; returns whether an image is among it."""
        before = self._images_received
        for subscription in self._subscriptions:
            subscription.poll()
        return self._images_received > before

    def destroy(self) -> None:
        """Disconnect; no ``poll`` may run or follow."""
        for subscription in self._subscriptions:
            subscription.destroy()

    @property
    def _images_received(self) -> int:
        return sum(camera.received for camera in self._buffer.cameras.values())

    def _subscribe_camera(self, name: str, compressed: bool) -> PolledSubscription:
        camera = self._spec.cameras[name]
        topic = f'{camera.topic}/compressed' if compressed else camera.topic
        latency_ns = round(camera.latency_s * 1e9)

        def on_image(message: Image | CompressedImage, _: object) -> None:
            read = images.compressed_to_rgb if compressed else images.image_to_rgb
            try:
                pixels = read(message, camera.width, camera.height)
            except ValueError as error:
                self._log.problem(topic, f"camera '{name}' on {topic}: {error}")
                return
            self._log.solved(topic, f"camera '{name}' on {topic} is usable again")
            self._buffer.add_image(
                name, conversions.to_ns(message.header.stamp) - latency_ns, pixels)

        return PolledSubscription(self._node, CompressedImage if compressed else Image, topic,
                                  on_image, qos.CAMERA)

    def _subscribe_states(self, name: str, arm: RobotSpec) -> PolledSubscription:
        def on_state(message: JointState, _: object) -> None:
            if self._states.has(name) and conversions.is_of_other_hardware(message, arm):
                return
            try:
                state = self._states.add(name, conversions.state_from_message(message, arm))
            except ValueError as error:
                self._states.refuse(name, str(error))
            else:
                if state is not None:
                    self._buffer.add_state(state)
            if self._states.problem:
                self._log.problem('joint state', self._states.problem)
            else:
                self._log.solved('joint state', 'joint states are complete again')

        return PolledSubscription(self._node, JointState, arm.state_topic, on_state, qos.HISTORY)
