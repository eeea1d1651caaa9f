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
The motion by which latencies are measured: one joint swings gently, then the gripper steps.

A swing that becomes quicker has one lag only at which it fits what was asked; a steady one would
fit at every period. Used by ``faster_ros calibrate latency``.
"""

from __future__ import annotations

from dataclasses import dataclass

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.robot_spec import RobotSpec
import numpy as np

STEP_S = 0.02
_REST_S = 1.0  # before, between and after
_SLOW_HZ, _QUICK_HZ = 0.15, 0.6
_EASE_S = 1.5  # in which the swing grows and shrinks
_GRIPPER_STEPS = 4


@dataclass(frozen=True)
class CalibrationMotion:
    """
    ``joint``: which one swings; ``amplitude``: rad; ``seconds``: how long it swings.

    ``gripper_s``: from one step of the gripper to the next; 0 leaves it as it is.
    """

    spec: RobotSpec
    joint: str
    amplitude: float
    seconds: float
    gripper_s: float

    @property
    def fastest(self) -> float:
        """Return the largest speed of the joint in rad/s."""
        return 2 * np.pi * _QUICK_HZ * self.amplitude

    @property
    def swing_s(self) -> tuple[float, float]:
        """Return when the swing begins and when it is over, with a rest around it, in s."""
        return _REST_S / 2, 1.5 * _REST_S + self.seconds

    @property
    def gripper_steps(self) -> list[float]:
        """Return the times at which the gripper is told to close or to open, in s."""
        begin = 2 * _REST_S + self.seconds
        count = _GRIPPER_STEPS if self.gripper_s else 0
        return [begin + step * self.gripper_s for step in range(count)]

    @property
    def duration_s(self) -> float:
        """Return how long all of it takes, rests included."""
        return 3 * _REST_S + self.seconds + len(self.gripper_steps) * self.gripper_s

    def chunk(self, start_ns: int, positions: FloatArray) -> ActionChunk:
        """Return all of it as one chunk that starts and ends at the measured joints (D,)."""
        spec, index = self.spec, self.spec.joint_names.index(self.joint)
        times = np.arange(round(self.duration_s / STEP_S), dtype=float) * STEP_S
        rows = np.tile(positions, (len(times), 1))
        rows[:, index] += self._swing(np.asarray(times - _REST_S, dtype=float))
        gripper, at = spec.gripper, spec.gripper_index
        opened = abs(positions[at] - gripper.open) < abs(positions[at] - gripper.closed)
        turned = np.searchsorted(self.gripper_steps, times, side='right') % 2 == 1
        rows[:, at] = np.where(turned != opened, gripper.open, gripper.closed)
        return ActionChunk(start_ns, round(STEP_S * 1e9), rows, spec.joint_names)

    def problem(self, positions: FloatArray) -> str:
        """Return '' or why this motion is not possible from these joints (D,)."""
        index, limits = self.spec.joint_names.index(self.joint), self.spec.joints[self.joint]
        room = self.amplitude + self.spec.position_margin
        if not limits.lower + room <= positions[index] <= limits.upper - room:
            return (f'{self.joint} is at {positions[index]:.3f} rad; expected at least '
                    f'{room:.3f} rad away from its stops {limits.lower:g} and {limits.upper:g}')
        return ''

    def _swing(self, times: FloatArray) -> FloatArray:
        inside = np.clip(times, 0.0, self.seconds)
        growth = (_QUICK_HZ - _SLOW_HZ) / self.seconds
        phase = 2 * np.pi * (_SLOW_HZ * inside + growth * inside**2 / 2)
        ease = np.clip(np.minimum(inside, self.seconds - inside) / _EASE_S, 0.0, 1.0)
        return np.asarray(self.amplitude * ease**2 * (3 - 2 * ease) * np.sin(phase))
