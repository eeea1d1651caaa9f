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
r"""
Chunks of actions merged by time into the one trajectory that is being executed.

Row ``k`` of a chunk is due at ``start_ns + k * step_ns``. A command takes ``actuation_latency``
to show in the arm, so at time ``now`` the trajectory is read at ``now + actuation_latency``, and
rows due before that are late: dropped by their time, never by a count. At a seam the arm's joints
fade linearly from the executing trajectory to the new chunk::

    executing   ====================\
    new chunk      x  x  x  x        \======================
                   late rows  |<-blend->|
                             now

The gripper is never averaged: the newest chunk rules, and it is told open or closed, nothing in
between, with hysteresis. Used by ``MotionController``; numpy only, takes the time as an argument.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.robot_spec import RobotSpec
import numpy as np
from numpy.typing import NDArray

_PAST_NS = 200_000_000          # kept of the past: a late control tick still reads there
_BLEND_KNOTS = 8                # straight pieces that stand for the curve of a crossfade
_CLOSE_BELOW, _OPEN_ABOVE = 0.4, 0.6  # hysteresis, share of the gripper's stroke


class OutOfOrderError(ValueError):
    """A chunk that answers an older observation than the one before it."""


@dataclass
class TimelineCounters:
    """What happened to the chunks and their rows."""

    merged: int = 0
    rejected: int = 0
    discarded: int = 0
    late_steps: int = 0


class ActionTimeline:
    """The executing trajectory of all D joints; not thread-safe."""

    def __init__(self, spec: RobotSpec, blend_s: float = 0.12,
                 actuation_latency_s: float = 0.0) -> None:
        """``blend_s``: length of the seam; ``actuation_latency_s``: see the module."""
        self._names = spec.action_names
        self._grippers = spec.gripper_indices
        self._closed = np.array([gripper.closed for gripper in spec.grippers])
        self._open = np.array([gripper.open for gripper in spec.grippers])
        self._blend_ns = round(blend_s * 1e9)
        self._latency_ns = round(actuation_latency_s * 1e9)
        self.counters = TimelineCounters()
        self._reset_ns: int | None = None
        self._last_start_ns: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._times: list[int] = []
        self._rows: FloatArray = np.empty((0, len(self._names)))
        self._gripper_times: list[int] = []
        self._gripper_shares: FloatArray = np.empty((0, len(self._grippers)))
        self._is_open: NDArray[np.bool_] | None = None

    def reset(self, now_ns: int) -> None:
        """Forget the trajectory; chunks whose observation is older than now are discarded."""
        self._clear()
        self._reset_ns = now_ns
        self._last_start_ns = None

    def merge(self, chunk: ActionChunk, now_ns: int, held: FloatArray | None = None,
              from_rest: bool = False) -> bool:
        """
        Take a chunk into the trajectory; returns False if there was nothing to use in it.

        ``held``: shape (D,), where the arm is held if no trajectory is executing. ``from_rest``:
        the arm stood since the observation, so the chunk begins now with its first row; by its
        time it would begin with a jump over the rows that passed meanwhile. A chunk from
        before the last reset, or wholly in the past, is discarded. A malformed one is a
        ValueError, one that is older than its predecessor an OutOfOrderError; both change
        nothing.
        """
        try:
            self._check(chunk, now_ns)
        except ValueError:
            self.counters.rejected += 1
            raise
        if self._reset_ns is not None and chunk.start_ns < self._reset_ns:
            self.counters.discarded += 1
            return False
        read_ns = now_ns + self._latency_ns
        due = chunk.start_ns + chunk.step_ns * np.arange(len(chunk.actions), dtype=np.int64)
        if from_rest and due[-1] >= read_ns:
            due += max(0, read_ns - chunk.start_ns)
        late = int(np.searchsorted(due, read_ns))
        self.counters.late_steps += late
        if late == len(due):
            self.counters.discarded += 1
            return False
        keep = max(late - 1, 0)  # the row before now is the other end of the first segment
        due, rows = due[keep:], np.array(chunk.actions[keep:], dtype=float)
        self._set_gripper(due, rows)
        self._splice(due, rows, read_ns, held)
        self._last_start_ns = chunk.start_ns
        self.counters.merged += 1
        return True

    def sample(self, now_ns: int) -> FloatArray | None:
        """Return the target at ``now_ns``, shape (D,), or None where there is none."""
        times = self._times
        read_ns = now_ns + self._latency_ns
        if not times or read_ns < times[0] or read_ns > times[-1]:
            return None
        index = bisect_right(times, read_ns) - 1
        target = self._rows[index].copy()
        if index + 1 < len(times):
            share = (read_ns - times[index]) / (times[index + 1] - times[index])
            target += share * (self._rows[index + 1] - target)
        target[self._grippers] = self._gripper_targets(read_ns)
        return np.asarray(target)

    def remaining_s(self, now_ns: int) -> float:
        """Return how long the trajectory lasts from now, in s; 0 when there is none."""
        if not self._times:
            return 0.0
        return max(0.0, (self._times[-1] - now_ns - self._latency_ns) * 1e-9)

    def _check(self, chunk: ActionChunk, now_ns: int) -> None:
        if chunk.names != self._names:
            raise ValueError(f"chunk has joints {', '.join(chunk.names) or 'none'}; expected "
                             f"{', '.join(self._names)} in this order")
        shape = np.shape(chunk.actions)
        if len(shape) != 2 or shape[0] < 1 or shape[1] != len(self._names):
            raise ValueError(f'chunk has actions of shape {shape}; expected at least one row of '
                             f'{len(self._names)} joints')
        finite = np.isfinite(chunk.actions)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise ValueError(f'chunk has {chunk.actions[row, column]} for {self._names[column]} '
                             f'in row {row}; expected finite numbers')
        if chunk.step_ns <= 0:
            raise ValueError(f'chunk has a step of {chunk.step_ns} ns; expected more than 0')
        if chunk.start_ns > now_ns + chunk.step_ns:
            ahead = (chunk.start_ns - now_ns) * 1e-9
            raise ValueError(f'chunk answers an observation {ahead:.3f} s in the future; '
                             'synchronise the clocks')
        if self._last_start_ns is not None and chunk.start_ns <= self._last_start_ns:
            raise OutOfOrderError(
                f'chunk answers the observation of {chunk.start_ns} ns, not newer than the one '
                f'before it ({self._last_start_ns} ns)')

    def _splice(self, due: np.ndarray, rows: FloatArray, read_ns: int,
                held: FloatArray | None) -> None:
        """Replace the trajectory by a fade from the executing one to the new rows."""
        if self._times and self._times[0] <= read_ns <= self._times[-1]:
            old_due, old_rows = np.array(self._times), self._rows
        elif held is not None:
            old_due, old_rows = np.array([read_ns - _PAST_NS]), np.array(held, dtype=float)[None]
        else:
            self._times, self._rows = due.tolist(), rows
            return
        start_ns = max(read_ns, int(due[0]))
        end_ns = start_ns + self._blend_ns
        knots = np.concatenate([
            [read_ns, start_ns, end_ns],
            np.linspace(start_ns, end_ns, _BLEND_KNOTS + 1).astype(np.int64),
            old_due[(old_due >= read_ns - _PAST_NS) & (old_due < end_ns)],
            due[due > read_ns],
        ])
        times = np.unique(knots[knots <= due[-1]])
        fade = np.clip((times - start_ns) / max(self._blend_ns, 1), 0.0, 1.0)[:, None]
        if self._blend_ns == 0:
            fade = (times >= start_ns).astype(float)[:, None]
        self._rows = (1 - fade) * _read(old_due, old_rows, times) + fade * _read(due, rows, times)
        self._times = times.tolist()

    def _set_gripper(self, due: np.ndarray, rows: FloatArray) -> None:
        self._gripper_times = due.tolist()
        self._gripper_shares = (rows[:, self._grippers] - self._closed) / (
            self._open - self._closed)

    def _gripper_targets(self, read_ns: int) -> FloatArray:
        index = max(bisect_right(self._gripper_times, read_ns) - 1, 0)
        shares = self._gripper_shares[index]
        if self._is_open is None:
            self._is_open = shares >= 0.5
        self._is_open = np.where(self._is_open, shares >= _CLOSE_BELOW, shares > _OPEN_ABOVE)
        return np.where(self._is_open, self._open, self._closed)


def _read(due: np.ndarray, rows: FloatArray, times: np.ndarray) -> FloatArray:
    """Interpolate ``rows`` (N, D) at ``times`` (T,) linearly, held at both ends: (T, D)."""
    if len(due) == 1:
        return np.repeat(rows, len(times), axis=0)
    index = np.clip(np.searchsorted(due, times, side='right') - 1, 0, len(due) - 2)
    share = np.clip((times - due[index]) / (due[index + 1] - due[index]), 0.0, 1.0)[:, None]
    return np.asarray((1 - share) * rows[index] + share * rows[index + 1])
