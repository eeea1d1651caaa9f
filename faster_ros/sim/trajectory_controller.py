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
The rules of ros2_control's joint_trajectory_controller, without ROS.

A trajectory is accepted or rejected with a reason; an accepted one replaces the running one and
starts from the current desired state (``interpolate_from_desired_state``). Between two points the
interpolation is linear (positions), cubic (with velocities) or quintic (with accelerations).
After the last point its position is held. Points in the past are skipped, as the controller does:
the desired state steps onto the trajectory. Called by sim_node, once for the arm, once for the
gripper, and by libfranka_node.

Sources, in ros2_controllers (Jazzy), package joint_trajectory_controller::

    unknown joint, times not increasing,     validate_trajectory_msg; partial goals need
    end in the past, velocity at the end,    allow_partial_joints_goal, a velocity at the end
    wrong sizes, effort values               allow_nonzero_velocity_at_trajectory_end
    linear, cubic, quintic                   Trajectory::interpolate_between_points
    points in the past, hold after the end   Trajectory::sample
    start from the desired state             interpolate_from_desired_state
    replaced by the newest                   topic_callback, add_new_trajectory_msg
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
import math

from faster_ros.interfaces import FloatArray
import numpy as np

_END_VELOCITY_TOLERANCE = 1e-6


class CommandRejected(ValueError):
    """A command that a driver refuses; the text says what was expected and what came."""


class TrajectoryRejected(CommandRejected):
    """A trajectory that the controller refuses."""


@dataclass(frozen=True)
class TrajectoryPoint:
    """
    One way point of J joints, due ``time_from_start_ns`` after the start of the trajectory.

    ``positions``, ``velocities``, ``accelerations``: J numbers each in rad, rad/s, rad/s^2 (m for
    a gripper); the last two may be empty.
    """

    time_from_start_ns: int
    positions: Sequence[float]
    velocities: Sequence[float] = ()
    accelerations: Sequence[float] = ()


@dataclass(frozen=True)
class _Knot:
    """A way point on the ROS clock in the controller's joint order."""

    time_ns: int
    positions: FloatArray
    velocities: FloatArray | None
    accelerations: FloatArray | None


class TrajectoryController:
    """
    Follows the newest accepted trajectory of a fixed set of joints.

    ``set_trajectory`` and ``sample`` may be called from two threads: the running trajectory is
    one immutable object that is exchanged as a whole.
    """

    def __init__(self, joint_names: Sequence[str], positions: FloatArray) -> None:
        self.joint_names = tuple(joint_names)
        self._knots: tuple[_Knot, ...] = ()
        self.hold(positions)

    def hold(self, positions: FloatArray) -> None:
        """Forget the trajectory and hold ``positions``, shape (J,)."""
        if len(positions) != len(self.joint_names):
            raise ValueError(
                f'expected {len(self.joint_names)} positions to hold, got {len(positions)}'
            )
        self._knots = (_Knot(0, np.array(positions, dtype=np.float64), None, None),)

    def sample(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Return desired positions and velocities at ``now_ns``, each of shape (J,)."""
        positions, velocities, _ = self._desired(now_ns)
        return positions, velocities

    def set_trajectory(
        self,
        joint_names: Sequence[str],
        stamp_ns: int,
        points: Sequence[TrajectoryPoint],
        now_ns: int,
    ) -> None:
        """Replace the trajectory; ``stamp_ns`` 0 means now; raises TrajectoryRejected."""
        order = self._column_order(joint_names)
        self._check_points(points)
        start_ns = stamp_ns if stamp_ns != 0 else now_ns
        late_s = (now_ns - start_ns - points[-1].time_from_start_ns) / 1e9
        if stamp_ns != 0 and late_s > 0:
            raise TrajectoryRejected(
                'expected a trajectory that ends in the future (or stamp 0 '
                f'for now), got one that ended {late_s:.3f} s ago'
            )
        desired = _Knot(now_ns, *self._desired(now_ns))
        knots = (self._knot(point, start_ns, order) for point in points)
        self._knots = (desired, *knots)

    def _column_order(self, joint_names: Sequence[str]) -> list[int]:
        names = list(joint_names)
        expected = ', '.join(self.joint_names)
        for problem, found in (
            ('unknown joint', [name for name in names if name not in self.joint_names]),
            ('missing joint', [name for name in self.joint_names if name not in names]),
            ('repeated joint', sorted({name for name in names if names.count(name) > 1})),
        ):
            if found:
                raise TrajectoryRejected(
                    f'{problem} {", ".join(found)}; expected exactly '
                    f'{expected}, got {", ".join(names) or "none"}'
                )
        return [names.index(name) for name in self.joint_names]

    def _check_points(self, points: Sequence[TrajectoryPoint]) -> None:
        if not points:
            raise TrajectoryRejected('expected at least one point, got none')
        previous_ns = -1
        for index, point in enumerate(points):
            if point.time_from_start_ns <= previous_ns:
                raise TrajectoryRejected(
                    f'expected times that increase from 0 s, got point {index} at '
                    f'{point.time_from_start_ns / 1e9:.4f} s after {previous_ns / 1e9:.4f} s'
                )
            previous_ns = point.time_from_start_ns
            self._check_sizes(index, point)
        last = points[-1].velocities
        if len(last) and np.max(np.abs(last)) > _END_VELOCITY_TOLERANCE:
            raise TrajectoryRejected(
                'expected velocity 0 at the last point, got '
                f'{[round(float(value), 4) for value in last]}'
            )

    def _check_sizes(self, index: int, point: TrajectoryPoint) -> None:
        count = len(self.joint_names)
        for field in ('positions', 'velocities', 'accelerations'):
            values = getattr(point, field)
            if len(values) == 0 and field != 'positions':
                continue
            if len(values) != count:
                raise TrajectoryRejected(
                    f'expected {count} {field} in point {index}, got {len(values)}'
                )
            if not all(map(math.isfinite, values)):
                raise TrajectoryRejected(
                    f'expected finite {field} in point {index}, got {list(values)}'
                )

    @staticmethod
    def _knot(point: TrajectoryPoint, start_ns: int, order: list[int]) -> _Knot:
        def reorder(values: Sequence[float]) -> FloatArray | None:
            return np.asarray(values, dtype=np.float64)[order] if len(values) else None

        positions = np.asarray(point.positions, dtype=np.float64)[order]
        return _Knot(
            start_ns + point.time_from_start_ns,
            positions,
            reorder(point.velocities),
            reorder(point.accelerations),
        )

    def _desired(self, now_ns: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        # A message may begin in the past, so only its own points are ordered in time; the
        # desired state in front of them counts while the first of them is still to come.
        knots = self._knots
        times = [knot.time_ns for knot in knots[1:]]
        index = bisect_right(times, now_ns)
        if index == len(knots) - 1:
            zero = np.zeros(len(self.joint_names))
            return knots[-1].positions.copy(), zero, zero.copy()
        return _interpolate(knots[index], knots[index + 1], now_ns)


def _interpolate(
    start: _Knot, end: _Knot, now_ns: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Evaluate the polynomial of the lowest order that meets both knots."""
    span = (end.time_ns - start.time_ns) / 1e9
    t = max(0, now_ns - start.time_ns) / 1e9
    gap = end.positions - start.positions
    if start.velocities is None or end.velocities is None:
        speed = gap / span
        return start.positions + speed * t, speed, np.zeros_like(speed)
    v0, v1 = start.velocities, end.velocities
    if start.accelerations is None or end.accelerations is None:
        c2 = (3 * gap / span - 2 * v0 - v1) / span
        c3 = (v0 + v1 - 2 * gap / span) / span**2
        c4 = c5 = np.zeros_like(c2)
    else:
        a0, a1 = start.accelerations, end.accelerations
        c2 = a0 / 2
        c3 = (20 * gap / span - 8 * v1 - 12 * v0 - (3 * a0 - a1) * span) / (2 * span**2)
        c4 = (-30 * gap / span + 14 * v1 + 16 * v0 + (3 * a0 - 2 * a1) * span) / (2 * span**3)
        c5 = (12 * gap / span - 6 * (v1 + v0) + (a1 - a0) * span) / (2 * span**4)
    return (
        start.positions + t * (v0 + t * (c2 + t * (c3 + t * (c4 + t * c5)))),
        v0 + t * (2 * c2 + t * (3 * c3 + t * (4 * c4 + t * 5 * c5))),
        2 * c2 + t * (6 * c3 + t * (12 * c4 + t * 20 * c5)),
    )
