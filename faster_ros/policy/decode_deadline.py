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
When an answer has to be there, decoding ends with the residual levels that are ready by then.

The coarse levels say where the arm goes; a chunk of fewer levels in time is worth more than a
finer one after the arm has had to stop. The number of passes is bounded anyway: J of them.
"""

from __future__ import annotations

from collections.abc import Callable
import time

import torch


class DecodeDeadline:
    """
    Tells, after each level, whether there is time for another; counts from its making.

    ``decode_s``: how long all levels so far took.
    """

    def __init__(self, within_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + within_s
        self._begun: float | None = None
        self._longest = 0.0
        self.decode_s = 0.0

    def begin(self) -> None:
        """Note that the first level is being decoded now."""
        self._begun = self._now()

    def passed(self) -> bool:
        """Note that a level is ready; returns whether another one would be too late."""
        assert self._begun is not None, 'begin() is called before the first level'
        now = self._now()
        self.decode_s += now - self._begun
        self._longest = max(self._longest, now - self._begun)
        self._begun = now
        return now + self._longest > self._end

    def _now(self) -> float:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()  # a pass that was only queued takes no time
        return self._clock()
