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
"""Keys of a terminal: arrows and letters, and presses that end by themselves."""

from faster_ros.teleop.keys import AXES, BUTTONS, cue, decode, KeyStick
from faster_ros.teleop.teleop_spec import load_teleop_spec
import pytest

MS = 1_000_000


def test_keys_that_are_sent_together_are_told_apart():
    assert decode('w\x1b[C\x1b[Dg\t \x1b') == ['w', 'right', 'left', 'g', 'tab', 'space',
                                               'escape']


def test_a_press_deflects_its_axis_for_a_short_while():
    stick = KeyStick()
    assert stick.press('s', 0)
    assert stick.press('m', 100 * MS)
    assert not stick.press('y', 0)
    assert stick.read(120 * MS) == ([-1.0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0])
    assert stick.read(200 * MS) == ([0.0] * 6, [0, 1, 0, 0, 0])
    assert stick.read(300 * MS) == ([0.0] * 6, [0] * 5)


def test_opposite_keys_cancel():
    stick = KeyStick()
    stick.press('a', 0)
    stick.press('d', 0)
    assert stick.read(1)[0] == [0.0] * 6


def test_the_keyboard_file_reads_every_axis_and_button():
    (leader,) = load_teleop_spec('keyboard').leaders.values()
    assert {axis.axis for axis in leader.joy.cartesian.values()} == {
        place for place, _ in AXES.values()}
    last = leader.joy.joints['7']
    used = {leader.joy.mode, leader.gripper.close, last.plus, last.minus}
    assert used == set(BUTTONS.values())


def status(recording, episodes=3, seconds=None, reason=''):
    """Return what recorder_node tells."""
    timed = {} if seconds is None else {'seconds': str(seconds)}
    return {'recording': recording, 'episodes': str(episodes), 'reason': reason, **timed}


@pytest.mark.parametrize(('before', 'now', 'words'), [
    ({}, status('idle'), ''),
    (status('idle'), status('recording', seconds=0.0), 'recording'),
    (status('recording', seconds=1.0), status('recording', seconds=1.2), ''),
    (status('recording', seconds=9.0), status('recording', seconds=0.1), 'recording'),
    (status('recording', seconds=9.0), status('idle', 4), 'episode 3 saved'),
    (status('recording', seconds=9.0), status('recording', 4, 0.1), 'episode 3 saved'),
    (status('recording', seconds=9.0), status('idle'), 'discarded'),
    (status('recording', seconds=9.0), status('stopped', 3, 9.0, 'stopped: 0.9 GB are left'),
     'stopped 0.9 GB are left'),
    (status('recording', seconds=9.0), status('idle', reason='the episode is lost: ...'),
     'episode lost'),
])
def test_a_person_who_looks_at_the_arm_is_told_what_becomes_of_the_recording(before, now, words):
    assert cue(before, now) == words
