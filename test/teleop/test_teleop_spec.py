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
"""The files of teleop devices are read strictly, and those of the package fit their robots."""

from faster_ros.robot_spec import config_path, load_robot_spec
from faster_ros.teleop.device import make_leaders, PressedButton
from faster_ros.teleop.teleop_spec import load_teleop_spec, teleop_names
import pytest
import yaml

ROBOTS = {'gello': 'fr3', 'piper_leader': 'piper', 'cobot_magic_leader': 'cobot_magic',
          'gamepad': 'ur5e', 'spacemouse': 'fr3', 'keyboard': 'piper', 'phone': 'panda',
          'scripted_leader': 'fr3'}


@pytest.mark.parametrize('device', teleop_names())
def test_every_device_of_the_package_leads_its_robot(device):
    leaders = make_leaders(load_robot_spec(ROBOTS[device]), load_teleop_spec(device))
    assert all(leader.problem(0) for leader in leaders.values())


def test_two_leader_arms_lead_two_arms():
    leaders = make_leaders(load_robot_spec('cobot_magic'), load_teleop_spec('cobot_magic_leader'))
    assert {name: leader.topic for name, leader in leaders.items()} == {
        'left': '/master/joint_left', 'right': '/master/joint_right'}


def test_a_leader_for_an_arm_that_the_robot_has_not_is_named():
    with pytest.raises(ValueError, match='the teleop file leads left, right; robot fr3 has arm'):
        make_leaders(load_robot_spec('fr3'), load_teleop_spec('cobot_magic_leader'))


@pytest.mark.parametrize(('change', 'problem'), [
    ({'timeout_s': 0.0}, "'timeout_s' must be positive"),
    ({'timeouts': 1.0}, "unknown key 'timeouts'"),
    ({'leaders': {'arm': {}}},
     'expected exactly one of joint_state, joy, twist and pose, got none'),
    ({'toggle': {'topic': '/joy', 'button': 1}}, "expected 'deadman' or 'toggle', got both"),
    ({'leaders': {'arm': {'joy': {'topic': '/joy', 'cartesian': {'w': {'speed': 1.0}}}}}},
     "expected one of x, y, z, rx, ry, rz, got 'w'"),
    ({'leaders': {'arm': {'joy': {'topic': '/joy', 'joints': {'1': {'speed': 1.0}}}}}},
     "'1' needs an axis, or the buttons plus and minus"),
    ({'leaders': {'arm': {'joint_state': {'topic': '/l', 'follow': 'fast'}}}},
     "expected one of relative, absolute, got 'fast'"),
    ({'leaders': {'arm': {'joint_state': {'topic': '/l', 'gripper': {'closed': 0, 'open': 1}}}}},
     "arm.joint_state.gripper: expected 'leader', a joint, or 'topic'"),
])
def test_a_wrong_entry_is_named_with_the_file(tmp_path, change, problem):
    data = yaml.safe_load(config_path('config/teleop/gamepad.yaml').read_text())
    file = tmp_path / 'mine.yaml'
    file.write_text(yaml.safe_dump(data | change))
    with pytest.raises(ValueError, match='mine.yaml') as error:
        load_teleop_spec(str(file))
    assert problem in str(error.value)


def test_an_unknown_device_is_named():
    with pytest.raises(ValueError, match="'joystik' is unknown; expected one of cobot_magic"):
        load_teleop_spec('joystik')


def test_a_button_that_is_held_at_the_start_was_not_pressed():
    button = PressedButton('/joy', 1)
    assert [button.hear([0, held], 0) for held in (1, 1, 0, 1, 1, 0, 1)] == [
        False, False, False, True, False, False, True]


def test_the_first_press_of_a_button_that_was_not_reported_before_counts():
    button = PressedButton('/joy', 1)
    for buttons in ([], [1]):
        with pytest.raises(ValueError, match=f'/joy reports {len(buttons)} buttons so far; the '
                                             'one with the number 1 counts as released'):
            button.hear(buttons, 0)
        assert button.held is False
    assert button.hear([1, 1], 0)
    with pytest.raises(ValueError, match='counts as released'):
        button.hear([0], 0)
    assert not button.held
