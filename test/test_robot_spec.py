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
"""Robot files: every shipped one is right, and every mistake is named."""

import copy
from pathlib import Path

from faster_ros.robot_spec import config_path, load_robot_spec, RobotSpec
import numpy as np
import pytest
import yaml

ROBOTS = sorted(file.stem for file in config_path('config').glob('*.yaml'))
ONE_ARM = [name for name in ROBOTS if not load_robot_spec(name).arms]


def fr3():
    """Return the plain mapping of the FR3's file."""
    return copy.deepcopy(yaml.safe_load(config_path('config/fr3.yaml').read_text()))


def changed(path, value):
    """Return the FR3's mapping with one entry changed; ``path`` is dotted."""
    data = node = fr3()
    *parents, last = path.split('.')
    for key in parents:
        node = node[key]
    node[last] = value
    return data


@pytest.mark.parametrize('robot', ROBOTS)
def test_every_shipped_robot_file_loads_and_survives_a_round_trip(robot):
    spec = load_robot_spec(robot)
    assert RobotSpec.from_dict(spec.to_dict(), 'again') == spec
    assert config_path(f'urdf/{spec.urdf}').exists()


def test_vectors_are_in_the_order_of_the_joints():
    spec = load_robot_spec('fr3')
    assert spec.joint_names == (*spec.arm_joint_names, 'fr3_finger_joint1')
    assert spec.gripper_index == 7
    assert spec.limit_array('upper')[7] == 0.04
    assert np.all(spec.home_positions >= spec.limit_array('lower'))


@pytest.mark.parametrize('path, value, message', [
    ('speed', 1.0, "unknown key 'speed'"),
    ('joints.fr3_joint2.snap', 1.0, r"unknown key 'joints\.fr3_joint2\.snap'"),
    ('joints.fr3_joint2.jerk', -1.0, r"'joints\.fr3_joint2\.jerk' must be positive, or 0"),
    ('joints.fr3_joint2.envelope_deceleration', 0.0, "'joints.fr3_joint2.envelope_offset' needs"),
    ('gripper.latency_s', 3.0, r"'gripper\.latency_s' must be in \[0, 2\], got 3\.0"),
    ('cameras.wrist.topik', '/x', r"unknown key 'cameras\.wrist\.topik'"),
    ('joints.fr3_joint1', {'lower': 1.0, 'upper': -1.0, 'velocity': 1.0, 'acceleration': 1.0},
     r"'joints\.fr3_joint1\.lower' must be below 'joints\.fr3_joint1\.upper', got 1\.0 and -1\.0"),
    ('joints.fr3_joint1.upper', 157.2, 'these look like degrees'),
    ('joints.fr3_joint1.velocity', 0.0, 'must be positive, got 0.0'),
    ('joints.fr3_joint1.velocity', '2.6 rad/s', r"plain number in SI units .* got '2\.6 rad/s'"),
    ('joints.fr3_joint1.velocity', float('nan'), 'must be finite, got nan'),
    ('velocity_scale', 1.5, r"'velocity_scale' must be in \(0, 1\], got 1\.5"),
    ('gripper.joint', 'fr3_joint1', "'gripper.joint' must be the last entry of 'joints'"),
    ('gripper.open', 40.0, r"'gripper\.open' must lie in \[0\.0, 0\.04\], got 40\.0"),
    ('gripper.open', 0.0, "'gripper.closed' and 'gripper.open' must differ"),
    ('home.fr3_joint4', 0.5, r"'home\.fr3_joint4' must lie in"),
    ('home', {'fr3_joint1': 0.0}, "'home' must name exactly the joints"),
    ('cameras.front.width', 640.5, "'cameras.front.width' must be a whole number"),
    ('cameras.front.rate_hz', 0, "'cameras.front.rate_hz' must be positive"),
    ('cameras', {}, "'cameras' must be a mapping with entries"),
    ('command_mode', 'servo', "'command_mode' must be one of joint_trajectory, .* got 'servo'"),
    ('command_topic', '/joint_states', 'are both /joint_states; what the arm reports would be'),
    ('command_mode', 'joint_state', "'gripper.mode' joint_state and 'command_mode' joint_state"),
    ('command_speed_percent', 0, r"'command_speed_percent' must be in \[1, 100\], got 0"),
    ('gripper.mode', 'suction', "'gripper.mode' must be one of"),
    ('gripper.command_open', 0.0, "'gripper.command_closed' and 'gripper.command_open' must"),
    ('gripper.effort', 0.0, "'gripper.effort' must be positive"),
    ('robot', 7, "'robot' must be a text, got 7"),
    ('joints', [1, 2], "'joints' must be a mapping"),
])
def test_a_mistake_in_a_robot_file_is_named(path, value, message):
    with pytest.raises(ValueError, match=f'my_arm.yaml: .*{message}'):
        RobotSpec.from_dict(changed(path, value), 'my_arm.yaml')


def two_arms():
    """Return the mapping of a robot of two FR3 arms."""
    data = fr3()
    of_an_arm = ('base_frame', 'tool_frame', 'joints', 'gripper', 'home', 'command_mode',
                 'command_topic', 'command_speed_percent', 'driver_ready_topic',
                 'driver_speed_topic', 'state_topic', 'workspace', 'driver_gates', 'recovery')
    arm = {key: data.pop(key) for key in of_an_arm}
    data['base_frame'] = 'table'
    arms = {name: copy.deepcopy(arm) for name in ('a', 'b')}
    for name, part in arms.items():
        for key in ('command_topic', 'state_topic'):
            part[key] = f'/{name}{part[key]}'
        part['gripper']['topic'] = f"/{name}{part['gripper']['topic']}"
    return data | {'arms': arms}


def test_two_arms_are_one_vector_of_joints_with_unique_names():
    spec, one = RobotSpec.from_dict(two_arms(), 'two.yaml'), load_robot_spec('fr3')
    names = one.joint_names
    assert spec.joint_names == (*(f'a_{name}' for name in names), *(f'b_{name}' for name in names))
    assert spec.gripper_indices == [7, 15]
    assert list(spec.arm_mask) == ([True] * 7 + [False]) * 2
    assert spec.state_topics == ('/a/joint_states', '/b/joint_states')
    np.testing.assert_array_equal(spec.home_positions, np.tile(one.home_positions, 2))
    for arm, part in spec.parts.values():
        assert arm.driver_joint_names == names
        assert arm.joint_names == spec.joint_names[part]
        assert arm.gripper.joint == arm.joint_names[-1]
    assert RobotSpec.from_dict(spec.to_dict(), 'again') == spec


def test_the_driver_of_one_of_two_arms_may_run_in_a_namespace():
    data = two_arms()
    data['arms']['b']['driver_namespace'] = 'right'
    spec = RobotSpec.from_dict(data, 'two.yaml')
    assert spec.state_topics == ('/a/joint_states', '/right/b/joint_states')
    assert [arm.driver_root for arm, _ in spec.parts.values()] == ['', '/right']
    assert spec.grippers[1].topic.startswith('/right/b/')
    assert RobotSpec.from_dict(spec.to_dict(), 'again') == spec


def test_one_arm_is_the_only_part_of_its_robot():
    spec = load_robot_spec('fr3')
    assert spec.parts == {'': (spec, slice(0, 8))}
    assert spec.driver_joint_names == spec.action_names == spec.joint_names


@pytest.mark.parametrize('name', ['gripper', 'gripper_index', 'arm_joint_names', 'tool_frame',
                                  'command_mode', 'command_topic', 'command_speed_percent',
                                  'driver_ready_topic', 'driver_speed_topic', 'state_topic',
                                  'driver_joint_names'])
def test_what_belongs_to_one_arm_is_refused_for_two(name):
    with pytest.raises(ValueError, match='has arms a, b; this serves robots with one arm only'):
        getattr(RobotSpec.from_dict(two_arms(), 'two.yaml'), name)


@pytest.mark.parametrize('arm, key, value, message', [
    ('b', 'joints', {}, "arms.b: 'joints' must be a mapping with entries"),
    ('b', 'velocity_scale', 0.1, 'arms.b must be a mapping with keys of an arm'),
    ('a', 'command_mode', 'servo', "arms.a: 'command_mode' must be one of"),
    ('b', 'state_topic', '/a/joint_states', "'arms.a.state_topic' and 'arms.b.state_topic' are"),
    ('b', 'state_topic', '/a/fr3_arm_controller/joint_trajectory',
     "'arms.a.command_topic' and 'arms.b.state_topic' are both"),
    ('b', 'driver_names', {'fr3_joint9': 'x'}, "arms.b: 'driver_names' has fr3_joint9; expected"),
    ('b', 'driver_names', {'fr3_joint1': 'fr3_joint2'}, 'gives two joints one name'),
    ('b', 'joint_prefix', 'b_', "arms.b: 'joint_prefix' is 'b_'; expected none"),
])
def test_a_mistake_in_one_of_two_arms_is_named(arm, key, value, message):
    data = two_arms()
    data['arms'][arm][key] = value
    with pytest.raises(ValueError, match=f'two.yaml: .*{message}'):
        RobotSpec.from_dict(data, 'two.yaml')


def test_a_robot_with_arms_states_nothing_of_an_arm_beside_them():
    with pytest.raises(ValueError, match="unknown key 'command_topic'"):
        RobotSpec.from_dict(two_arms() | {'command_topic': '/x'}, 'two.yaml')
    with pytest.raises(ValueError, match="'arms' must be a mapping of two arms or more"):
        RobotSpec.from_dict(two_arms() | {'arms': {'a': {}}}, 'two.yaml')


def test_the_cobot_magic_is_fourteen_joints_and_two_of_its_base():
    spec = load_robot_spec('cobot_magic')
    joints = [*(f'joint{n}' for n in range(1, 7)), 'gripper']
    assert spec.joint_names == tuple(f'{side}_{joint}' for side in ('left', 'right')
                                     for joint in joints)
    assert spec.action_names == spec.joint_names
    mobile = load_robot_spec('cobot_magic_mobile')
    assert mobile.joint_names == spec.joint_names
    assert mobile.action_names == (*spec.joint_names, 'base_linear_x', 'base_angular_z')


def test_a_missing_key_is_named():
    data = fr3()
    del data['state_topic']
    with pytest.raises(ValueError, match="key 'state_topic' is missing"):
        RobotSpec.from_dict(data, 'my_arm.yaml')


def test_an_unknown_robot_and_an_unreadable_file_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"robot 'fr33' is unknown; expected one of .*fr3"):
        load_robot_spec('fr33')
    with pytest.raises(ValueError, match='absent.yaml does not exist'):
        load_robot_spec(str(tmp_path / 'absent.yaml'))
    bad = Path(tmp_path / 'bad.yaml')
    bad.write_text('robot: [fr3')
    with pytest.raises(ValueError, match='bad.yaml is not valid YAML'):
        load_robot_spec(str(bad))


def test_a_file_may_state_only_what_differs_from_another(tmp_path):
    (tmp_path / 'base.yaml').write_text(yaml.safe_dump(fr3(), sort_keys=False))
    (tmp_path / 'mine.yaml').write_text(
        'based_on: base.yaml\nrobot: mine\njoints:\n  fr3_joint2: {velocity: 1.0}\n')
    spec = load_robot_spec(str(tmp_path / 'mine.yaml'))
    assert spec.robot == 'mine'
    assert spec.joint_names == load_robot_spec('fr3').joint_names
    assert spec.joints['fr3_joint2'].velocity == 1.0
    assert spec.joints['fr3_joint2'].upper == fr3()['joints']['fr3_joint2']['upper']
    (tmp_path / 'typo.yaml').write_text('based_on: base.yaml\ngripper: {opn: 0.04}\n')
    with pytest.raises(ValueError, match=r"typo.yaml: unknown key 'gripper\.opn'"):
        load_robot_spec(str(tmp_path / 'typo.yaml'))
    (tmp_path / 'lost.yaml').write_text('based_on: nowhere.yaml\n')
    with pytest.raises(ValueError, match=r'nowhere\.yaml does not exist'):
        load_robot_spec(str(tmp_path / 'lost.yaml'))
    (tmp_path / 'self.yaml').write_text('based_on: self.yaml\n')
    with pytest.raises(ValueError, match='too many files'):
        load_robot_spec(str(tmp_path / 'self.yaml'))


def test_every_shipped_file_has_its_keys_in_the_same_order():
    required = list(fr3())
    place = required.index('joints')
    order = [*required[:place], 'arms', *required[place:], 'driver_names', 'base']
    for file in config_path('config').glob('*.yaml'):
        keys = [key for key in yaml.safe_load(file.read_text()) if key != 'based_on']
        assert keys == [key for key in order if key in keys], file.name
        if 'based_on' not in file.read_text():
            assert keys == required, file.name


@pytest.mark.parametrize('robot', ONE_ARM)
def test_a_prefix_and_a_namespace_rename_joints_frames_and_topics_but_no_camera(robot):
    plain, left = load_robot_spec(robot), load_robot_spec(robot, 'left_', 'left')
    assert left.joint_names == tuple(f'left_{name}' for name in plain.joint_names)
    assert list(left.home) == list(left.joints)
    assert left.gripper.joint == f'left_{plain.gripper.joint}'
    assert left.tool_frame == f'left_{plain.tool_frame}'
    for key in ('command_topic', 'state_topic', 'driver_ready_topic', 'driver_speed_topic'):
        topic = getattr(plain, key)
        assert getattr(left, key) == ('none' if topic == 'none' else f'/left{topic}')
    assert left.gripper.topic == f'/left{plain.gripper.topic}'
    assert left.cameras == plain.cameras
    assert RobotSpec.from_dict(left.to_dict(), 'again') == left


def test_a_file_may_state_prefix_and_namespace_and_arguments_replace_them(tmp_path):
    file = tmp_path / 'left.yaml'
    file.write_text(f"based_on: {config_path('config/ur5e.yaml')}\nrobot: left_ur5e\n"
                    'joint_prefix: left_\ndriver_namespace: /left\n')
    assert load_robot_spec(str(file)).joint_names[0] == 'left_shoulder_pan_joint'
    assert load_robot_spec(str(file)).state_topic == '/left/joint_states'
    assert load_robot_spec(str(file), 'a_').joint_names[0] == 'a_shoulder_pan_joint'
    written = tmp_path / 'written.yaml'
    written.write_text(yaml.safe_dump(load_robot_spec(str(file)).to_dict(), sort_keys=False))
    assert load_robot_spec(str(written)).joint_names[0] == 'left_shoulder_pan_joint'
