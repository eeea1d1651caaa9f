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

from faster_ros.data.stream_meter import StreamMeter
from hypothesis import given, strategies as st
import pytest

MS = 1_000_000


def heard(stamps_ms, delays_ms=None, **given):
    """Return a meter of 100 Hz that heard stamps, each so long after it, and when that was."""
    meter, now = StreamMeter(10 * MS, 12 * MS, **given), 0
    for stamp, delay in zip(stamps_ms, delays_ms or [3] * len(stamps_ms)):
        now = (stamp + delay) * MS
        meter.add(stamp * MS, now)
    return meter, now


def test_a_meter_counts_what_a_silence_of_any_length_has_lost():
    meter, now = heard((0, 10, 20, 50, 60, 10_060, 10_070))
    assert (meter.received, meter.missed(now), meter.backwards) == (7, 2 + 999, 0)


def test_a_stream_that_may_pause_has_lost_nothing_in_a_pause():
    meter, now = heard((0, 10, 50, 60, 10_060, 10_070), pauses=True)
    assert meter.missed(now) == 3
    assert meter.missed(now + 5000 * MS) == 3


def test_a_clock_that_is_set_is_no_silence():
    ahead, now = heard((0, 10, 20, 5030, 5040), (3, 3, 3, -4997, -4997))
    assert (ahead.missed(now), ahead.backwards) == (0, 0)
    back, now = heard((5000, 5010, 20, 30), (3, 3, 5003, 5003))
    assert (back.missed(now), back.backwards) == (0, 1)
    assert back.rate_hz(now) == pytest.approx(100.0)


def test_what_is_stamped_late_and_comes_after_all_is_not_lost():
    meter, now = heard((0, 10, 28, 30, 40, 56, 64, 72, 80, 116, 118, 120, 122, 130))
    assert meter.missed(now) == 0
    meter, now = heard((0, 10, 28, 30, 40, 60, 70, 79, 90))  # one is lost, and none comes for it
    assert meter.missed(now) == 1


def test_what_an_overrun_queue_has_lost_is_counted_though_the_rest_comes_at_once():
    meter, now = heard((0, 10, 20, 430, 440), (3, 3, 3, 600, 590))
    assert meter.missed(now) == 40


def test_a_stream_that_falls_silent_has_no_rate_and_loses_more_and_more():
    meter, now = heard(range(0, 1000, 10))
    assert meter.rate_hz(now) == pytest.approx(100.0)
    assert meter.missed(now + 900 * MS) == 0
    assert (meter.rate_hz(now + 2000 * MS), meter.missed(now + 2000 * MS)) == (0.0, 199)


def test_a_stream_is_slow_where_most_of_it_is_and_not_for_what_is_lost():
    (lossy, _), (slow, _) = heard((0, 10, 30, 40, 50, 90)), heard(range(0, 1000, 20))
    assert (lossy.received, lossy.slow) == (6, 2)
    assert (slow.received, slow.slow) == (50, 49)


def test_a_reason_for_what_cannot_be_used_holds_until_something_can():
    meter, now = heard((0, 10))
    meter.refuse('too small')
    assert (meter.refused, meter.refusal) == (1, 'too small')
    meter.add(20 * MS, now)
    assert (meter.refused, meter.refusal) == (1, '')


@given(st.lists(st.integers(0, 200), min_size=1, max_size=80), st.integers(-5000, 5000))
def test_the_least_delay_tells_how_far_a_clock_is_off_however_messages_travel(travel_ms, off_ms):
    stamps = [10 * row for row in range(len(travel_ms))]
    meter, now = heard(stamps, [travel - off_ms for travel in travel_ms])
    assert meter.counted(now)['least_delay_s'] == pytest.approx(
        (min(travel_ms) - off_ms) / 1e3, abs=1e-9)
