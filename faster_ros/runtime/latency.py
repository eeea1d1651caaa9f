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
"""Sliding-window quantiles of a latency, without the warm-up; used by every node."""

from __future__ import annotations

from collections import deque

import numpy as np


class LatencyWindow:
    """
    The last ``size`` durations of one kind, in seconds.

    The first ``warm_up`` values are counted and thrown away: the first inference after a load
    takes many times longer than the rest and would delay every later decision. Old values age
    out, so one slow call does not rule for ever. Not thread-safe.
    """

    def __init__(self, size: int = 200, warm_up: int = 2) -> None:
        """Keep ``size`` values after ``warm_up`` ignored ones."""
        if size < 1 or warm_up < 0:
            raise ValueError(f'size must be at least 1 and warm_up at least 0, got {size} '
                             f'and {warm_up}')
        self._warm_up = warm_up
        self._values: deque[float] = deque(maxlen=size)
        self._quantiles: dict[float, float] = {}  # of these values; asked for much more than added
        self.count = 0

    def add(self, seconds: float) -> None:
        """Add one duration."""
        self.count += 1
        if self.count > self._warm_up:
            self._values.append(seconds)
            self._quantiles.clear()

    def quantile(self, q: float) -> float | None:
        """Return the quantile ``q`` in [0, 1] in seconds, or None before any value."""
        if self._values and q not in self._quantiles:
            self._quantiles[q] = float(np.quantile(self._values, q))
        return self._quantiles.get(q)

    @property
    def p50(self) -> float | None:
        """Return the median in seconds."""
        return self.quantile(0.5)

    @property
    def p99(self) -> float | None:
        """Return the 99 % quantile in seconds."""
        return self.quantile(0.99)

    @property
    def maximum(self) -> float | None:
        """Return the largest value of the window in seconds."""
        return max(self._values) if self._values else None
