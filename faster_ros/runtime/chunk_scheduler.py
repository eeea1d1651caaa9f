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
"""When to ask the policy for its next chunk; used by ``policy_node`` and the simulator."""

from __future__ import annotations

from dataclasses import replace
import math

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.runtime.committed_plan import committed_rows
from faster_ros.runtime.latency import LatencyWindow
import numpy as np

WAIT_ABOVE_S = 0.45
_SETTLE_NS = 100_000_000  # from the last target to an arm that has come to rest there
_LONGEST_WAIT = 2.0  # of the expected latency; after it the chunk ends and the arm starves


class ChunkScheduler:
    """
    Asks for the next chunk so that it arrives after ``execution_horizon`` used steps.

    With a horizon of 4 steps and a latency of 1.5 steps (``T`` a chunk takes over, ``r`` the
    next one is requested)::

        steps     0   1   2   3   4   5   6   7   8
        chunk A   T---------r-----|
        chunk B                   T---------r-----|

    Whatever the horizon, the request is made early enough that the running chunk does not end
    before the next one arrives. The latency is a quantile of the measured ones, so the request
    moves with the machine.

    Above ``wait_above_s`` of latency the arm does not go on while the policy thinks. What it did
    meanwhile, the answer could not know, and the longer that is, the more a chunk spoils what the
    one before it began. A chunk then stands until it has arrived, moves for at least as long as
    the policy thinks, and stands again; the next observation is made there::

        steps     0   1   2   3   4   5   6   7   8   9
        chunk A   stands----T---------|stands---------
        chunk B                         r stands----T------

    Not thread-safe.
    """

    def __init__(self, execution_horizon: int = 4, latency_quantile: float = 0.9,
                 margin_s: float = 0.05, first_guess_s: float = 0.1,
                 wait_above_s: float = WAIT_ABOVE_S, joints: int | None = None) -> None:
        """
        ``first_guess_s`` stands in until a latency was measured.

        ``joints``: how many columns of a chunk are targets; those after them are a base's speeds.
        """
        if execution_horizon < 1:
            raise ValueError(f'execution_horizon must be at least 1, got {execution_horizon}')
        self.execution_horizon = execution_horizon
        self.latency = LatencyWindow()
        self._quantile = latency_quantile
        self._margin_s = margin_s
        self._first_guess_s = first_guess_s
        self._wait_above_s = wait_above_s
        self._joints = joints
        self._due_ns: int | None = None
        self._stands_ns: int | None = None  # from when on the arm waits for the next chunk
        self._end_ns = 0
        self._step_ns = 0

    def reset(self) -> None:
        """Forget the running chunk: the next one is due at once."""
        self._due_ns = self._stands_ns = None
        self._end_ns = 0

    def chunk_arrived(self, chunk: ActionChunk, now_ns: int, warm: bool = True) -> ActionChunk:
        """
        Note that ``chunk`` takes over now, and return what of it is to be executed.

        ``warm=False`` keeps its latency out.
        """
        if warm:
            self.latency.add((now_ns - chunk.start_ns) * 1e-9)
        self._step_ns, self._stands_ns = chunk.step_ns, None
        if self.expected_latency_s() > self._wait_above_s:
            chunk = self._between_waits(chunk, now_ns)
        self._end_ns = chunk.start_ns + (len(chunk.actions) - 1) * chunk.step_ns
        self._due_ns = now_ns + self.execution_horizon * chunk.step_ns
        return chunk

    def _between_waits(self, chunk: ActionChunk, now_ns: int) -> ActionChunk:
        """Return the chunk with rows that stand before and after those that move."""
        steps_of_thinking = self.expected_latency_s() * 1e9 / chunk.step_ns
        moves = max(self.execution_horizon, math.ceil(steps_of_thinking))
        before = max(now_ns - chunk.start_ns, 0) // chunk.step_ns + 1
        after = math.ceil(_LONGEST_WAIT * steps_of_thinking)
        rows = np.asarray(chunk.actions)[:moves + 1]
        first, last = rows[:1].copy(), rows[-1:].copy()
        for stands in (first, last):
            stands[:, self._joints or stands.shape[1]:] = 0.0
        end = before + len(rows) - 1
        self._stands_ns = chunk.start_ns + end * chunk.step_ns + _SETTLE_NS
        return replace(chunk, actions=np.concatenate(
            [np.repeat(first, before, 0), rows, np.repeat(last, after, 0)]))

    @property
    def waits(self) -> bool:
        """Return whether the arm stands where the running chunk ends, until the next one."""
        return self._stands_ns is not None

    def expected_latency_s(self) -> float:
        """Return the latency that the next request is expected to have, in s."""
        measured = self.latency.quantile(self._quantile)
        return self._first_guess_s if measured is None else measured

    def should_request(self, now_ns: int) -> bool:
        """Return True when it is time to ask."""
        if self._due_ns is None:
            return True
        if self._stands_ns is not None:
            return now_ns >= self._stands_ns
        latency_s = self.expected_latency_s()
        by_horizon = self._due_ns - int(latency_s * 1e9)
        by_end = self._end_ns - int((latency_s + self._margin_s) * 1e9)
        return now_ns >= min(by_horizon, by_end)

    def committed(self, plan: ActionChunk | None, stamp_ns: int) -> FloatArray | None:
        """Return what of the arm's plan an answer to an observation of ``stamp_ns`` finds done."""
        if not self._step_ns:
            return None
        return committed_rows(plan, stamp_ns, self._step_ns, self.expected_latency_s())

    def answer_within_s(self, now_ns: int) -> float | None:
        """Return how long the running chunk lasts from now, or None when none runs."""
        left_ns = self._end_ns - now_ns
        return left_ns * 1e-9 - self._margin_s if left_ns > 0 else None
