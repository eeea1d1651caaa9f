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
"""Clock conversion and the measure of a loop's regularity."""

from faster_ros.runtime.clock_offset import ClockOffset
from faster_ros.runtime.period_monitor import PeriodMonitor
import pytest

MS = 1_000_000


def convert(offset: ClockOffset, steady: int, ros: int, read_for: int = 0) -> int:
    return offset.to_ros_ns(steady, steady, ros, steady + read_for)


def test_stamps_do_not_jitter_with_the_reading_of_the_clocks():
    offset = ClockOffset()
    stamps = [convert(offset, tick * 10 * MS, 10**15 + tick * 10 * MS + noise)
              for tick, noise in enumerate([0, 90_000, 0, 500_000, 0, 90_000])]
    steps = [after - before for before, after in zip(stamps, stamps[1:])]
    assert all(abs(step - 10 * MS) < 10_000 for step in steps)
    assert offset.steps == 0


def test_an_interrupted_reading_is_left_out():
    offset = ClockOffset()
    convert(offset, 0, 10**15)
    assert convert(offset, 10 * MS, 10**15 + 40 * MS, 30 * MS) == 10**15 + 10 * MS
    assert offset.steps == 0


def test_a_clock_that_is_set_is_followed_at_once():
    offset = ClockOffset()
    convert(offset, 0, 10**15)
    assert convert(offset, 10 * MS, 2 * 10**15) == 2 * 10**15
    assert offset.steps == 1


def test_the_period_monitor_leaves_out_its_first_second():
    monitor = PeriodMonitor(10 * MS)
    for tick in range(90):
        monitor.add(tick * 15 * MS)
    assert monitor.quantile_ms(0.5) is None
    assert monitor.maximum_ms == 0


def test_the_period_monitor_gives_quantiles_maximum_and_missed_periods():
    monitor = PeriodMonitor(10 * MS, warm_up_s=0.0)
    now = 0
    monitor.add(now)
    for deviation in [0] * 98 + [3, 25]:
        now += (10 + deviation) * MS
        monitor.add(now)
    assert monitor.quantile_ms(0.5) == pytest.approx(0.01)
    assert monitor.quantile_ms(0.99) == pytest.approx(3.01)
    assert monitor.maximum_ms == pytest.approx(25)
    assert monitor.missed == 1
