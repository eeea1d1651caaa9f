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
"""Values that no motion has are found by what other episodes hold; real motions are kept."""

from faster_ros.data.recorded_episodes import Episode
from faster_ros.data.value_faults import wide_notes, with_faults
import numpy as np
import pytest

NAMES = ['shoulder', 'elbow', 'gripper']


def episodes(count=5, rows=100, scale=1.0):
    """Return episodes of two joints that swing and a gripper in [0, 0.08] that closes once."""
    rng = np.random.default_rng(0)
    time = np.arange(rows)[:, None]
    return [np.concatenate([
        scale * np.sin(time * rng.uniform(0.01, 0.2, 2) + rng.uniform(0, 6, 2)),
        np.where(time < rng.integers(20, 80), 0.08, 0.0)], 1) for _ in range(count)]


def recorded(rows):
    """Return episodes as a reader does."""
    return [Episode(one, 10.0, f'episode {number}') for number, one in enumerate(rows)]


def faults(rows, names=NAMES):
    """Return what is wrong with each of the episodes."""
    return [item.fault for item in with_faults(recorded(rows), names)]


@pytest.mark.parametrize('value', [1e100, -1e7, 1e5])
@pytest.mark.parametrize('count', [2, 5])
def test_an_episode_full_of_impossible_values_is_wrong_and_no_other(value, count):
    rows = episodes(count)
    rows[1][30:, 1] = value  # far more than a tenth of all rows
    found = faults(rows)
    assert found[1] == f'elbow is {value:g} in row 30, far outside its usual range'
    assert [place for place, fault in enumerate(found) if fault] == [1]


def test_impossible_values_in_most_episodes_leave_the_others():
    rows = episodes(5)
    for place in (0, 2, 4):
        rows[place][:50, 0] = 1e100
    assert [bool(fault) for fault in faults(rows)] == [True, False, True, False, True]


@pytest.mark.parametrize('count', [1, 2])
def test_a_glitch_of_a_gripper_is_wrong_and_named_with_its_range(count):
    rows = episodes()
    rows[3][40:40 + count, 2] = 5.0
    found = faults(rows)
    assert found[3] == ('gripper is 5 in row 40, a glitch: it is not held there, and elsewhere '
                        'within 0 to 0.08')
    assert sum(map(bool, found)) == 1


def test_a_glitch_of_a_column_that_rarely_moves_is_wrong():
    rows = [np.zeros((500, 1)) for _ in range(4)]
    for one in rows:
        one[100:103] = 1.0
    rows[2][300] = -50.0
    assert [bool(fault) for fault in faults(rows, ['suction'])] == [False, False, True, False]


@pytest.mark.parametrize('noise', [0.0, 1e-4])
@pytest.mark.parametrize('closed', [0.0, 255.0])
def test_a_gripper_that_closes_in_a_single_episode_is_right(noise, closed):
    rows = episodes(6)
    for one in rows:
        one[:, 2] = 0.08 + noise * np.random.default_rng(1).standard_normal(len(one))
    rows[4][50:, 2] = closed
    assert not any(faults(rows))


def test_a_trigger_that_is_pressed_for_a_single_row_is_right():
    rows = episodes()
    for one in rows:
        one[:, 2] = 0.0
        one[60, 2] = 1.0
    assert not any(faults(rows))


def test_a_joint_that_moves_in_a_single_episode_is_right_in_degrees_too():
    rows = episodes(6, scale=60.0)
    for one in rows:
        one[:, 1] = 0.0
    rows[2][:, 1] = np.linspace(0, 175, len(rows[2]))
    assert not any(faults(rows))


def test_a_fault_that_the_reader_found_stays():
    rows = episodes(3)
    bad = Episode(np.full((100, 3), np.nan), 10.0, '', fault='frames are missing')
    found = with_faults([bad, *recorded(rows)], NAMES)
    assert [item.fault for item in found] == ['frames are missing', '', '', '']


def test_an_episode_of_a_single_row_is_judged_like_the_others():
    assert not any(faults([np.zeros((1, 1)), np.ones((2, 1))], ['gripper']))


def test_a_gripper_in_other_units_in_one_episode_is_told():
    rows = episodes()
    rows[2][:, 2] *= 1000
    assert not any(faults(rows))
    assert wide_notes(recorded(rows), NAMES) == [
        'gripper spans 80 in episode 2 and 0.08 in the usual episode, which is a small part of '
        'its range then']
    assert wide_notes(recorded(episodes()), NAMES) == []
