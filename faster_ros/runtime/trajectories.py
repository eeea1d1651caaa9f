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
Targets as functions of time: straight lines between rows, or a twice differentiable curve.

Times are integer nanoseconds; both kinds are immutable and end at ``end_ns``.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Protocol

from faster_ros.interfaces import FloatArray
import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]

GRID_NS = 10_000_000  # between the control points of a SmoothCourse


def standing_rows(rows: FloatArray) -> int:
    """Return how many rows after the first of (N, D) repeat it; 0 where all do."""
    moves = (rows != rows[0]).any(1)
    return int(np.argmax(moves)) - 1 if moves.any() else 0


class Trajectory(Protocol):
    """Targets of D joints from ``begin_ns`` to ``end_ns``."""

    begin_ns: int
    end_ns: int

    def at(self, time_ns: int) -> FloatArray:
        """Return the target at one time, shape (D,); the nearer end outside."""
        ...


class StraightLines:
    """Rows that are due at increasing times, joined by straight lines."""

    def __init__(self, times: Times, rows: FloatArray) -> None:
        """Join ``rows`` (N, D), N at least 1, that are due at ``times`` (N,)."""
        self.times, self.rows = times, rows
        self._due: list[int] = times.tolist()
        self.begin_ns, self.end_ns = self._due[0], self._due[-1]

    def at(self, time_ns: int) -> FloatArray:
        """Return the target at one time, shape (D,); the nearer end outside."""
        index = min(max(bisect_right(self._due, time_ns) - 1, 0), len(self._due) - 1)
        start_ns = self._due[index]
        if index + 1 == len(self._due) or time_ns <= start_ns:
            return np.array(self.rows[index])
        share = (time_ns - start_ns) / (self._due[index + 1] - start_ns)
        return np.asarray(self.rows[index] + share * (self.rows[index + 1] - self.rows[index]))

    def at_all(self, times: Times) -> FloatArray:
        """Return the targets at many times (T,): shape (T, D)."""
        return np.array([self.at(int(time)) for time in times]).reshape(len(times), -1)


class SmoothCourse:
    """
    A uniform cubic B-spline on the grid of all multiples of ``GRID_NS``.

    Control point ``first + i`` lies at that many grid steps; a curve through four of them is
    twice differentiable and never leaves their hull. All courses share one grid, so a part of an
    older one can be taken over as it is.
    """

    def __init__(self, first: int, points: FloatArray, begin_ns: int, end_ns: int) -> None:
        """``points``: (N, D), from one grid step before ``begin_ns`` to two after the end."""
        self.first, self.points = first, points
        self.begin_ns, self.end_ns = begin_ns, end_ns

    def at(self, time_ns: int) -> FloatArray:
        """Return the target at one time, shape (D,); the nearer end outside."""
        time_ns = min(max(time_ns, self.begin_ns), self.end_ns)
        step, rest = divmod(time_ns, GRID_NS)
        index = step - self.first - 1
        near = self.points[index:index + 4]
        # Differences, so that equal points give exactly their value.
        return np.asarray(near[1] + _weights(rest / GRID_NS) @ (near - near[1]))


def smooth_rows(begin_ns: int, step_ns: int, rows: FloatArray, steps: Times) -> FloatArray:
    """
    Return a C2 curve of ``rows`` (N, D) at grid ``steps`` (T,): shape (T, D).

    The rows are control points, ``step_ns`` apart; the curve begins and ends in the first and
    the last one, cuts the corners between them, and goes on straight beyond.
    """
    if len(rows) == 1:
        return np.repeat(rows, len(steps), axis=0)
    ends = [2 * rows[0] - rows[1]], [2 * rows[-1] - rows[-2]]
    padded = np.concatenate([ends[0], rows, ends[1]])
    place = (steps * GRID_NS - begin_ns) / step_ns
    index = np.clip(np.floor(place).astype(np.int64), 0, len(rows) - 2)
    inside = np.clip(place - index, 0.0, 1.0)
    weights = _weights(inside)
    near = padded[index + 1]
    curve = near + sum(weights[i][:, None] * (padded[index + i] - near) for i in range(4))
    before, after = np.minimum(place, 0.0), np.maximum(place - (len(rows) - 1), 0.0)
    return np.asarray(curve + before[:, None] * (rows[1] - rows[0])
                      + after[:, None] * (rows[-1] - rows[-2]))


def _weights(share: float | FloatArray) -> FloatArray:
    """Return the weights of a cubic B-spline's four control points, (4,) or (4, T)."""
    left = 1.0 - share
    return np.array([left**3, 4.0 - 3.0 * share**2 * (1.0 + left),
                     4.0 - 3.0 * left**2 * (1.0 + share), share**3]) / 6.0
