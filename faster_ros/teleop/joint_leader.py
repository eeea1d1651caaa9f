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
"""An arm that is moved by hand and leads another one joint by joint: GELLO, ALOHA masters."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import RobotSpec
from faster_ros.teleop.leaders import Leader
from faster_ros.teleop.teleop_spec import JointLeaderSpec, JointMap
import numpy as np

_JUMP_RAD = 0.5  # between two messages: a wrapped encoder, a lost servo
_SAME_GRIP = 0.1  # share of the stroke within which two grippers are at the same place


class JointLeader(Leader):
    """Follows a leader arm's joints, relative to where both were or absolutely."""

    def __init__(self, arm: RobotSpec, spec: JointLeaderSpec, timeout_s: float) -> None:
        """``arm``: the one arm that is led."""
        super().__init__(spec.topic, timeout_s)
        self._spec = spec
        names = arm.driver_joint_names[:-1]
        unknown = [name for name in spec.joints if name not in names]
        if unknown:
            raise ValueError(f"leader on {spec.topic} maps to {', '.join(unknown)}; the arm has "
                             f"{', '.join(names)}")
        maps = [spec.joints.get(name, JointMap(name)) for name in names]
        self._leaders = [entry.leader for entry in maps]
        self._scale = np.array([entry.scale for entry in maps])
        self._offset = np.array([entry.offset for entry in maps])
        self._mapped: FloatArray | None = None
        self._start = self._reference = self._gap = np.zeros(len(names))
        self._closed_gap = np.zeros(len(names))
        self.handle_topic = spec.gripper.topic if spec.gripper else ''
        self._handle_heard_ns: int | None = None
        self._grip: float | None = None
        self._pick_up = GripPickUp()

    def hear(self, names: Sequence[str], positions: Sequence[float], now_ns: int) -> None:
        """Take the leader's joints; a message that lacks one is a ValueError."""
        told = dict(zip(names, positions))
        gripper = self._spec.gripper
        handle = gripper.leader if gripper else ''
        wanted = [*self._leaders, *([handle] if handle else [])]
        missing = [name for name in wanted if not isfinite(told.get(name, np.nan))]
        if missing:
            raise ValueError(f"leader on {self.topic} lacks {', '.join(missing)}; it has "
                             f"{', '.join(sorted(told)) or 'no joints'}")
        mapped = self._scale * np.array([told[name] for name in self._leaders]) + self._offset
        if self._mapped is not None:
            jump = np.abs(mapped - self._mapped)
            if jump.max() > _JUMP_RAD:
                name = self._leaders[int(np.argmax(jump))]
                self._fault = (f'{name} of the leader on {self.topic} jumped by {jump.max():.2f} '
                               f'rad; limit {_JUMP_RAD:g} rad')
        self._mapped, self._heard_ns = mapped, now_ns
        if handle:
            self._take_handle(told[handle])

    def hear_handle(self, reading: float, now_ns: int) -> None:
        """Take what the handle's own topic says; a ValueError if that is not finite."""
        if not isfinite(reading):
            raise ValueError(f'{self.handle_topic} says {reading}; expected a finite number')
        self._take_handle(reading)
        self._handle_heard_ns = now_ns

    def _take_handle(self, reading: float) -> None:
        assert self._spec.gripper is not None
        closed, opened = self._spec.gripper.closed, self._spec.gripper.open
        self._grip = min(max((reading - closed) / (opened - closed), 0.0), 1.0)

    def problem(self, now_ns: int) -> str:
        """Return '' or why the arm must not be led by it; a silent handle counts, too."""
        if not self.handle_topic:
            return super().problem(now_ns)
        return super().problem(now_ns) or self._silence(
            self.handle_topic, self._handle_heard_ns, now_ns)

    def engage(self, joints: FloatArray, grip: float) -> str:
        """Begin at the arm's joints (A,); an absolute leader must be near them."""
        super().engage(joints, grip)
        self._pick_up = GripPickUp(grip)
        if self._mapped is None:
            return f'nothing received on {self.topic}'
        self._start, self._reference = joints.copy(), self._mapped
        self._gap, self._closed_gap = joints - self._mapped, np.zeros(len(joints))
        far = np.abs(self._gap)
        if self._spec.follow == 'absolute' and far.max() > self._spec.align_within:
            index = int(np.argmax(far))
            return (f'{self._leaders[index]} of the leader asks for {self._mapped[index]:.2f} '
                    f'rad, the arm is at {joints[index]:.2f}; bring it within '
                    f'{self._spec.align_within:g} rad')
        return ''

    def step(self, joints: FloatArray, period_s: float) -> FloatArray:
        """Return where the leader is, as seen from where both began."""
        assert self._mapped is not None
        if self._spec.follow == 'absolute':
            most = self._spec.align_speed * period_s
            self._closed_gap = self._closed_gap + np.clip(self._gap - self._closed_gap,
                                                          -most, most)
        return np.asarray(self._start + (self._mapped - self._reference) - self._closed_gap)

    def grip(self, grip: float) -> float:
        """Return the grip of the leader's handle once it has been where the gripper is."""
        return super().grip(grip) if self._grip is None else self._pick_up.step(self._grip)


class GripPickUp:
    """
    Lets a gripper follow a handle only once the handle has been where the gripper is.

    So engaging a leader whose handle is open does not open a gripper that holds something.
    """

    def __init__(self, grip: float = 1.0) -> None:
        """``grip``: share of the stroke at which the gripper is."""
        self._from = grip
        self._side = 0.0
        self._following = False

    def step(self, handle: float) -> float:
        """Return the share for the gripper; ``handle``: that of the leader."""
        gap = handle - self._from
        self._side = self._side or gap
        self._following |= abs(gap) < _SAME_GRIP or gap * self._side < 0
        return handle if self._following else self._from
