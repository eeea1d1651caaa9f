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
"""Robots with several arms or a base, and drivers with names of their own for the joints."""

from dataclasses import replace
from pathlib import Path

from faster_ros.bringup import default_checkpoint
from faster_ros.doctor import checkpoint_checks, description_checks, joint_checks
from faster_ros.doctor.diagnose import diagnose
from faster_ros.doctor.facts import CheckpointFacts, Endpoint, Facts, TargetFacts
from faster_ros.policy.compatibility import read_config
from faster_ros.robot_spec import load_robot_spec
from healthy import arm, assert_line, joints, STATES, states, stream, urdf
import numpy as np
import pytest

COBOT = load_robot_spec('cobot_magic_mobile')
BASE = TargetFacts('/cmd_vel', 'geometry_msgs/msg/Twist',
                   (Endpoint('/base_driver', 'geometry_msgs/msg/Twist'),))


def cobot(base=BASE, **right):
    """Return the report on a healthy Cobot Magic; ``right`` replaces fields of its right arm."""
    arms = []
    for name, (spec, _) in COBOT.parts.items():
        driver = Endpoint(f'/{name}_piper', STATES)
        taken = TargetFacts(spec.command_topic, STATES, (driver,))
        arms.append(arm(spec, name, targets=(taken,), **(right if name == 'right' else {})))
    lines = diagnose(Facts(COBOT, tuple(arms), (), base)).lines
    assert len({line.check for line in lines}) == len(lines)
    return {line.check: line for line in lines}


def test_each_of_two_arms_and_the_base_have_lines_of_their_own():
    lines = cobot()
    for side in ('left', 'right'):
        for check in ('joint states', 'joint QoS', 'joint rate', 'joint stamps', 'joint names',
                      'joint units', 'arm receiver', 'arm senders', 'joint limits'):
            assert_line(lines[f'{side} {check}'], 'ok')
    assert_line(lines['base receiver'], 'ok', '/base_driver on /cmd_vel')
    assert_line(lines['base senders'], 'ok')


RIGHT, _ = COBOT.parts['right']
PIPER = tuple(f'joint{number}' for number in range(1, 7))


@pytest.mark.parametrize(('changes', 'check', 'found', 'remedy'), [
    ({'joints': joints(np.zeros(6), PIPER, complete=0, problem='lacks gripper')},
     'right joint names', 'lacks gripper', 'driver_names'),
    ({'joints': joints(np.zeros(7), RIGHT.joint_names, complete=0)}, 'right joint names',
     'got right_joint1', 'driver_names of one arm among several'),
    ({'joints': joints((90, *np.zeros(6)), (*PIPER, 'gripper'))}, 'right joint units',
     'joint1 at 90; joint1 looks like degrees', 'SI units'),
    ({'joints': joints((*np.zeros(6), 40), (*PIPER, 'gripper'))}, 'right joint units',
     'gripper looks like mm', 'SI units'),
    ({'driver': (stream(topic='/ready', publishers=()),)}, 'right driver ready',
     'nobody publishes /ready', 'start'),
    ({'gripper_action': '/grip'}, 'right gripper action', 'nobody serves /grip', 'gripper.mode'),
    ({'base': replace(BASE, publishers=(Endpoint('/joy', BASE.type_name),))}, 'base senders',
     '/joy publishes on /cmd_vel, which moves the base', 'a joystick or a navigation stack'),
    ({'base': replace(BASE, receivers=())}, 'base receiver', 'nobody takes commands on /cmd_vel',
     'start the driver'),
])
def test_a_fault_of_one_arm_or_of_the_base_is_the_only_critical_line(changes, check, found,
                                                                     remedy):
    lines = cobot(**changes)
    assert_line(lines.pop(check), 'critical', found, remedy)
    assert 'critical' not in states(lines.values())


def test_joints_are_judged_by_the_names_of_the_driver():
    spec = load_robot_spec('piper_2024')
    positions = np.array([0.1, 1.0, -1.0, 0.2, 0.3, 0.4, 0.05])
    reported = joints(positions, spec.driver_joint_names)
    assert reported.names[0] == 'joint0'
    assert_line(joint_checks.names(spec, reported), 'ok', 'in the order of the robot file')
    assert_line(joint_checks.units(spec, reported), 'ok')
    assert joint_checks.measured(spec, reported) == dict(zip(spec.joint_names, positions))
    beyond = replace(reported, positions=(*positions[:-1], 5.0))
    assert_line(joint_checks.units(spec, beyond), 'critical', 'joint6 at 5; joint6 looks like mm')


def test_a_description_may_call_the_joints_as_the_driver_does_or_as_the_robot_file():
    spec, whole = load_robot_spec('piper_2024'), urdf(COBOT)
    own = urdf(spec)
    drivers = own
    for name, word in zip(spec.joint_names, spec.driver_joint_names):
        drivers = drivers.replace(f'"{name}"', f'"{word}"')
    for text in own, drivers:
        assert_line(description_checks.limits(spec, '/robot_description', text), 'ok', 'within')
    for text in whole, urdf(load_robot_spec('piper')):
        assert_line(description_checks.limits(RIGHT, '/robot_description', text), 'ok', 'within')
    narrow = urdf(COBOT, right_joint1=(-1.0, 1.0, 3.0))
    assert_line(description_checks.limits(RIGHT, '/robot_description', narrow), 'critical',
                'right_joint1 down to -2.6179 rad', 'narrow')


def test_a_checkpoint_of_two_arms_fits_them_and_not_one_arm_or_a_base():
    spec = load_robot_spec('cobot_magic')
    limits = {'low': [-1.0] * 14, 'high': [1.0] * 14}
    config = read_config(Path(default_checkpoint()))
    policy = config['policy'] | {'cameras': list(spec.cameras)}
    made = CheckpointFacts(default_checkpoint(), config | {
        'robot': spec.to_dict(), 'policy': policy, 'state_normaliser': limits})
    steps, pose = checkpoint_checks.fit(spec, made, spec.home | {'right_joint2': 3.0})
    assert_line(steps, 'ok', 'cameras front, left, right')
    assert_line(pose, 'warning', 'right_joint2 at 3.00, trained -1.00 to 1.00', 'begin near')
    (line,) = checkpoint_checks.fit(COBOT, made, COBOT.home)
    assert_line(line, 'critical', "without a mobile base; this robot is 'cobot_magic_mobile' with")
    (line,) = checkpoint_checks.fit(load_robot_spec('piper'), made, {})
    assert_line(line, 'critical', "made for robot 'cobot_magic' with joints left_joint1")
