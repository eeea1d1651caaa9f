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
go over from the executing trajectory to the new chunk by a rule of ``blending.py``::

    executing   ====================\
    new chunk      x  x  x  x        \======================
                   late rows  |<-seam->|
                             now

The gripper is never averaged: the newest chunk rules, with a latency of its own, and unless the
robot file says otherwise it is told open or closed, nothing in between, with hysteresis. Used by
``MotionController``; numpy only, takes the time as an argument.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TypeGuard

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.robot_parts import CLOSE_BELOW, OPEN_ABOVE
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.blending import make_rule, MergeRule
from faster_ros.runtime.trajectories import standing_rows, StraightLines, Trajectory
import numpy as np
from numpy.typing import NDArray

LONGEST_CHUNK_S = 60.0  # a longer one, by mistake, would take the control loop's time to merge


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

    def __init__(self, spec: RobotSpec, rule: MergeRule | None = None,
                 actuation_latency_s: float = 0.0, delay_s: float = 0.0) -> None:
        """
        Begin with no trajectory and at full speed; ``rule``: how chunks are merged.

        ``actuation_latency_s``: see the module; ``delay_s``: of the command behind its target.
        """
        self._names = spec.joint_names
        self._grippers = spec.gripper_indices
        self._closed = np.array([gripper.closed for gripper in spec.grippers])
        self._open = np.array([gripper.open for gripper in spec.grippers])
        self._binary = np.array([gripper.binary for gripper in spec.grippers])
        self._rule = rule or make_rule('smooth', 0.12)
        self._actuation_s, self._delay_s = actuation_latency_s, delay_s
        self._gripper_latencies_s = [gripper.latency_s for gripper in spec.grippers]
        self.slow_down(1.0)
        self.counters = TimelineCounters()
        self._reset_ns: int | None = None
        self._last_start_ns: int | None = None
        self._clear()

    def slow_down(self, share: float) -> None:
        """
        Let the time of all calls pass at ``share``, 0 to 1, of the wall clock's speed.

        Our own delay and the gripper's last as long as ever, so less becomes due in them. What
        the arm's driver adds is stretched with its motion: measured in that time it is the same.
        """
        self._latency_ns = round((self._actuation_s + share * self._delay_s) * 1e9)
        self._gripper_latencies_ns = [round(share * latency_s * 1e9)
                                      for latency_s in self._gripper_latencies_s]

    def _clear(self) -> None:
        self._trajectory: Trajectory | None = None
        self._aim: Trajectory | None = None
        self._gripper_times: list[int] = []
        self._gripper_shares: FloatArray = np.empty((0, len(self._grippers)))
        self._is_open: NDArray[np.bool_] | None = None

    def reset(self, now_ns: int) -> None:
        """Forget the trajectory; chunks whose observation is older than now are discarded."""
        self._clear()
        self._rule.reset()
        self._reset_ns = now_ns
        self._last_start_ns = None

    @property
    def restarts(self) -> bool:
        """Return whether a chunk begins when it arrives, whatever its stamp says."""
        return self._rule.restarts

    @property
    def has_trajectory(self) -> bool:
        """Return whether chunks were merged since the last reset."""
        return self._trajectory is not None

    def merge(self, chunk: ActionChunk, now_ns: int, held: FloatArray | None = None,
              from_rest: bool = False) -> bool:
        """
        Take a chunk into the trajectory; returns False if there was nothing to use in it.

        ``held``: shape (D,), where the arm is held if no trajectory is executing. ``from_rest``:
        the arm stood since the observation, so the chunk begins now with its first row, or the
        last one that stands there; by its time it would begin with a jump over the rows that
        passed meanwhile. A chunk from before the last reset, or wholly in the past, is discarded.
        A malformed one is a ValueError, one that is older than its predecessor an
        OutOfOrderError; both change nothing.
        """
        try:
            self._check(chunk, now_ns)
        except ValueError:
            self.counters.rejected += 1
            raise
        read_ns = now_ns + self._latency_ns
        executing = self._trajectory if _covers(self._trajectory, read_ns) else None
        busy = self._rule.waits and executing is not None and chunk.start_ns < executing.end_ns
        if busy or (self._reset_ns is not None and chunk.start_ns < self._reset_ns):
            self.counters.discarded += 1
            return False
        rows = np.array(chunk.actions, dtype=float)
        due = chunk.start_ns + chunk.step_ns * np.arange(len(chunk.actions), dtype=np.int64)
        if (from_rest or self._rule.restarts) and due[-1] >= read_ns:
            due += max(0, read_ns - int(due[standing_rows(rows) if from_rest else 0]))
        late = int(np.searchsorted(due, read_ns))
        self.counters.late_steps += late
        if late == len(due):
            self.counters.discarded += 1
            return False
        if executing is None and held is not None:
            executing = StraightLines(np.array([read_ns]), np.array(held, dtype=float)[None])
        self._set_gripper(due, rows)
        self._aim = StraightLines(due, rows)
        self._trajectory = self._rule.merge(executing, self._aim, read_ns)
        self._last_start_ns = chunk.start_ns
        self.counters.merged += 1
        return True

    def sample(self, now_ns: int) -> FloatArray | None:
        """Return the target at ``now_ns``, shape (D,), or None where there is none."""
        read_ns = now_ns + self._latency_ns
        if not _covers(self._trajectory, read_ns):
            return None
        target = self._trajectory.at(read_ns)
        target[self._grippers] = self._gripper_targets(read_ns)
        return target

    def plan(self, times: list[int]) -> FloatArray:
        """
        Return what is executed at increasing ``times`` if no chunk comes, shape (T, D).

        These are the rows as they are due in the arm, without the latencies that ``sample``
        makes up for; T is smaller where the trajectory ends before, and 0 without one.
        """
        trajectory = self._trajectory
        if trajectory is None:
            return np.empty((0, len(self._names)))
        covered = times[:bisect_right(times, trajectory.end_ns)]
        targets = np.array([trajectory.at(time) for time in covered])
        targets = targets.reshape(len(covered), len(self._names))
        rows = [max(bisect_right(self._gripper_times, time) - 1, 0) for time in covered]
        shares = self._gripper_shares[rows]
        shares = np.where(self._binary, shares >= 0.5, shares)
        targets[:, self._grippers] = self._closed + shares * (self._open - self._closed)
        return targets

    def aim(self, now_ns: int) -> FloatArray | None:
        """Return what the newest chunk alone asks for, shape (D,), or None without one."""
        return None if self._aim is None else self._aim.at(now_ns + self._latency_ns)

    def remaining_s(self, now_ns: int) -> float:
        """Return how long the trajectory lasts from now, in s; 0 when there is none."""
        if self._trajectory is None:
            return 0.0
        return max(0.0, (self._trajectory.end_ns - now_ns - self._latency_ns) * 1e-9)

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
        length_s = (len(chunk.actions) - 1) * chunk.step_ns * 1e-9
        if length_s > LONGEST_CHUNK_S:
            raise ValueError(f'chunk lasts {length_s:g} s; expected at most {LONGEST_CHUNK_S:g} '
                             's; are its times in another unit?')
        if chunk.start_ns > now_ns + chunk.step_ns:
            ahead = (chunk.start_ns - now_ns) * 1e-9
            raise ValueError(f'chunk answers an observation {ahead:.3f} s in the future; '
                             'synchronise the clocks')
        if self._last_start_ns is not None and chunk.start_ns <= self._last_start_ns:
            raise OutOfOrderError(
                f'chunk answers the observation of {chunk.start_ns} ns, not newer than the one '
                f'before it ({self._last_start_ns} ns)')

    def _set_gripper(self, due: np.ndarray, rows: FloatArray) -> None:
        self._gripper_times = due.tolist()
        self._gripper_shares = (rows[:, self._grippers] - self._closed) / (
            self._open - self._closed)

    def _gripper_targets(self, read_ns: int) -> FloatArray:
        rows = [max(bisect_right(self._gripper_times, read_ns + latency_ns) - 1, 0)
                for latency_ns in self._gripper_latencies_ns]
        shares = self._gripper_shares[rows, range(len(rows))]
        if self._is_open is None:
            self._is_open = shares >= 0.5
        self._is_open = np.where(self._is_open, shares >= CLOSE_BELOW, shares > OPEN_ABOVE)
        shares = np.where(self._binary, self._is_open, shares)
        return np.asarray(self._closed + shares * (self._open - self._closed))


def _covers(trajectory: Trajectory | None, time_ns: int) -> TypeGuard[Trajectory]:
    return trajectory is not None and trajectory.begin_ns <= time_ns <= trajectory.end_ns
