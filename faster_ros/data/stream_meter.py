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
"""StreamMeter: how fast a stream comes, and what of it does not."""

from __future__ import annotations

from collections import deque

_WINDOW = 60  # stamps from which a rate is told


class StreamMeter:
    """
    Rate and gaps of a stream; its numbers count from the last ``restart``.

    ``refused``: messages that came and could not be used.
    """

    def __init__(self, period_ns: int) -> None:
        """``period_ns``: nominal time between two messages."""
        self._period_ns = period_ns
        self._stamps: deque[int] = deque(maxlen=_WINDOW)
        self.heard_ns: int | None = None
        self.received = self.missed = self.refused = 0

    def restart(self) -> None:
        """Count from here."""
        self.received = self.missed = self.refused = 0

    def add(self, stamp_ns: int, now_ns: int) -> None:
        """Note a message; a jump of its stamps counts as messages that are missing."""
        self.heard_ns = now_ns
        if self._stamps and 0 < stamp_ns - self._stamps[-1] < 100 * self._period_ns:
            self.missed += max(0, round((stamp_ns - self._stamps[-1]) / self._period_ns) - 1)
        self.received += 1
        self._stamps.append(stamp_ns)

    @property
    def rate_hz(self) -> float:
        """Return the rate of the last messages, 0 before there are any."""
        seconds = (self._stamps[-1] - self._stamps[0]) * 1e-9 if self._stamps else 0.0
        return (len(self._stamps) - 1) / seconds if seconds > 0 else 0.0
