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
The Franka Hand by libfranka, free of ROS: one blocking goal after another, on a change of mind.

Called by ``nodes/libfranka_node.py`` in a process of its own: a goal takes seconds, in which
nothing else of that process runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faster_ros.robot_spec import GripperSpec
from faster_ros.robots.gripper import GripperDecision
from faster_ros.robots.libfranka_arm import vendor


class FrankaHand:
    """Follows a commanded distance of the fingers; ``problem`` is '' or what went wrong last."""

    def __init__(self, address: str, gripper: GripperSpec) -> None:
        """Connect, or raise an OSError that says to whom."""
        try:
            self._hand: Any = vendor().Gripper(address)
        except RuntimeError as error:
            raise OSError(f'expected a Franka Hand at {address}, got: {error}') from error
        self._gripper = gripper
        self._decision = GripperDecision()
        self.problem = ''

    def width(self) -> float:
        """Return the measured distance of the fingers in m, or raise an OSError."""
        try:
            return float(self._hand.read_once().width)
        except RuntimeError as error:
            raise OSError(f'the Franka Hand does not answer: {error}') from error

    def home(self) -> None:
        """Measure the fingers' range, which moves them."""
        self.problem = self._act('homing', self._hand.homing)

    def follow(self, width: float, steady_ns: int) -> None:
        """Open or close if ``width`` (m) asks for it; blocks until that is done."""
        gripper = self._gripper
        stroke = gripper.command_open - gripper.command_closed
        wish = self._decision.step((width - gripper.command_closed) / stroke, steady_ns)
        if wish is None:
            return
        self._decision.told(wish, steady_ns)
        self.problem = self._act('opening', self._open) if wish else self._act(
            'closing', self._close)
        self._decision.finished(followed=not self.problem)

    def _open(self) -> bool:
        return bool(self._hand.move(self._gripper.command_open, self._gripper.speed))

    def _close(self) -> bool:
        gripper = self._gripper
        # Whatever lies between the fingers counts as grasped; to close on nothing is no fault.
        self._hand.grasp(gripper.command_closed, gripper.speed, gripper.effort,
                         gripper.command_open, gripper.command_open)
        return True

    @staticmethod
    def _act(name: str, goal: Callable[[], bool]) -> str:
        try:
            return '' if goal() else f'{name} of the Franka Hand did not succeed'
        except RuntimeError as error:
            return f'the Franka Hand refuses {name}: {error}'
