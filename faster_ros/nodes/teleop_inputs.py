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
The topics of a teleop file: each message goes to its leader and to the buttons.

They are read by the thread that calls ``poll``, past the executor.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from faster_ros.nodes import qos
from faster_ros.nodes.diagnostics import EdgeLog
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.robot_spec import RobotSpec
from faster_ros.teleop.device import make_leaders, PressedButton
from faster_ros.teleop.joint_leader import JointLeader
from faster_ros.teleop.leaders import Leader
from faster_ros.teleop.pose_leader import PoseLeader
from faster_ros.teleop.rate_leader import JoyLeader, TwistLeader
from faster_ros.teleop.teleop_spec import Button, GripperButtons, TeleopSpec
from geometry_msgs.msg import PoseStamped, Twist
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Float32

Hear = Callable[[Any, int], None]


class TeleopInputs:
    """Subscriptions of all leaders and buttons; belongs to the thread that polls."""

    def __init__(self, node: Node, spec: RobotSpec, teleop: TeleopSpec, log: EdgeLog) -> None:
        """Connect; a message that cannot be used is logged once and leaves its leader silent."""
        self._node, self._log = node, log
        self._listeners: dict[tuple[type[Any], str], list[Hear]] = {}
        self.leaders = make_leaders(spec, teleop)
        self.deadman = self._button(teleop.deadman)
        self.toggle = self._button(teleop.toggle)
        self.hand_back = self._button(teleop.hand_back)
        self.timeout_ns = round(teleop.timeout_s * 1e9)
        self._pressed: set[PressedButton] = set()  # since the last poll
        for name, leader in self.leaders.items():
            self._listen(leader)
            gripper = teleop.leaders[name or 'arm'].gripper
            if gripper is not None:
                self._listen_to_gripper(leader, gripper)
        self._subscriptions = [
            PolledSubscription(node, kind, topic, partial(self._on_message, topic, listeners),
                               qos.HISTORY)
            for (kind, topic), listeners in self._listeners.items()]

    @property
    def topics(self) -> list[str]:
        """Return what is subscribed."""
        return sorted({topic for _, topic in self._listeners})

    def poll(self) -> None:
        """Take what has arrived."""
        self._pressed.clear()
        for subscription in self._subscriptions:
            subscription.poll()

    def pressed(self, button: PressedButton | None) -> bool:
        """Return whether deadman, toggle or hand_back was pressed, as of the last poll."""
        return button in self._pressed

    def _on_message(self, topic: str, listeners: list[Hear], message: Any, _: object) -> None:
        now_ns = int(self._node.get_clock().now().nanoseconds)
        problem = ''
        for hear in listeners:
            try:
                hear(message, now_ns)
            except ValueError as error:
                problem = problem or str(error)
        if problem:
            self._log.problem(topic, problem)
        else:
            self._log.solved(topic, f'{topic} is usable again')

    def _on(self, kind: type[Any], topic: str, hear: Hear) -> None:
        self._listeners.setdefault((kind, topic), []).append(hear)

    def _listen(self, leader: Leader) -> None:
        if isinstance(leader, JointLeader):
            self._on(JointState, leader.topic, lambda message, now_ns: leader.hear(
                message.name, message.position, now_ns))
            if leader.handle_topic:
                self._on(Float32, leader.handle_topic, lambda message, now_ns: leader.hear_handle(
                    message.data, now_ns))
        elif isinstance(leader, JoyLeader):
            self._on(Joy, leader.topic, lambda message, now_ns: leader.hear(
                message.axes, message.buttons, now_ns))
        elif isinstance(leader, TwistLeader):
            self._on(Twist, leader.topic, lambda message, now_ns: leader.hear(
                [*_numbers(message.linear), *_numbers(message.angular)], now_ns))
        else:
            assert isinstance(leader, PoseLeader)
            self._on(PoseStamped, leader.topic, lambda message, now_ns: leader.hear(
                np.array(_numbers(message.pose.position)),
                np.array([*_numbers(message.pose.orientation), message.pose.orientation.w]),
                now_ns))

    def _listen_to_gripper(self, leader: Leader, spec: GripperButtons) -> None:
        buttons = ([(spec.close, None)] if spec.close == spec.open
                   else [(spec.close, 0.0), (spec.open, 1.0)])
        for number, grip in buttons:
            button = PressedButton(spec.topic, number)

            def hear(message: Joy, now_ns: int, button: PressedButton = button,
                     grip: float | None = grip) -> None:
                if button.hear(message.buttons, now_ns):
                    leader.press(grip)

            self._on(Joy, spec.topic, hear)

    def _button(self, spec: Button | None) -> PressedButton | None:
        if spec is None:
            return None
        button = PressedButton(spec.topic, spec.button)

        def hear(message: Joy, now_ns: int) -> None:
            if button.hear(message.buttons, now_ns):
                self._pressed.add(button)

        self._on(Joy, spec.topic, hear)
        return button


def _numbers(vector: Any) -> list[float]:
    return [vector.x, vector.y, vector.z]
