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
How a gripper is told: the mapping to its driver's unit, and what is worth telling.

The gripper is one joint of a command. Drivers that take a stream are sent what it says; an action
is a question of open or closed, and ``GripperDecision`` says when to ask for which.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from typing import Any

from faster_ros.interfaces import JointCommand, RobotState
from faster_ros.robot_parts import CLOSE_BELOW, OPEN_ABOVE
from faster_ros.robot_spec import GripperSpec, RobotSpec

_STIR = 0.02  # opening by which a command has to leave its start to count as a wish
_STREAM_DEADBAND = 1.0 / 70.0  # of the stroke; 1 mm of Piper's 70 mm
_INTERVAL_NS = 300_000_000  # between two goals
_LONGEST_GOAL_NS = 10_000_000_000  # after this a goal without an answer counts as lost


class GripperMap:
    """The opening (0 closed .. 1 open) of a joint position, and the driver's value for it."""

    def __init__(self, gripper: GripperSpec) -> None:
        self._gripper = gripper

    def opening(self, position: float) -> float:
        """Return 0 for closed, 1 for open."""
        gripper = self._gripper
        return (position - gripper.closed) / (gripper.open - gripper.closed)

    def to_driver(self, position: float) -> float:
        """Return what the driver is told for a position of the joint."""
        gripper = self._gripper
        share = min(max(self.opening(position), 0.0), 1.0)
        # Written so that both ends come out exactly.
        return (1.0 - share) * gripper.command_closed + share * gripper.command_open


class Deadband:
    """Passes a position on when it has changed noticeably or is one of the two ends."""

    def __init__(self, gripper: GripperSpec) -> None:
        self._ends = (gripper.closed, gripper.open)
        self._smallest = abs(gripper.open - gripper.closed) * _STREAM_DEADBAND
        self._last: float | None = None

    def step(self, position: float) -> float:
        """Return what is to be sent for ``position``."""
        if (self._last is None or position in self._ends
                or abs(position - self._last) >= self._smallest):
            self._last = position
        return self._last


class GripperDecision:
    """
    Says when a gripper with actions gets a goal: on a change of mind, one at a time.

    Opening below 0.4 means close, above 0.6 means open; two goals are at least 0.3 s apart, and
    none is sent while one runs. Nothing is asked for until the command leaves its first value, so
    arming never moves the gripper. Not thread-safe.
    """

    def __init__(self) -> None:
        self._start: float | None = None
        self._told: bool | None = None
        self._told_ns = -_INTERVAL_NS
        self._wish: bool | None = None
        self.running = False

    def restart(self) -> None:
        """Begin from what the gripper is now, as after arming."""
        self._start = self._told = self._wish = None

    def step(self, opening: float, now_ns: int) -> bool | None:
        """Return True to open now, False to close now, None to leave it."""
        self._form_wish(opening)
        if self.running and now_ns - self._told_ns > _LONGEST_GOAL_NS:
            self.finished(followed=False)
        if (self._wish is None or self._wish is self._told or self.running
                or now_ns - self._told_ns < _INTERVAL_NS):
            return None
        return self._wish

    @property
    def superseded(self) -> bool:
        """Return whether the running goal is no longer what is wanted."""
        return self.running and self._wish is not None and self._wish is not self._told

    def told(self, is_open: bool, now_ns: int) -> None:
        """Note that a goal was sent and runs."""
        self._told, self._told_ns, self.running = is_open, now_ns, True

    def finished(self, followed: bool) -> None:
        """Note that it ended; one that was refused or cancelled is asked for again."""
        self.running = False
        if not followed:
            self._told = None

    def _form_wish(self, opening: float) -> None:
        if self._start is None:
            self._start = opening
        moved = opening - self._start
        undecided = self._wish is None
        if opening < CLOSE_BELOW and (moved < -_STIR or not undecided):
            self._wish = False
        elif opening > OPEN_ABOVE and (moved > _STIR or not undecided):
            self._wish = True


class OnChange:
    """Wraps the writer of a gripper's topic: writes on a change, and again after a while."""

    def __init__(self, writer: Any, index: int, repeat_ns: int) -> None:
        self.message_type = writer.message_type
        self._writer = writer
        self._index = index
        self._repeat_ns = repeat_ns
        self._last: tuple[float, int] | None = None

    def write(self, command: JointCommand, state: RobotState | None = None) -> Any:
        """Return the message for one command, or None when there is nothing new to say."""
        position, last = float(command.positions[self._index]), self._last
        if (last is not None and position == last[0]
                and command.stamp_ns - last[1] <= self._repeat_ns):
            return None
        self._last = (position, command.stamp_ns)
        return self._writer.write(replace(command, stop=None), state)  # that is the arm's


class ForwardGripperWriter:
    """Writes the gripper as the one entry of a Float64MultiArray, in the driver's unit."""

    def __init__(self, spec: RobotSpec) -> None:
        from std_msgs.msg import Float64MultiArray

        self.message_type = Float64MultiArray
        self._index = spec.gripper_index
        self._map = GripperMap(spec.gripper)

    def write(self, command: JointCommand, _: RobotState | None = None) -> Any:
        """Return the message for one command."""
        value = self._map.to_driver(float(command.positions[self._index]))
        return self.message_type(data=array('d', [value]))
