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
"""The leaders of a teleop file, and its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from faster_ros.robot_spec import RobotSpec
from faster_ros.teleop.joint_leader import JointLeader
from faster_ros.teleop.leaders import Leader
from faster_ros.teleop.pose_leader import PoseLeader
from faster_ros.teleop.rate_leader import JoyLeader, TwistLeader
from faster_ros.teleop.teleop_spec import LeaderSpec, TeleopSpec


def make_leaders(spec: RobotSpec, teleop: TeleopSpec) -> dict[str, Leader]:
    """Return what leads each arm, by the arm's name in ``spec.parts``."""
    arms = {name or 'arm': name for name in spec.parts}
    unknown = [name for name in teleop.leaders if name not in arms]
    if unknown:
        raise ValueError(f"the teleop file leads {', '.join(unknown)}; robot {spec.robot} has "
                         f"{', '.join(arms)}")
    return {arms[name]: _make(spec, arms[name], leader, teleop.timeout_s)
            for name, leader in teleop.leaders.items()}


def _make(spec: RobotSpec, name: str, leader: LeaderSpec, timeout_s: float) -> Leader:
    arm = spec.parts[name][0]
    if leader.joint_state is not None:
        return JointLeader(arm, leader.joint_state, timeout_s)
    # The tools of all arms are led along the axes of the robot, not of each arm.
    arm = replace(arm, base_frame=spec.base_frame)
    if leader.pose is not None:
        return PoseLeader(arm, leader.pose, timeout_s)
    if leader.twist is not None:
        return TwistLeader(arm, leader.twist, timeout_s)
    assert leader.joy is not None
    return JoyLeader(arm, leader.joy, timeout_s)


class PressedButton:
    """One button of a joystick: whether it is held, and each press of it."""

    def __init__(self, topic: str, button: int) -> None:
        """``button``: counted from 0."""
        self.topic, self.button = topic, button
        self.held: bool | None = None
        self.heard_ns = 0

    def hear(self, buttons: Sequence[int], now_ns: int) -> bool:
        """
        Take a report of all buttons; returns whether this one was just pressed.

        Some drivers (spacenav) name a button only once it was used: one that a report lacks is
        not held, and a ValueError, as its number may be wrong.
        """
        before, self.heard_ns = self.held, now_ns
        self.held = self.button < len(buttons) and bool(buttons[self.button])
        if self.button >= len(buttons):
            raise ValueError(f'{self.topic} reports {len(buttons)} buttons so far; the one with '
                             f'the number {self.button} counts as released')
        return self.held and before is False  # held at the start is no press
