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
"""Episodes from stamped messages: begun, saved, discarded, and honest about what is missing."""

from faster_ros.data.stream_meter import StreamMeter

MS = 1_000_000


def test_a_meter_counts_gaps_and_not_a_clock_that_was_set():
    meter = StreamMeter(10 * MS)
    for stamp_ms in (0, 10, 20, 50, 60, 10_000, 10_010, 5, 15):
        meter.add(stamp_ms * MS, 0)
    assert (meter.received, meter.missed) == (9, 2)
