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

from faster_ros.teleop.keys import (
    AXES,
    BUTTONS,
    calls,
    ENGAGE,
    HAND_BACK,
    HOLD,
    KeyDecoder,
    KeyStick,
    Repeats,
)
from faster_ros.teleop.session import PAUSED
from faster_ros.teleop.teleop_spec import load_teleop_spec
from hypothesis import given, strategies as st
import pytest

MS = 1_000_000


ALONE = {'policy': 'false', 'deadman': 'false'}
BUTTON = {'policy': 'false', 'deadman': 'true'}
POLICY = {'policy': 'true', 'deadman': 'false'}
BOTH = {'policy': 'true', 'deadman': 'true'}
sequences = st.sampled_from([
    '\x1b[3~', '\x1b[H', '\x1b[F', '\x1b[1~', '\x1bOP', '\x1b[15~', '\x1b[24;2~', '\x1b[1;5C',
    '\x1b[1;3D', '\x1b[Z', '\x1b[200~', '\x1b[[A', '\x1bOH', '\x1bOj'])


def test_keys_that_are_sent_together_are_told_apart():
    decoder = KeyDecoder()
    assert decoder.read('w\x1b[C\x1bOC\x1b[D\x1bODg\t ', 0) == [
        'w', 'right', 'right', 'left', 'left', 'g', 'tab', 'space']


def test_esc_is_known_by_the_silence_after_it():
    decoder = KeyDecoder()
    assert decoder.read('\x1b', 0) == []
    assert decoder.read('', 33 * MS) == []
    assert decoder.read('', 66 * MS) == ['escape']
    assert decoder.read('', 99 * MS) == []
    assert decoder.read('\x1b', 200 * MS) == []
    assert decoder.read('w', 260 * MS) == ['escape', 'w']


@pytest.mark.parametrize('keys', ['\x1b\x1b', '\x1bw', '\x1b\t', '\x1b1\x1b[C', '\x1b\x1bOP'])
def test_a_hand_that_hits_esc_and_another_key_stops_and_does_nothing_else(keys):
    decoder = KeyDecoder()
    assert decoder.read(keys, 0) == ['escape']
    assert decoder.read('', 60 * MS) == []


@given(st.lists(sequences, max_size=5), st.integers(1, 6))
def test_keys_that_mean_nothing_here_are_left_out_whole_however_they_arrive(keys, size):
    text = 'w'.join([*keys, '\x1b[C'])
    decoder, heard = KeyDecoder(), []
    for place in range(0, len(text), size):
        heard += decoder.read(text[place:place + size], place // size * 30 * MS)
    assert heard + decoder.read('', 10**10) == ['w'] * len(keys) + ['right']


def test_a_held_key_repeats_and_one_that_is_pressed_later_does_not():
    repeats = Repeats()
    pressed = [0, 660, 690, 720, 750, 2000]
    assert [repeats.hear('right', at * MS) for at in pressed] == [
        False, True, True, True, True, False]
    assert not repeats.hear('left', 2010 * MS)


@pytest.mark.parametrize(('lead', 'teleop', 'call'), [
    ('idle', ALONE, (ENGAGE, True)), ('hold', ALONE, (ENGAGE, True)),
    ('human', ALONE, (ENGAGE, False)), ('hold', BUTTON, (ENGAGE, True)),
    ('policy', POLICY, (ENGAGE, True)), ('intervention', POLICY, (HAND_BACK, None)),
    ('hold', POLICY, (ENGAGE, True)), ('idle', POLICY, (ENGAGE, True)),
    ('policy', BOTH, (ENGAGE, True)), ('intervention', BOTH, (HAND_BACK, None)),
    ('hold', BOTH, (HAND_BACK, None)), ('idle', BOTH, (HAND_BACK, None)),
])
def test_tab_changes_between_the_person_and_the_policy(lead, teleop, call):
    assert calls('tab', False, lead, '', teleop, {}) == [call]


@pytest.mark.parametrize(('lead', 'before', 'reason', 'call'), [
    ('policy', '', '', (HOLD, None)), ('human', '', '', (HOLD, None)),
    ('hold', 'policy', PAUSED, (HAND_BACK, None)), ('hold', 'human', PAUSED, (ENGAGE, True)),
    ('hold', 'policy', 'button 1 is not held', (ENGAGE, True)),
    ('hold', 'intervention', 'nothing received', (ENGAGE, True)),
])
def test_space_lets_only_a_policy_go_on_that_it_has_paused(lead, before, reason, call):
    assert calls('space', False, lead, before, POLICY | {'reason': reason}, {}) == [call]


def test_a_held_key_stops_again_and_again_but_neither_saves_nor_sets_the_arm_going():
    recording = {'recording': 'recording'}
    for key in ('right', 'left', 'e'):
        assert calls(key, True, 'human', '', POLICY, recording) == []
    assert calls('tab', True, 'intervention', '', POLICY, {}) == []
    assert calls('tab', True, 'hold', '', POLICY, {}) == []
    assert calls('space', True, 'hold', 'policy', POLICY | {'reason': PAUSED}, {}) == []
    assert calls('tab', True, 'policy', '', POLICY, {}) == [(ENGAGE, True)]
    assert calls('tab', True, 'human', '', ALONE, {}) == [(ENGAGE, False)]
    assert calls('space', True, 'human', '', ALONE, {}) == [(HOLD, None)]
    assert calls('escape', True, 'human', '', ALONE, recording) == [
        ('control_node/stop', None), ('recorder_node/stop', None)]


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
    spec = load_teleop_spec('keyboard')
    assert spec.timeout_s <= 0.3  # for so long a terminal that was killed goes on moving the arm
    (leader,) = spec.leaders.values()
    assert {axis.axis for axis in leader.joy.cartesian.values()} == {
        place for place, _ in AXES.values()}
    last = leader.joy.joints['7']
    used = {leader.joy.mode, leader.gripper.close, last.plus, last.minus}
    assert used == set(BUTTONS.values())
