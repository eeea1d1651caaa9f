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
The time by which actions are due, when the driver slows the arm down.

At 30 percent of its speed an arm needs 10 s for 3 s of actions. Actions stay due by time, but by
a time that passes at the driver's speed: ``at`` maps the wall clock to it::

    due by |          _____/      100, then 0, then 50 percent; before the
           |    _____/            first change both are the same
           |   /
           |__/__________________ wall clock

An observation of the slowed arm is mapped like the present, so a chunk begins where the arm was
seen, however late it comes. Used by ``MotionController``.
"""

from __future__ import annotations

from bisect import bisect_right

_KEPT_NS = 60_000_000_000
_FULL = 1_000_000  # speeds are whole millionths: no rounding, however long it runs
_SLOWEST = 1  # a standing clock would make two observations one, and the newer one a duplicate


class DilatedClock:
    """Straight pieces of time, one for each speed that was told; not thread-safe."""

    def __init__(self) -> None:
        """Begin at full speed."""
        self._walls, self._dues, self._speeds = [0], [0], [_FULL]

    @property
    def at_full_speed(self) -> bool:
        """Return whether it passes as fast as the wall clock."""
        return self._speeds[-1] == _FULL

    def restart(self, now_ns: int) -> None:
        """Agree with the wall clock from now on."""
        self._walls, self._dues, self._speeds = [now_ns], [now_ns], self._speeds[-1:]

    def set_speed(self, share: float, now_ns: int) -> None:
        """Pass at ``share`` of the wall clock's speed from now on; 0 stands."""
        if not 0 <= share <= 1:
            raise ValueError(f'expected a share of the speed in [0, 1], got {share}')
        speed = max(round(share * _FULL), _SLOWEST)
        if speed == self._speeds[-1]:
            return
        due_ns = self.at(now_ns)
        # What was kept from a wall clock that has been set back is not the past any more.
        first = bisect_right(self._walls, now_ns - _KEPT_NS) - 1
        last = bisect_right(self._walls, now_ns)
        kept = slice(max(first, 0), last)
        self._walls = [*self._walls[kept], now_ns]
        self._dues = [*self._dues[kept], due_ns]
        self._speeds = [*self._speeds[kept], speed]

    def at(self, wall_ns: int) -> int:
        """Return what is due at a time of the wall clock, never more than that time."""
        index = bisect_right(self._walls, wall_ns) - 1
        if index < 0:
            return self._dues[0] - (self._walls[0] - wall_ns)
        passed_ns = wall_ns - self._walls[index]
        return self._dues[index] + passed_ns * self._speeds[index] // _FULL
