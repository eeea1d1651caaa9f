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
DriverSignals: hears what the drivers of one robot say about themselves.

``robots.DriverGate`` judges it; this subscribes, asks services, and tells what has changed.
Drivers report up to 1000 times a second: only the newest report is read, past the executor.
"""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from faster_ros.nodes import diagnostics, qos
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.driver_gate import DriverGate, Signal
from faster_ros.robots.optional_messages import load, MissingMessagesError
from rclpy.node import Node

_POLL_PERIOD_S = 0.02
_ASK_PERIOD_S = 0.3


class DriverSignals:
    """Tells ``on_change`` why the driver cannot follow, or '', and at what speed (0 to 1)."""

    def __init__(self, node: Node, spec: RobotSpec, commanded_s: Callable[[], float],
                 on_change: Callable[[str, float], None]) -> None:
        """``commanded_s``: for how long the arm has been commanded without a pause."""
        self._node = node
        self._commanded_s = commanded_s
        self._on_change = on_change
        self._log = diagnostics.EdgeLog(node.get_logger())
        self._gate = DriverGate(spec)
        self._polled: list[PolledSubscription] = []
        self._told: tuple[str, float] | None = None
        for topic, signal in list(self._gate.signals.items()):
            self._connect(topic, signal)
        self._tell()
        if self._gate.signals:
            node.create_timer(_POLL_PERIOD_S, self._poll)

    def _connect(self, topic: str, signal: Signal) -> None:
        try:
            kind = load(*signal.kind, needed_for=f'watching {topic}')
        except MissingMessagesError as error:
            if not signal.optional:
                raise
            self._node.get_logger().warning(f'{error}; until then this gate is off')
            self._gate.ignore(topic)
            return
        if signal.kind[1] == 'srv':
            client: Any = self._node.create_client(kind, topic)
            self._node.create_timer(_ASK_PERIOD_S, lambda: self._ask(client, kind, topic))
            return
        self._polled.append(PolledSubscription(
            self._node, kind, topic, lambda message, _: self._hear(topic, message),
            qos.LATCHED if signal.latched else qos.SENSOR))

    def _hear(self, topic: str, message: Any) -> None:
        self._gate.hear(topic, message, time.monotonic())

    def _ask(self, client: Any, kind: Any, topic: str) -> None:
        if client.service_is_ready():
            client.call_async(kind.Request()).add_done_callback(
                lambda future: self._hear(topic, future.result()))

    def _poll(self) -> None:
        for polled in self._polled:
            polled.poll()
        self._tell()

    def _tell(self) -> None:
        problem = self._gate.problem(time.monotonic(), self._commanded_s())
        told = (problem, self._gate.speed)
        if told == self._told:
            return
        if self._told is not None and told[1] != self._told[1]:
            self._node.get_logger().info(f'the driver moves the arm at {told[1]:.0%} of its speed')
        self._told = told
        self._on_change(*told)
