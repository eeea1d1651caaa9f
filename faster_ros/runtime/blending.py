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
Rules that merge a new chunk into the executing trajectory, ours and those of other systems.

``smooth`` is ours. The others are here so that they can be compared on one arm::

    synchronous   a chunk is executed to its end, from its first row; the arm then waits
    restart       the newest chunk begins with its first row when it arrives
    hard_switch   rows are due by their time, the newest chunk rules at once
    average       0.3 x executing + 0.7 x new wherever both have a row (LeRobot)
    ensemble      mean of all chunks that have a row, the oldest weighs most (ACT)
    crossfade     linear fade from the executing to the new chunk within the seam
    smooth        fades with zero speed and acceleration at both ends, fast and slow, on a C2 curve

Only the arm is merged like this; the gripper never is (``action_timeline.py``).
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
from faster_ros.runtime.trajectories import (
    GRID_NS,
    smooth_rows,
    SmoothCourse,
    standing_rows,
    StraightLines,
    Times,
    Trajectory,
)
import numpy as np

_PAST_STEPS = 20  # of the grid: a control tick that is late still reads there
_SOFT_START = 3.0  # times as long is the seam from standing
_KEPT, _KEPT_SEAMS = 0.5, 6.0  # most of a gap that fades slowly, and in how many seams
_FADE = 0.85  # of a slope left after each step of the grid, a time constant of 60 ms


class MergeRule:
    """
    How a chunk joins the executing trajectory; one object for one arm.

    ``restarts``: a chunk begins when it arrives, whatever its stamp says. ``waits``: nothing is
    taken while a chunk is executing.
    """

    restarts = False
    waits = False

    def reset(self) -> None:
        """Forget the chunks seen."""

    def merge(self, executing: Trajectory | None, chunk: StraightLines,
              now_ns: int) -> Trajectory:
        """Return the trajectory from ``now_ns`` on; ``executing`` is None when there is none."""
        raise NotImplementedError


class HardSwitch(MergeRule):
    """Time-aligned rows; the newest chunk rules at once."""

    def merge(self, executing: Trajectory | None, chunk: StraightLines,
              now_ns: int) -> Trajectory:
        """Return the chunk's rows, reached from where the executing trajectory is."""
        if executing is None:
            return chunk
        later = chunk.times > now_ns
        times, rows = chunk.times[later], chunk.rows[later]
        overlap = times <= executing.end_ns
        old = [executing.at(int(time)) for time in times[overlap]]
        if old:
            share = self._share(np.asarray((times[overlap] - now_ns) * 1e-9, dtype=float))
            rows = rows.copy()
            rows[overlap] = (1 - share) * np.array(old) + share * rows[overlap]
        return _joined(executing, now_ns, times, rows)

    def _share(self, ahead_s: FloatArray) -> FloatArray:
        """Return the weight of the new chunk that many seconds ahead, shape (T, 1)."""
        return np.ones((len(ahead_s), 1))


class Restart(HardSwitch):
    """The newest chunk from its first row, when it arrives."""

    restarts = True


class Synchronous(Restart):
    """One chunk after the other, each to its end."""

    waits = True


class ConstantAverage(HardSwitch):
    """LeRobot's ``weighted_average``: the same share of the new chunk over the whole overlap."""

    def _share(self, ahead_s: FloatArray) -> FloatArray:
        return np.full((len(ahead_s), 1), 0.7)


class LinearCrossfade(HardSwitch):
    """A share of the new chunk that grows linearly over the seam."""

    def __init__(self, blend_s: float) -> None:
        """``blend_s``: length of the seam."""
        self._blend_s = blend_s

    def _share(self, ahead_s: FloatArray) -> FloatArray:
        if self._blend_s == 0.0:
            return np.ones((len(ahead_s), 1))
        return np.clip(ahead_s / self._blend_s, 0.0, 1.0)[:, None]


class TemporalEnsemble(MergeRule):
    """ACT's mean of all chunks with weights ``exp(-decay i)``, ``i = 0`` the oldest one."""

    def __init__(self, decay: float = 0.01, most: int = 100) -> None:
        """Keep at most ``most`` chunks."""
        self._decay, self._most = decay, most
        self._chunks: list[StraightLines] = []

    def reset(self) -> None:
        """Forget the chunks seen."""
        self._chunks = []

    def merge(self, executing: Trajectory | None, chunk: StraightLines,
              now_ns: int) -> Trajectory:
        """Return the weighted mean at the times of the new chunk's rows."""
        running = [old for old in self._chunks if old.end_ns > now_ns]
        self._chunks = [*running, chunk][-self._most:]
        if executing is None:
            return chunk
        times = chunk.times[chunk.times > now_ns]
        rows = np.array([self._mean(int(time)) for time in times])
        return _joined(executing, now_ns, times, rows)

    def _mean(self, time_ns: int) -> FloatArray:
        covering = [chunk for chunk in self._chunks
                    if chunk.begin_ns <= time_ns <= chunk.end_ns]
        weights = np.exp(-self._decay * np.arange(len(covering)))
        rows = np.array([chunk.at(time_ns) for chunk in covering])
        return np.asarray(weights @ rows / weights.sum())


class SmoothSeam(MergeRule):
    """
    A C2 course, faded from the executing one into the chunk's by a curve without a kick.

    A fade over ``blend_s`` between courses a gap ``g`` apart takes ``5.77 g / blend_s^2`` of
    acceleration at its worst. From standing it takes three times as long. Where the executing
    course ends before, the gap keeps the size and loses the slope that it has there.

    Where a chunk comes late, half of the gap fades six times as slowly; less of it where it is
    late by one to two of its rows, nothing below; rows that stand at its beginning do not count.
    A late chunk answers an observation from before the executing one took effect: were it
    followed wholly, each chunk would go on from the last but one, and the arm would swing between
    two courses that nothing brings together. What is kept of the executing course couples them,
    and averages what contradicts itself.
    """

    def __init__(self, blend_s: float) -> None:
        """``blend_s``: length of the seam."""
        self._blend_s = blend_s

    def merge(self, executing: Trajectory | None, chunk: StraightLines,
              now_ns: int) -> Trajectory:
        """Return the executing course up to now and its fade into the chunk."""
        step_ns = int(chunk.times[1] - chunk.times[0]) if len(chunk.times) > 1 else GRID_NS
        begin_ns = chunk.begin_ns if executing is None else now_ns
        first = begin_ns // GRID_NS - (1 if executing is None else _PAST_STEPS)
        steps = np.arange(first, chunk.end_ns // GRID_NS + 3, dtype=np.int64)
        points = smooth_rows(chunk.begin_ns, step_ns, chunk.rows, steps)
        if executing is None:
            return SmoothCourse(first, points, begin_ns, chunk.end_ns)
        gap = _gap(executing, steps, points)
        # What shapes the target up to now, control points up to two steps ahead, stays.
        start = max(now_ns, chunk.begin_ns) // GRID_NS + 2
        standing = not isinstance(executing, SmoothCourse)
        moves_ns = int(chunk.times[standing_rows(chunk.rows)])
        late = min(max((now_ns - moves_ns) / step_ns - 1.0, 0.0), 1.0)
        kept, seam_s = ((0.0, _SOFT_START * self._blend_s) if standing
                        else (_KEPT * late, self._blend_s))
        left = (1.0 - kept) * _left(steps - start, seam_s)
        left += kept * _left(steps - start, _KEPT_SEAMS * seam_s)
        begin_ns = max(executing.begin_ns, (first + 1) * GRID_NS)
        return SmoothCourse(first, points + left[:, None] * gap, begin_ns, chunk.end_ns)


def _left(steps: Times, seconds: float) -> FloatArray:
    """Return how much of a gap is left, 1 to 0, at grid ``steps`` (T,) after its seam began."""
    share = np.clip(steps / max(seconds * 1e9 / GRID_NS, 1.0), 0.0, 1.0)
    return np.asarray(1.0 - share**3 * (10 - 15 * share + 6 * share**2))


def _joined(executing: Trajectory, now_ns: int, times: Times, rows: FloatArray) -> StraightLines:
    """Return lines through the executing trajectory up to now and the rows (N, D) after it."""
    past_ns = now_ns - _PAST_STEPS * GRID_NS
    return StraightLines(np.concatenate([[past_ns, now_ns], times]),
                         np.vstack([executing.at(past_ns), executing.at(now_ns), rows]))


def _gap(executing: Trajectory, steps: Times, points: FloatArray) -> FloatArray:
    """Return the executing trajectory minus control ``points`` (T, D) at grid ``steps`` (T,)."""
    if not isinstance(executing, SmoothCourse):
        return np.array([executing.at(int(step) * GRID_NS) for step in steps]) - points
    known = np.clip(steps - executing.first, 0, len(executing.points) - 1)
    gap = executing.points[known] - points
    last = int(np.searchsorted(steps, executing.first + len(executing.points))) - 1
    beyond = np.arange(1, len(steps) - last)[:, None]
    slope = gap[last] - gap[last - 1] if last > 0 else np.zeros(gap.shape[1])
    gap[last + 1:] = gap[last] + _FADE / (1 - _FADE) * (1 - _FADE**beyond) * slope
    return gap


RULES = ('synchronous', 'restart', 'hard_switch', 'average', 'ensemble', 'crossfade', 'smooth')


def make_rule(name: str, blend_s: float) -> MergeRule:
    """Return the rule of that name from ``RULES`` for one arm; ``blend_s``: length of a seam."""
    simple: dict[str, type[MergeRule]] = {
        'synchronous': Synchronous, 'restart': Restart, 'hard_switch': HardSwitch,
        'average': ConstantAverage, 'ensemble': TemporalEnsemble}
    if name in simple:
        return simple[name]()
    if name == 'crossfade':
        return LinearCrossfade(blend_s)
    if name == 'smooth':
        return SmoothSeam(blend_s)
    raise ValueError(f"merge rule '{name}' is unknown; expected one of {', '.join(RULES)}")
