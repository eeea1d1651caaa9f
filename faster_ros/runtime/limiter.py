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
Keeps every command inside the joints' position, velocity, acceleration and jerk limits.

First a point moves towards the target, tick by tick. Its velocity is the difference of two
positions over the period, its acceleration the difference of two velocities over the period. A
joint that moves at ``v`` and brakes by ``a`` a tick (``a`` = acceleration limit x period) still
travels ``(v - a) + (v - 2a) + ...`` periods; ``_fastest`` is the exact inverse of that sum: the
largest velocity that can still stop within a gap. It bounds the way to the position limits, and,
measured relative to the moving target, the way to the target. A target that keeps the limits is
therefore followed exactly, and one that does not is reached in the shortest time, without
overshoot.

Then the points are averaged and become the control points of a smooth curve (``smoothing.py``),
whose position, velocity and acceleration are the command. Both steps only average, and the limits
are convex, so what the points keep the curve keeps, at the ticks and between them. The target has
to be read ``delay_s`` ahead of the command's time.
"""

from __future__ import annotations

from copy import deepcopy
from math import isfinite

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.smoothing import SmoothCurve
from faster_ros.runtime.velocity_envelope import VelocityEnvelope
import numpy as np


class Limiter:
    """
    The last command of all D joints and the step to the next one; not thread-safe.

    Limits are the vendor's times the scales of the RobotSpec; an arm joint's range is narrower by
    the margin at both ends. A start outside that range is kept, and left only inwards.
    ``velocity_limit`` (D,) follows ``slow_down`` as fast as the joints may brake.
    """

    def __init__(self, spec: RobotSpec, period_s: float) -> None:
        """``period_s``: time between two commands."""
        if not period_s > 0:
            raise ValueError(f'period_s must be positive, got {period_s}')
        self._full_velocity = spec.limit_array('velocity') * spec.velocity_scale
        self.velocity_limit = self._allowed_velocity = self._full_velocity
        self.acceleration_limit = spec.limit_array('acceleration') * spec.acceleration_scale
        self._envelope = VelocityEnvelope(spec, self.acceleration_limit, period_s)
        self.lower, self.upper = _ranges(spec, self._envelope)
        self._grippers = spec.gripper_indices
        self._arm = spec.arm_mask
        self._period = period_s
        self._step = self.acceleration_limit * period_s
        self._half_step = 0.5 * self._step
        self._eight_units = 8.0 / (self._step * period_s)
        self._gaps = np.zeros((3, len(spec.joints)))
        self._point = np.zeros(len(spec.joints))
        self._speed = np.zeros(len(spec.joints))
        self._curve = SmoothCurve(self.acceleration_limit, _jerk_limit(spec), period_s)
        self._target: FloatArray | None = None
        self._gripper_targets = np.zeros(len(self._grippers))
        self.clamped_ticks = 0

    @property
    def delay_s(self) -> float:
        """Return how far the command is behind the target that it follows, in s."""
        return self._curve.delay_s

    @property
    def positions(self) -> FloatArray:
        """Return the positions of the last command, shape (D,)."""
        return self._curve.positions

    @property
    def velocities(self) -> FloatArray:
        """Return the velocities of the last command, shape (D,)."""
        return self._curve.velocities

    @property
    def accelerations(self) -> FloatArray:
        """Return the accelerations of the last command, shape (D,)."""
        return self._curve.accelerations

    @property
    def point(self) -> FloatArray:
        """Return the point that the curve follows ``delay_s`` later, shape (D,)."""
        return self._point

    @property
    def speed(self) -> FloatArray:
        """Return the velocities of the point, shape (D,)."""
        return self._speed

    @property
    def moving(self) -> bool:
        """Return whether the arm is commanded to move."""
        speed = np.abs(self._speed[self._arm]).max()
        return bool(speed > 1e-9 or self._curve.spread[self._arm].max() > 1e-9 * self._period)

    @property
    def gripper_targets(self) -> FloatArray:
        """Return where the grippers go on to, shape (D,), zero for the arm's joints."""
        targets = np.zeros(len(self._point))
        targets[self._grippers] = self._gripper_targets
        return targets

    @property
    def gripping(self) -> bool:
        """Return whether a gripper has not been commanded all the way to its target yet."""
        gaps = np.abs(self._gripper_targets - self.positions[self._grippers])
        return bool(gaps.max(initial=0.0) > 1e-9)

    def start(self, positions: FloatArray, velocities: FloatArray | None = None) -> None:
        """Begin at a measured pose, shape (D,), at rest or in motion; grippers stay there."""
        self._begin(positions, np.zeros(len(positions)) if velocities is None else velocities)
        self._gripper_targets = self._point[self._grippers]

    def move_arm(self, positions: FloatArray, velocities: FloatArray) -> None:
        """Let the arm go on from elsewhere, (D,); a gripper from where it is to its target."""
        self._begin(np.where(self._arm, positions, self.positions), velocities * self._arm)

    def _begin(self, positions: FloatArray, velocities: FloatArray) -> None:
        self._check(positions)
        self._speed = velocities
        self._point = positions + self._speed * self.delay_s
        self._curve.start(self._point, self._speed)
        self._target = None

    def slow_down(self, share: float) -> None:
        """Keep the arm joints to a share, 0 to 1, of their velocity limits."""
        self._allowed_velocity = self._full_velocity * np.where(self._arm, share, 1.0)

    def step(self, target: FloatArray) -> FloatArray:
        """Return the next command towards ``target``, shape (D,), and advance to it."""
        self._check(target)
        target = np.minimum(np.maximum(target, self.lower), self.upper)
        travel = np.zeros_like(target)  # of the target in this tick
        if self._target is not None:
            travel = target - self._target
            # A jump is a new place, not a motion to keep up with.
            reach = self.velocity_limit * self._period
            travel *= np.abs(travel) <= 2 * reach
            travel = np.minimum(np.maximum(travel, -reach), reach)
        self._target = target
        self._gripper_targets = target[self._grippers]
        self._advance(target - travel - self._point, travel / self._period)
        missed = np.abs(self._point - target)[self._arm]
        if missed.max() > 1e-9:
            self.clamped_ticks += 1
        return self.positions

    def hold(self) -> FloatArray:
        """Brake the arm to a stop and stay; grippers go on to their last target."""
        self._target = None
        gap = np.zeros_like(self._point)
        gap[self._grippers] = self._gripper_targets - self._point[self._grippers]
        self._advance(gap, gap * 0.0)
        return self.positions

    def stop_path(self) -> FloatArray:
        """Return what ``hold`` would command until the arm stands, (N, 3, D); nothing advances."""
        ahead, rows = deepcopy(self), []
        while ahead.moving:
            rows.append([ahead.hold(), ahead.velocities, ahead.accelerations])
        return np.reshape(rows, (-1, 3, len(self.lower)))

    def _check(self, values: FloatArray) -> None:
        if values.shape != self.lower.shape or not isfinite(values @ values):
            raise ValueError(f'expected {len(self.lower)} finite joint values, got {values}')

    def _advance(self, gap: FloatArray, speed: FloatArray) -> None:
        """Close ``gap`` (D,) to something that moves at ``speed`` (D,), as far as allowed."""
        gaps = self._gaps
        np.abs(gap, out=gaps[0])
        np.subtract(self.upper, self._point, out=gaps[1])
        np.subtract(self._point, self.lower, out=gaps[2])
        fastest = self._fastest(np.maximum(gaps, 0.0))
        up, down = np.minimum(fastest[1:], self._envelope.fastest(self._point))
        self.velocity_limit = np.maximum(self._allowed_velocity, self.velocity_limit - self._step)
        highest = np.minimum(np.minimum(self.velocity_limit, up), self._speed + self._step)
        lowest = np.maximum(np.maximum(-self.velocity_limit, -down), self._speed - self._step)
        wanted = speed + np.copysign(fastest[0], gap)
        self._speed = np.minimum(np.maximum(wanted, lowest), highest)
        self._point = self._point + self._speed * self._period
        self._curve.add(self._point)

    def _fastest(self, gaps: FloatArray) -> FloatArray:
        """Return the largest velocities after which braking ends within ``gaps``, (3, D)."""
        ticks = np.floor(0.5 * (np.sqrt(1.0 + self._eight_units * gaps) - 1.0))
        distance = gaps / self._period + self._half_step * ticks * (ticks + 1.0)
        return np.asarray(distance / (ticks + 1.0))


def _ranges(spec: RobotSpec, envelope: VelocityEnvelope) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest commanded positions, each of shape (D,)."""
    margin = np.maximum(spec.position_margin * spec.arm_mask, envelope.closed_margin)
    lower, upper = spec.limit_array('lower') + margin, spec.limit_array('upper') - margin
    if np.any(lower >= upper):
        raise ValueError(f'position_margin {spec.position_margin} leaves no range for '
                         f'{spec.joint_names[int(np.argmax(lower >= upper))]}')
    return lower, upper


def _jerk_limit(spec: RobotSpec) -> FloatArray:
    """Return the jerk limits, shape (D,); infinite where the robot file states none."""
    jerk = spec.limit_array('jerk') * spec.acceleration_scale
    return np.where(jerk > 0.0, jerk, np.inf)
