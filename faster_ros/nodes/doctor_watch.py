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
Watches one topic for the doctor: who publishes it, in which quality, and what arrives when.

Called by ``doctor_examination``; polled past the executor, so that arrival times are those of the
middleware and a fast topic costs little.
"""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from faster_ros.doctor.command_checks import OURS
from faster_ros.doctor.facts import Endpoint, Quality, StreamFacts
from faster_ros.nodes.conversions import to_ns
from faster_ros.nodes.polling import PolledSubscription
from rclpy.duration import Infinite
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo


class WatchedTopic:
    """Keeps the times of all messages of a topic and the newest message itself."""

    def __init__(self, node: Node, kind: type[Any], topic: str, quality: QoSProfile,
                 on_message: Callable[[Any], None] | None = None) -> None:
        """Subscribe; ``on_message`` gets each message."""
        self.topic = topic
        self.newest: Any = None
        self._node = node
        self._type_name = type_name(kind)
        self._quality = quality
        self._on_message = on_message
        self._stamps: list[int] = []
        self._arrivals: list[int] = []
        self._subscription = PolledSubscription(node, kind, topic, self._note, quality)

    def poll(self) -> None:
        """Take what has arrived."""
        self._subscription.poll()

    def facts(self, seconds: float) -> StreamFacts:
        """Return what was seen, and who publishes at this moment."""
        names = self._node.get_topic_names_and_types()
        similar = tuple(name for name, types in names if self._type_name in types
                        and name != self.topic and self._comes_from_a_driver(name))
        return StreamFacts(
            self.topic, self._type_name, quality_of(self._quality), seconds,
            endpoints(self._node.get_publishers_info_by_topic(self.topic)),
            tuple(self._stamps), tuple(self._arrivals), similar)

    def destroy(self) -> None:
        """Disconnect."""
        self._subscription.destroy()

    def _comes_from_a_driver(self, topic: str) -> bool:
        return any(info.node_name != OURS
                   for info in self._node.get_publishers_info_by_topic(topic))

    def _note(self, message: Any, info: dict[str, int]) -> None:
        self.newest = message
        waited_ns = max(0, time.time_ns() - info['received_timestamp'])
        self._arrivals.append(int(self._node.get_clock().now().nanoseconds) - waited_ns)
        header = getattr(message, 'header', None)
        self._stamps.append(0 if header is None else to_ns(header.stamp))
        if self._on_message is not None:
            self._on_message(message)


def type_name(kind: type[Any]) -> str:
    """Return the name of a message type as the graph has it, ``sensor_msgs/msg/Image``."""
    return f'{kind.__module__.split(".")[0]}/msg/{kind.__name__}'


def endpoints(infos: list[TopicEndpointInfo]) -> tuple[Endpoint, ...]:
    """Return the endpoints of a topic."""
    return tuple(Endpoint(f'{info.node_namespace.rstrip("/")}/{info.node_name}', info.topic_type,
                          quality_of(info.qos_profile)) for info in infos)


def quality_of(profile: QoSProfile) -> Quality:
    """Return what can keep two endpoints apart; a deadline that is not set is infinite."""
    deadline = profile.deadline
    unset = deadline == Infinite or deadline.nanoseconds == 0
    return Quality(profile.reliability != ReliabilityPolicy.BEST_EFFORT,
                   profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
                   float('inf') if unset else deadline.nanoseconds * 1e-9)
