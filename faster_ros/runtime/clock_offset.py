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
"""The ROS clock as seen from the steady clock, without the noise of reading both."""

from __future__ import annotations

_STEP_NS = 1_000_000   # a larger difference is a clock that was set
_UNINTERRUPTED_NS = 500_000  # three clock readings in a row take a few us
_SHARE = 0.01          # of each new difference that is taken over


class ClockOffset:
    """
    Converts steady times to ROS times; one thread.

    Two readings of two clocks are never at one time, so their difference jitters with the load
    of the machine; stamps made from it would too. Here it is smoothed, readings that were
    interrupted are left out, and a ROS clock that is set is followed at once.
    """

    def __init__(self) -> None:
        """Begin without any reading."""
        self._offset_ns: float | None = None
        self.steps = 0

    def to_ros_ns(self, time_ns: int, before_ns: int, ros_ns: int, after_ns: int) -> int:
        """Return a steady time on the ROS clock, read between two steady readings just now."""
        measured_ns = ros_ns - (before_ns + after_ns) // 2
        if self._offset_ns is None:
            self._offset_ns = float(measured_ns)
        if after_ns - before_ns < _UNINTERRUPTED_NS:
            difference_ns = measured_ns - self._offset_ns
            if abs(difference_ns) > _STEP_NS:
                self.steps += 1
                self._offset_ns = float(measured_ns)
            else:
                self._offset_ns += _SHARE * difference_ns
        return time_ns + round(self._offset_ns)
