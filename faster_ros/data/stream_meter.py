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
"""StreamMeter: how fast a stream comes, what of it does not come, and what its clock says."""

from __future__ import annotations

from collections import deque

import numpy as np

FRESH_NS = 1_000_000_000  # a stream that was not heard for longer is not there
CLOCK_SET_NS = 20_000_000  # a clock that jumps by more was set
_CATCHING_UP = 6  # messages after a gap, in which a clock that stamped late comes back
_WINDOW = 60  # messages from which rate and delay are told


class StreamMeter:
    """
    Rate, losses and clock of a stream; its numbers count from the last ``restart``.

    ``refused``: messages that came and could not be used; ``refusal``: why the last one, '' after
    one that can be used. ``backwards``: how often a stamp is older than the one before. ``slow``:
    how often one comes so much later that the stream is slow if most do.
    """

    def __init__(self, period_ns: int, slow_ns: int, pauses: bool = False) -> None:
        """
        ``period_ns``: nominal time between two messages; ``slow_ns``: from where on it is slow.

        ``pauses``: silence is no loss.
        """
        self._period_ns, self._slow_ns, self._pauses = period_ns, slow_ns, pauses
        self._stamps: deque[int] = deque(maxlen=_WINDOW)
        self._delays: deque[int] = deque(maxlen=_WINDOW)
        self.heard_ns: int | None = None
        self.refusal = ''
        self.restart()

    def restart(self) -> None:
        """Count from here."""
        self.received = self.refused = self.backwards = self.slow = self._missed = 0
        self._owed = self._behind_ns = self._even = 0  # of the last gap, see _count
        self._least_delay_ns = 0

    def add(self, stamp_ns: int, now_ns: int) -> None:
        """Note a message; a jump of its stamps counts as messages that are missing."""
        delay_ns = now_ns - stamp_ns
        if self.received:
            self._compare(stamp_ns, delay_ns)
        self._least_delay_ns = min(delay_ns, self._least_delay_ns) if self.received else delay_ns
        self._stamps.append(stamp_ns)
        self._delays.append(delay_ns)
        self.received += 1
        self.heard_ns, self.refusal = now_ns, ''

    def refuse(self, reason: str) -> None:
        """Note a message that cannot be used."""
        self.refused += 1
        self.refusal = reason

    def is_silent(self, now_ns: int) -> bool:
        """Return whether nothing was heard for a second."""
        return self.heard_ns is None or now_ns - self.heard_ns > FRESH_NS

    def missed(self, now_ns: int) -> int:
        """Return how many messages did not come, with those of a silence that lasts."""
        if self.heard_ns is None or not self.is_silent(now_ns):
            return self._missed
        return self._missed + self._between(now_ns - self.heard_ns)

    def rate_hz(self, now_ns: int) -> float:
        """Return the rate of the last messages, 0 before there are any and in a silence."""
        if len(self._stamps) < 2 or self.is_silent(now_ns):
            return 0.0
        seconds = (self._stamps[-1] - self._stamps[0]) * 1e-9
        return (len(self._stamps) - 1) / seconds if seconds > 0 else 0.0

    @property
    def delay_s(self) -> float:
        """Return the usual time from a stamp until it is heard, 0 before there is any."""
        return float(np.median(self._delays)) * 1e-9 if self._delays else 0.0

    def counted(self, now_ns: int) -> dict[str, float]:
        """
        Return what rows do not tell.

        ``least_delay_s``: the shortest time from a stamp until it was heard: how long a message
        travels, and how far the two clocks are apart.
        """
        return {'nominal_hz': 1e9 / self._period_ns, 'received': self.received,
                'missed': self.missed(now_ns), 'refused': self.refused,
                'backwards': self.backwards, 'slow': self.slow,
                'least_delay_s': self._least_delay_ns * 1e-9}

    def _compare(self, stamp_ns: int, delay_ns: int) -> None:
        step_ns = stamp_ns - self._stamps[-1]
        if step_ns < 0:
            self.backwards += 1
            self._stamps.clear()  # a rate over both sides of it is none
        elif delay_ns > self._least_delay_ns - CLOCK_SET_NS:
            # Where stamps run ahead of their arrival, their clock was set and nothing is lost.
            self._count(step_ns)
            self.slow += step_ns > self._slow_ns

    def _count(self, step_ns: int) -> None:
        """Count what is missing; what was stamped late only is caught up by the next few steps."""
        missing = self._between(step_ns)
        self._missed += missing
        self._owed += missing
        self._even = 0 if missing else self._even + 1
        self._behind_ns += step_ns - self._period_ns
        while self._owed and 2 * self._behind_ns < (2 * self._owed - 1) * self._period_ns:
            self._missed -= 1
            self._owed -= 1
        if not self._owed or self._even >= _CATCHING_UP:
            self._owed = self._behind_ns = 0

    def _between(self, step_ns: int) -> int:
        """Return how many messages are missing between two that are so far apart."""
        if self._pauses and step_ns > FRESH_NS:
            return 0
        return max(0, round(step_ns / self._period_ns) - 1)
