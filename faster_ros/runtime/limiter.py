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
Keeps every command inside the joints' position, velocity and acceleration limits.

Velocity is the difference of two commands over the period, acceleration the difference of two
velocities over the period, so the limits hold for what is really sent. A joint that moves at
``v`` and brakes by ``a`` a tick (``a`` = acceleration limit x period) still travels
``(v - a) + (v - 2a) + ...`` periods; ``_fastest`` is the exact inverse of that sum: the largest
velocity that can still stop within a gap. It bounds the way to the position limits, and, measured
relative to the moving target, the way to the target. A target that keeps the limits is therefore
followed exactly, and one that does not is reached in the shortest time without overshoot.
"""

from __future__ import annotations

from math import isfinite

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import RobotSpec
import numpy as np


class Limiter:
    """
    The last command of all D joints and the step to the next one; not thread-safe.

    Limits are the vendor's times the scales of the RobotSpec; an arm joint's range is narrower by
    the margin at both ends. A start outside that range is kept, and left only inwards.
    """

    def __init__(self, spec: RobotSpec, period_s: float) -> None:
        """``period_s``: time between two commands."""
        if not period_s > 0:
            raise ValueError(f'period_s must be positive, got {period_s}')
        margin = spec.position_margin * spec.arm_mask
        self.lower = spec.limit_array('lower') + margin
        self.upper = spec.limit_array('upper') - margin
        self.velocity_limit = spec.limit_array('velocity') * spec.velocity_scale
        self.acceleration_limit = spec.limit_array('acceleration') * spec.acceleration_scale
        if np.any(self.lower >= self.upper):
            raise ValueError(f'position_margin {spec.position_margin} leaves no range for '
                             f'{spec.joint_names[int(np.argmax(self.lower >= self.upper))]}')
        self._grippers = spec.gripper_indices
        self._arm = spec.arm_mask
        self._period = period_s
        self._step = self.acceleration_limit * period_s
        self._half_step = 0.5 * self._step
        self._eight_units = 8.0 / (self._step * period_s)
        self._reach = self.velocity_limit * period_s
        self._gaps = np.zeros((3, len(spec.joints)))
        self.positions = np.zeros(len(spec.joints))
        self.velocities = np.zeros(len(spec.joints))
        self._target: FloatArray | None = None
        self._gripper_targets = np.zeros(len(self._grippers))
        self.clamped_ticks = 0

    def start(self, positions: FloatArray) -> None:
        """Begin at a measured pose, at rest."""
        self._check(positions)
        self.positions = np.array(positions, dtype=float)
        self.velocities = np.zeros(len(positions))
        self._target = None
        self._gripper_targets = self.positions[self._grippers]

    @property
    def moving(self) -> bool:
        """Return whether the last command of the arm has a velocity."""
        return bool(np.abs(self.velocities[self._arm]).max() > 1e-9)

    def step(self, target: FloatArray) -> FloatArray:
        """Return the next command towards ``target``, shape (D,), and advance to it."""
        self._check(target)
        target = np.minimum(np.maximum(target, self.lower), self.upper)
        travel = np.zeros_like(target)  # of the target in this tick
        if self._target is not None:
            travel = target - self._target
            # A jump is a new place, not a motion to keep up with.
            travel *= np.abs(travel) <= 2 * self._reach
            travel = np.minimum(np.maximum(travel, -self._reach), self._reach)
        self._target = target
        self._gripper_targets = target[self._grippers]
        self._advance(target - travel - self.positions, travel / self._period)
        missed = np.abs(self.positions - target)[self._arm]
        if missed.max() > 1e-9:
            self.clamped_ticks += 1
        return self.positions

    def hold(self) -> FloatArray:
        """Brake the arm to a stop and stay; grippers go on to their last target."""
        self._target = None
        gap = np.zeros_like(self.positions)
        gap[self._grippers] = self._gripper_targets - self.positions[self._grippers]
        self._advance(gap, gap * 0.0)
        return self.positions

    def _check(self, values: FloatArray) -> None:
        if values.shape != self.lower.shape or not isfinite(values @ values):
            raise ValueError(f'expected {len(self.lower)} finite joint values, got {values}')

    def _advance(self, gap: FloatArray, speed: FloatArray) -> None:
        """Close ``gap`` (D,) to something that moves at ``speed`` (D,), as far as allowed."""
        gaps = self._gaps
        np.abs(gap, out=gaps[0])
        np.subtract(self.upper, self.positions, out=gaps[1])
        np.subtract(self.positions, self.lower, out=gaps[2])
        closing, up, down = self._fastest(np.maximum(gaps, 0.0))
        highest = np.minimum(np.minimum(self.velocity_limit, up), self.velocities + self._step)
        lowest = np.maximum(np.maximum(-self.velocity_limit, -down),
                            self.velocities - self._step)
        wanted = speed + np.copysign(closing, gap)
        self.velocities = np.minimum(np.maximum(wanted, lowest), highest)
        self.positions = self.positions + self.velocities * self._period

    def _fastest(self, gaps: FloatArray) -> FloatArray:
        """Return the largest velocities after which braking ends within ``gaps``, (3, D)."""
        ticks = np.floor(0.5 * (np.sqrt(1.0 + self._eight_units * gaps) - 1.0))
        distance = gaps / self._period + self._half_step * ticks * (ticks + 1.0)
        return np.asarray(distance / (ticks + 1.0))
