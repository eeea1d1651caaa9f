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
"""Sticks, keys and SpaceMice: a deflection is a speed, of the tool or of joints."""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import RobotSpec
from faster_ros.teleop.leaders import Leader
from faster_ros.teleop.teleop_spec import Axis, JoyLeaderSpec, TwistLeaderSpec
from faster_ros.teleop.tool_follower import ToolFollower
import numpy as np
from scipy.spatial.transform import Rotation

_CARTESIAN = ('x', 'y', 'z', 'rx', 'ry', 'rz')


class RateLeader(Leader):
    """Moves the tool or the joints at a speed, each period from where the arm was sent."""

    def __init__(self, arm: RobotSpec, topic: str, frame: str, timeout_s: float) -> None:
        """``frame``: base or tool, whose axes the tool is moved along."""
        super().__init__(topic, timeout_s)
        self._tool = ToolFollower(arm)
        self._in_tool_frame = frame == 'tool'
        self._lower = arm.limit_array('lower')[:-1] + arm.position_margin
        self._upper = arm.limit_array('upper')[:-1] - arm.position_margin
        self.twist = np.zeros(6)
        self.joint_speeds = np.zeros(len(self._lower))

    def step(self, joints: FloatArray, period_s: float) -> FloatArray:
        """Return the joints (A,) one period of the asked speed further."""
        if self.joint_speeds.any():
            wanted = joints + self.joint_speeds * period_s
            return np.clip(wanted, np.minimum(self._lower, joints),
                           np.maximum(self._upper, joints))
        if not self.twist.any():
            return joints
        tool = self._tool
        tool.start(joints)
        linear, angular = self.twist[:3] * period_s, self.twist[3:] * period_s
        if self._in_tool_frame:
            linear, angular = tool.rotation @ linear, tool.rotation @ angular
        turn = Rotation.from_rotvec(angular).as_matrix()
        return tool.go(tool.place + linear, turn @ tool.rotation)

    @property
    def note(self) -> str:
        """Return '' or why the tool does not go on."""
        return self._tool.note


class TwistLeader(RateLeader):
    """A SpaceMouse that publishes velocities."""

    def __init__(self, arm: RobotSpec, spec: TwistLeaderSpec, timeout_s: float) -> None:
        """``arm``: the one arm that is led."""
        super().__init__(arm, spec.topic, spec.frame, timeout_s)
        self._spec = spec

    def hear(self, twist: Sequence[float], now_ns: int) -> None:
        """Take linear x, y, z and angular x, y, z, or a ValueError."""
        values = np.array(twist, dtype=float)
        if not np.isfinite(values).all():
            raise ValueError(f'twist on {self.topic} is {values.tolist()}; expected finite '
                             'numbers')
        values[np.abs(values) < self._spec.dead_zone] = 0.0
        self.twist = values * np.repeat([self._spec.linear, self._spec.angular], 3)
        self._heard_ns = now_ns


class JoyLeader(RateLeader):
    """A gamepad, joystick or keyboard; a button changes between tool and joints."""

    def __init__(self, arm: RobotSpec, spec: JoyLeaderSpec, timeout_s: float) -> None:
        """``arm``: the one arm that is led."""
        super().__init__(arm, spec.topic, spec.frame, timeout_s)
        count = len(self._lower)
        beyond = [name for name in spec.joints if int(name) > count]
        if beyond and not spec.cartesian:
            raise ValueError(f"joystick on {spec.topic} has axes for joint {', '.join(beyond)}; "
                             f'the arm has {count}')
        self._spec = spec
        self._axes = {name: axis for name, axis in spec.joints.items() if int(name) <= count}
        self.by_joints = not spec.cartesian
        self._mode_held = False

    def hear(self, axes: Sequence[float], buttons: Sequence[int], now_ns: int) -> None:
        """Take the deflections, 1 full, and the buttons, 1 held; or a ValueError."""
        spec = self._spec
        held = 0 <= spec.mode < len(buttons) and bool(buttons[spec.mode])
        if held and not self._mode_held and spec.cartesian and self._axes:
            self.by_joints = not self.by_joints
        self._mode_held = held
        twist, speeds = np.zeros(6), np.zeros(len(self.joint_speeds))
        if self.by_joints:
            for name, axis in self._axes.items():
                speeds[int(name) - 1] = self._speed(axis, axes, buttons)
        else:
            for name, axis in spec.cartesian.items():
                twist[_CARTESIAN.index(name)] = self._speed(axis, axes, buttons)
        self.twist, self.joint_speeds, self._heard_ns = twist, speeds, now_ns

    def _speed(self, axis: Axis, axes: Sequence[float], buttons: Sequence[int]) -> float:
        if axis.axis < 0:
            if max(axis.plus, axis.minus) >= len(buttons):
                raise ValueError(f'{self.topic} reports {len(buttons)} buttons; expected one with '
                                 f'the number {max(axis.plus, axis.minus)}')
            return axis.speed * (buttons[axis.plus] - buttons[axis.minus])
        if axis.axis >= len(axes):
            raise ValueError(f'{self.topic} reports {len(axes)} axes; expected one with the '
                             f'number {axis.axis}')
        value = float(axes[axis.axis])
        if not np.isfinite(value):
            raise ValueError(f'{self.topic} reports {value} for axis {axis.axis}')
        zone = self._spec.dead_zone
        beyond = max(0.0, min(abs(value), 1.0) - zone) / (1.0 - zone)
        return axis.speed * float(np.copysign(beyond, value))
