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
"""How soon an arm obeyed, read from its commands."""

from faster_ros.evaluation.stop_times import HeardCommand, is_steady, stop_times, summary
import pytest

MS = 1_000_000
SPEEDS = [0.5] * 30 + [0.4, 0.2] + [0.0] * 5
COMMANDS = [HeardCommand(index * 10 * MS, -speed) for index, speed in enumerate(SPEEDS)]


def test_it_counts_to_the_first_command_that_brakes_and_on_to_the_last_that_moves():
    times = stop_times(COMMANDS, 293 * MS, 0.5)
    assert times.reaction == pytest.approx(0.007)
    assert times.last == pytest.approx(0.017)
    assert times.braking == pytest.approx(0.010)


def test_a_command_that_holds_the_whole_stop_is_the_last_one_and_the_arm_goes_on_braking():
    times = stop_times([*COMMANDS[:30], HeardCommand(300 * MS, -0.499, stop_s=0.09)],
                       293 * MS, 0.5)
    assert times.reaction == times.last == pytest.approx(0.007)
    assert times.braking == pytest.approx(0.09)


@pytest.mark.parametrize('commands, event_ms, words', [
    (COMMANDS[:-5], 293, 'do not end in a standing arm'),
    (COMMANDS[:30], 293, 'do not end in a standing arm'),
    (COMMANDS, 320, 'braked 20.0 ms before the event'),
])
def test_a_stop_that_cannot_be_told_is_refused(commands, event_ms, words):
    with pytest.raises(ValueError, match=words):
        stop_times(commands, event_ms * MS, 0.5)


def test_steady_is_a_run_of_one_speed_up_to_now():
    assert is_steady(COMMANDS[:30], 0.5)
    assert not is_steady(COMMANDS[:31], 0.5)
    assert not is_steady(COMMANDS[:10], 0.5)
    assert not is_steady(COMMANDS[:30], 0.6)


def test_the_summary_is_in_ms():
    assert summary([0.001, 0.002, 0.009]) == {
        'count': 3, 'p50_ms': 2.0, 'p99_ms': 8.86, 'max_ms': 9.0}
