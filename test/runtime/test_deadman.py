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
"""Motion only while a person holds a button, and never again by itself."""

from faster_ros.runtime.deadman import Deadman
import pytest

MS = 1_000_000
T0 = 10**12


def test_nothing_heard_yet_counts_as_released():
    assert 'nothing received on /joy; expected button 4' in Deadman('/joy', 4, 0.3).problem(T0)


@pytest.mark.parametrize('buttons, age_ms, words', [
    ([0, 0, 1], 0, ''),
    ([0, 0, 1], 299, ''),
    ([0, 0, 1], 301, 'nothing received on /joy for 0.30 s; limit 0.3 s'),
    ([0, 0, 1], -301, 'nothing received on /joy'),
    ([1, 1, 0], 0, 'button 2 on /joy is not held down'),
    ([1, 1], 0, '/joy reports 2 buttons; expected one with the number 2'),
    ([], 0, '/joy reports 0 buttons'),
])
def test_only_a_recent_report_of_the_button_counts(buttons, age_ms, words):
    deadman = Deadman('/joy', 2, 0.3)
    deadman.hear(buttons, T0)
    problem = deadman.problem(T0 + age_ms * MS)
    assert problem == '' if words == '' else words in problem


def test_pressing_again_counts_at_once():
    deadman = Deadman('/joy', 0, 0.3)
    for held in (1, 0, 1):
        deadman.hear([held], T0)
        assert (deadman.problem(T0) == '') is bool(held)
