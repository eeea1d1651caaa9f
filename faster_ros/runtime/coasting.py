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
Where an arm goes while this side is silent, so that the commands after that go on from there.

A trajectory ends in a braking tail, along which the arm has gone on meanwhile: to continue as if
nothing had happened would throw it back. After a short silence the commands go on from that tail,
after a longer one from the measured motion, if that is of now. Used by ``MotionController``.
"""

from __future__ import annotations

from faster_ros.braking import along_tail, braking_tail
from faster_ros.interfaces import FloatArray, RobotState
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.limiter import Limiter
import numpy as np

_STALL_S = 0.1  # without a command, after which the arm's own motion is the better guess
_FRESH_NS = 50_000_000  # age of a measured motion that tells where the arm is now


class Coasting:
    """What arms do without commands; ``has_tail``: each of them brakes along a told tail."""

    def __init__(self, spec: RobotSpec, period_s: float, lead_s: float) -> None:
        """``period_s``: time between two commands; ``lead_s``: from a command to its due time."""
        self._period_s, self._lead_s = period_s, lead_s
        self._parts = [part for _, part in spec.parts.values()]
        self._lower, self._upper = spec.limit_array('lower'), spec.limit_array('upper')
        self.has_tail = all(arm.command_mode == 'joint_trajectory'
                            for arm, _ in spec.parts.values())

    def take_up(self, limiter: Limiter, periods: int, now_ns: int,
                state: RobotState | None) -> None:
        """Let the limiter go on from where the arm is after ``periods`` without a command."""
        silent_s = periods * self._period_s
        if periods <= 0 or not limiter.moving:
            return
        if silent_s >= _STALL_S and state is not None and _tells_motion(state, now_ns):
            ahead_s = (now_ns - state.stamp_ns) * 1e-9 + self._lead_s - self._period_s
            speeds = np.clip(state.velocities, -limiter.velocity_limit, limiter.velocity_limit)
            limiter.move_arm(state.positions + speeds * ahead_s, speeds)
        elif self.has_tail:
            limiter.move_arm(*self._tail(limiter, silent_s))
        elif silent_s >= _STALL_S:  # its driver has gone to the last command, and stands
            limiter.move_arm(limiter.positions, 0.0 * limiter.velocities)

    def _tail(self, limiter: Limiter, silent_s: float) -> tuple[FloatArray, FloatArray]:
        """Return positions and velocities (D,) so long after the last command was due."""
        told = np.stack([limiter.positions, limiter.velocities, limiter.accelerations])
        found = told[:2].copy()
        for part in self._parts:
            arm = slice(part.start, part.stop - 1)  # its last column is the gripper
            place, speed, bend = told[:, arm]
            brake_s, rest = braking_tail(place, speed, bend, limiter.acceleration_limit[arm],
                                         self._lower[arm], self._upper[arm])
            found[:, arm] = along_tail(silent_s, brake_s, rest, place, speed, bend)
        return found[0], found[1]


def _tells_motion(state: RobotState, now_ns: int) -> bool:
    """Return whether a measured motion is whole and of now."""
    whole = bool(np.isfinite(state.positions).all() and np.isfinite(state.velocities).all())
    return whole and abs(now_ns - state.stamp_ns) <= _FRESH_NS
