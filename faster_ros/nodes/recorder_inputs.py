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
What recorder_node hears: cameras, joint states, what was sent, who leads, and what goes raw.

They are read past the executor by one thread, in deep queues, so that a busy moment loses none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faster_ros.data.dataset_spec import Feature, Source
from faster_ros.data.joint_messages import action_from_message
from faster_ros.data.recording_session import RecordingSession, state_stream
from faster_ros.nodes import conversions, images, qos
from faster_ros.nodes.diagnostics import EdgeLog
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.joint_states import JointStates
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory

COMMAND, LEAD, CHUNK = 'control_node/command', 'teleop_node/lead', 'policy/chunk'
BAGS = ('all', 'without_images', 'none')


def camera_topic(topic: str, compressed: bool) -> str:
    """Return the topic of a camera's images."""
    return f'{topic}/compressed' if compressed else topic


def bag_topics(node: Node, spec: RobotSpec, bag: str, compressed: bool) -> dict[str, str]:
    """Return the topics of the raw bag with their types."""
    if bag not in BAGS:
        raise ValueError(f"recorder_node parameter 'bag': expected one of {', '.join(BAGS)}, got "
                         f"'{bag}'")
    if bag == 'none':
        return {}
    resolve = node.resolve_topic_name
    topics = {resolve(topic): 'sensor_msgs/msg/JointState'
              for topic in (*spec.state_topics, COMMAND)}
    topics |= {resolve(LEAD): 'std_msgs/msg/Header',
               resolve(CHUNK): 'trajectory_msgs/msg/JointTrajectory'}
    if bag == 'all':
        kind = 'sensor_msgs/msg/CompressedImage' if compressed else 'sensor_msgs/msg/Image'
        topics |= {resolve(camera_topic(camera.topic, compressed)): kind
                   for camera in spec.cameras.values()}
    return topics


class RecorderInputs:
    """Subscriptions that feed a RecordingSession; belongs to the thread that polls."""

    def __init__(self, node: Node, spec: RobotSpec, session: RecordingSession, compressed: bool,
                 log: EdgeLog) -> None:
        """Connect; with ``compressed`` to <camera topic>/compressed."""
        self._node, self._spec, self._session, self._log = node, spec, session, log
        self._states = JointStates(spec)
        # Who leads is told when it changes, so the message may be older than an episode's bag.
        self._lead = Header(frame_id=session.source.name.lower())
        self._subscriptions = [
            *(self._camera(name, compressed) for name in spec.cameras),
            *(self._arm(name, arm) for name, (arm, _) in spec.parts.items()),
            self._subscribe(JointState, COMMAND, self._on_command, 'action'),
            self._subscribe(Header, LEAD, self._on_lead, latched=True),
            self._subscribe(JointTrajectory, CHUNK, lambda message, now_ns: None)]

    def poll(self) -> None:
        """Take what has arrived."""
        for subscription in self._subscriptions:
            subscription.poll()

    @property
    def first(self) -> dict[str, bytes]:
        """Return the messages with which the raw bag of an episode begins, by topic."""
        return {self._node.resolve_topic_name(LEAD): serialize_message(self._lead)}

    def _subscribe(self, kind: type[Any], topic: str, hear: Callable[[Any, int], None],
                   stream: str = '', latched: bool = False) -> PolledSubscription:
        """Hear a topic; what ``hear`` refuses is named, and counted if it is of a stream."""
        name = self._node.resolve_topic_name(topic)

        def on_bytes(serialised: bytes, _: object) -> None:
            now_ns = int(self._node.get_clock().now().nanoseconds)
            self._session.keep_raw(name, now_ns, serialised)
            try:
                hear(deserialize_message(serialised, kind), now_ns)
            except ValueError as error:
                if stream:
                    self._session.meters[stream].refuse(str(error))
                self._log.problem(topic, f'{topic}: {error}')
            else:
                self._log.solved(topic, f'{topic} is usable again')

        return PolledSubscription(self._node, kind, topic, on_bytes,
                                  qos.LATCHED if latched else qos.RECORD, raw=True)

    def _camera(self, name: str, compressed: bool) -> PolledSubscription:
        camera = self._spec.cameras[name]
        read = images.compressed_to_rgb if compressed else images.image_to_rgb

        def hear(message: Image | CompressedImage, now_ns: int) -> None:
            pixels = read(message, camera.width, camera.height)
            self._session.add_image(name, conversions.to_ns(message.header.stamp), pixels, now_ns)

        return self._subscribe(CompressedImage if compressed else Image,
                               camera_topic(camera.topic, compressed), hear, name)

    def _arm(self, name: str, arm: RobotSpec) -> PolledSubscription:
        positions = Feature('float64', (len(arm.joint_names),), arm.joint_names)
        stream = state_stream(name)

        def hear(message: JointState, now_ns: int) -> None:
            if self._states.has(name) and conversions.is_of_other_hardware(message, arm):
                return
            measured = conversions.state_from_message(message, arm)
            # Before the arms are joined, so that one that fails is named and spoils no other's.
            positions.check('position', measured.positions)
            if name:  # one of several, whose states together have no rate of their own
                self._session.meters[stream].add(measured.stamp_ns, now_ns)
            state = self._states.add(name, measured)
            if state is not None:  # its stamp is that of the oldest part
                self._session.add_state(state.stamp_ns, state.positions, now_ns)

        return self._subscribe(JointState, arm.state_topic, hear, stream)

    def _on_command(self, message: JointState, now_ns: int) -> None:
        action = action_from_message(message, self._spec.action_names)
        self._session.add_action(conversions.to_ns(message.header.stamp), action, now_ns)

    def _on_lead(self, message: Header, now_ns: int) -> None:
        self._session.set_source(conversions.to_ns(message.stamp), Source.of(message.frame_id))
        self._lead = message
