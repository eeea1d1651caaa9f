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
"""How regular a periodic loop is: deviations of its period from the nominal one."""

from __future__ import annotations

import numpy as np

_BIN_NS = 10_000
_BINS = 10_000  # up to 100 ms; more counts as 100 ms in the quantiles, not in the maximum


class PeriodMonitor:
    """
    Histogram of ``|period - nominal|``; one reader, one writer.

    The first ``warm_up_s`` seconds are not counted. Adding is a few additions, so that the
    measured loop does not feel it; the quantiles are exact to 10 us.
    """

    def __init__(self, period_ns: int, warm_up_s: float = 1.0) -> None:
        """``period_ns``: the nominal period."""
        self._period_ns = period_ns
        self._skip = round(warm_up_s * 1e9 / period_ns)
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self._last_ns: int | None = None
        self._maximum_ns = 0
        self.missed = 0

    def add(self, time_ns: int) -> None:
        """Note one turn of the loop at a time of a steady clock."""
        last_ns, self._last_ns = self._last_ns, time_ns
        if self._skip > 0 or last_ns is None:
            self._skip -= 1
            return
        deviation_ns = abs(time_ns - last_ns - self._period_ns)
        self._counts[min(deviation_ns // _BIN_NS, _BINS - 1)] += 1
        self._maximum_ns = max(self._maximum_ns, deviation_ns)
        self.missed += deviation_ns >= self._period_ns

    @property
    def maximum_ms(self) -> float:
        """Return the largest deviation in ms."""
        return self._maximum_ns * 1e-6

    def quantile_ms(self, q: float) -> float | None:
        """Return a quantile of the deviations in ms, or None before any."""
        sums = np.cumsum(self._counts)
        if sums[-1] == 0:
            return None
        return float(np.searchsorted(sums, q * sums[-1]) + 1) * _BIN_NS * 1e-6
