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
A twice differentiable curve under a jerk limit, made of the points that come tick by tick.

The mean of the last ``n`` points limits the jerk: the acceleration then changes by at most
``2 a / n`` a tick, and ``n`` is the smallest number that keeps this below the jerk limit (1 where
a tick is long enough). The means are the control points of a uniform cubic B-spline. At tick ``k``
its knot lies beside control point ``k - 1``::

    control points   c(k-2)    c(k-1)    c(k)
    weights            1/6       4/6      1/6     position
                      -1/2        0       1/2     velocity x period
                        1        -2        1      acceleration x period^2

Between two knots the acceleration is a straight line, so a cubic through the commanded positions
and velocities, or a quintic through the accelerations too, is this very curve. Every value on it
is an average of differences of points: bounds on those bound the curve at all times.
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
import numpy as np


class SmoothCurve:
    """The curve of D joints at its newest knot; not thread-safe."""

    def __init__(self, acceleration: FloatArray, jerk: FloatArray, period_s: float) -> None:
        """``acceleration``, ``jerk``: limits of shape (D,); points come every ``period_s``."""
        count = max(1, int(np.ceil(np.max(2.0 * acceleration / (jerk * period_s)) - 1e-9)))
        self.delay_s = period_s * (1.0 + 0.5 * (count - 1))
        self._period = period_s
        self._points = np.zeros((count, len(acceleration)))
        self._oldest = 0
        self.start(np.zeros(len(acceleration)), np.zeros(len(acceleration)))

    def start(self, point: FloatArray, velocities: FloatArray) -> None:
        """Be in even motion, with the newest point at ``point``, both of shape (D,)."""
        step = velocities * self._period
        count = len(self._points)
        self._points[:] = point - step * np.arange(count)[::-1, None]
        self._oldest = 0
        newest = point - 0.5 * (count - 1) * step
        self._control = (newest - 2 * step, newest - step, newest)
        self._bend = np.zeros(len(point))

    def add(self, point: FloatArray) -> None:
        """Take the next point, shape (D,), and go to the next knot."""
        self._points[self._oldest] = point
        self._oldest = (self._oldest + 1) % len(self._points)
        # Without the shift the mean of equal numbers would not be that number.
        mean = point + (self._points - point).mean(axis=0) if len(self._points) > 1 else point
        self._control = (self._control[1], self._control[2], mean)
        before, middle, after = self._control
        self._bend = before - middle + (after - middle)

    @property
    def positions(self) -> FloatArray:
        """Return the positions at the knot, shape (D,)."""
        return np.asarray(self._control[1] + self._bend / 6.0)

    @property
    def velocities(self) -> FloatArray:
        """Return the velocities at the knot, shape (D,)."""
        return np.asarray((self._control[2] - self._control[0]) / (2.0 * self._period))

    @property
    def accelerations(self) -> FloatArray:
        """Return the accelerations at the knot, shape (D,)."""
        return self._bend / self._period**2

    @property
    def spread(self) -> FloatArray:
        """Return how far apart the points are that still shape the curve, shape (D,)."""
        points = np.vstack([self._points, self._control])
        return np.asarray(np.ptp(points, axis=0))
