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
"""
What can hurt or go unnoticed with two arms, a mobile base, and Piper's two naming schemes.

One test for each hazard; the chain is that of control_node, as in test_hazards.py.
"""

from dataclasses import fields

from faster_ros.interfaces import ActionChunk, JointCommand, RobotState
from faster_ros.nodes import conversions
from faster_ros.robot_spec import DriverSpec, load_robot_spec, RobotSpec
from faster_ros.robots.arm_interface import ArmInterface, CommandOptions
from faster_ros.robots.zero_when_silent import SILENCE_S, ZEROS_AT_REST
from faster_ros.runtime.controller import MotionController
from faster_ros.runtime.joint_states import JointStates
from geometry_msgs.msg import Twist
import numpy as np
import pytest
from sensor_msgs.msg import JointState

MS = 1_000_000
T0 = 3_000_000_000_000
COBOT, MOBILE = load_robot_spec('cobot_magic'), load_robot_spec('cobot_magic_mobile')
PIPER, OLD = load_robot_spec('piper'), load_robot_spec('piper_2024')
HOME = COBOT.home_positions
NEW_NAMES = [*(f'joint{n}' for n in range(1, 7)), 'gripper']
OLD_NAMES = [f'joint{n}' for n in range(7)]


def state(positions, now: int = T0) -> RobotState:
    return RobotState(now, np.array(positions), np.zeros(len(positions)))


def command(spec: RobotSpec, positions, base=None) -> JointCommand:
    return JointCommand(T0, np.array(positions, dtype=float), np.zeros(len(positions)), base=base)


def reach(spec: RobotSpec) -> MotionController:
    """Return an armed controller with a chunk that moves joint1 of both arms."""
    controller = MotionController(spec)
    assert controller.arm(T0, state(HOME)) == ''
    actions = np.tile(HOME, (16, 1))
    actions[:, [0, 7]] += 0.1 * np.arange(16)[:, None]
    assert controller.accept(ActionChunk(T0, 100 * MS, actions, spec.joint_names), T0)
    return controller


def test_each_arm_is_sent_its_own_joints_under_its_driver_s_names():
    values = np.arange(14.0) / 1000
    values[13] = 0.07
    (left_topic, left), (right_topic, right) = ArmInterface(COBOT).write(
        command(COBOT, values), None)
    assert (left_topic, right_topic) == ('/joint_states_l', '/joint_states_r')
    assert list(left.name) == list(right.name) == NEW_NAMES
    np.testing.assert_allclose([*left.position, *right.position], values)
    for message in (left, right):
        assert list(message.velocity) == [0.0] * 6 + [50.0]
        assert 0.5 <= message.effort[6] <= 3.0


def test_each_of_two_trajectories_has_its_own_velocities_and_accelerations():
    data = load_robot_spec('fr3').to_dict()
    keys = ('joints', 'home', *(entry.name for entry in fields(DriverSpec) if entry.name in data))
    arm = {key: data.pop(key) for key in keys}
    other = arm | {'command_topic': '/b/arm', 'state_topic': '/b/states',
                   'gripper': arm['gripper'] | {'topic': '/b/gripper'}}
    spec = RobotSpec.from_dict(data | {'arms': {'a': arm, 'b': other}}, 'two.yaml')
    sent = JointCommand(T0, spec.home_positions, np.arange(16) / 100.0, np.arange(16) / 10.0)
    messages = dict(ArmInterface(spec).write(sent, None))
    for topic, first in (arm['command_topic'], 0), ('/b/arm', 8):
        point = messages[topic].points[0]
        np.testing.assert_allclose(point.velocities, np.arange(first, first + 7) / 100.0)
        np.testing.assert_allclose(point.accelerations, np.arange(first, first + 7) / 10.0)


def test_a_dry_run_of_two_arms_and_a_base_writes_to_shadow_topics_only():
    arm = ArmInterface(MOBILE, CommandOptions(dry_run=True))
    assert set(arm.topics) == {'/dry_run/joint_states_l', '/dry_run/joint_states_r',
                               '/dry_run/cmd_vel'}


def test_hazard_two_drivers_use_the_same_joint_names():
    states = JointStates(COBOT)
    for name, value in ('left', 0.1), ('right', 0.2):
        arm, _ = COBOT.parts[name]
        message = JointState(name=NEW_NAMES, position=[value] * 7)
        merged = states.add(name, conversions.state_from_message(message, arm))
    np.testing.assert_array_equal(merged.positions, [0.1] * 7 + [0.2] * 7)


def test_hazard_one_silent_arm_would_let_the_other_go_on():
    states, controller = JointStates(COBOT), reach(COBOT)
    states.add('right', state(HOME[7:], T0))
    for tick in range(1, 40):
        now = T0 + tick * 10 * MS
        merged = states.add('left', state(HOME[:7], now))  # the right arm says nothing more
        sent = controller.tick(now, merged)
    status = controller.status(now)
    assert (status.mode, status.reason) == ('holding', 'joint_state_stale')
    assert '/joint_states_single_r' in status.detail
    assert '/joint_states_single_l' not in status.detail
    np.testing.assert_array_equal(sent.velocities, np.zeros(14))  # both stand


@pytest.mark.parametrize('index', [0, 7])
def test_hazard_a_fault_in_one_arm_would_let_the_other_go_on(index):
    controller, positions = reach(COBOT), HOME
    for tick in range(1, 400):
        now = T0 + tick * 10 * MS
        measured = np.array(positions)
        measured[index] = HOME[index]  # this joint is blocked
        command = controller.tick(now, state(measured, now))
        positions = positions if command is None else command.positions
    status = controller.status(now)
    assert (status.mode, status.reason) == ('holding', 'tracking_error')
    assert COBOT.joint_names[index] in status.detail
    assert positions[index] == pytest.approx(HOME[index])  # it presses no longer
    assert controller.tick(now + 10 * MS, state(measured, now + 10 * MS)) is None


def test_hazard_the_topics_of_two_arms_are_swapped():
    # Both arms report the same names, so a swap shows in motion only: the wrong arm follows.
    controller = MotionController(COBOT)
    assert controller.arm(T0, state(HOME)) == ''
    actions = np.tile(HOME, (16, 1))
    actions[:, 0] += 0.1 * np.arange(16)
    controller.accept(ActionChunk(T0, 100 * MS, actions, COBOT.joint_names), T0)
    positions, furthest = HOME, 0.0
    for tick in range(1, 150):
        now = T0 + tick * 10 * MS
        swapped = np.concatenate([positions[7:], positions[:7]])
        command = controller.tick(now, state(swapped, now))
        positions = positions if command is None else command.positions
        furthest = max(furthest, float(positions[0]))
    status = controller.status(now)
    assert (status.mode, status.reason) == ('holding', 'tracking_error')
    speed, brake = (0.3 * COBOT.joints['left_joint1'].velocity,
                    0.3 * COBOT.joints['left_joint1'].acceleration)
    assert furthest < 0.3 + speed**2 / (2 * brake) + 0.02  # rad: the gate, then braking


def test_hazard_one_topic_in_two_roles():
    data = COBOT.to_dict()
    data['arms']['right']['state_topic'] = '/joint_states_l'
    with pytest.raises(ValueError, match="'arms.left.command_topic' and 'arms.right.state_topic'"):
        RobotSpec.from_dict(data, 'x.yaml')


@pytest.mark.parametrize('spec, names', [(PIPER, OLD_NAMES), (OLD, NEW_NAMES)])
def test_hazard_joint0_to_joint6_are_not_joint1_to_joint6(spec, names):
    with pytest.raises(ValueError, match='joint state on /joint_states_single lacks'):
        conversions.state_from_message(JointState(name=names, position=[0.0] * 7), spec)


def test_hazard_the_piper_of_2024_takes_joints_by_their_place():
    values = np.append(0.01 * np.arange(1, 7), 0.03)
    ((topic, message),) = ArmInterface(OLD).write(command(OLD, values), None)
    assert topic == '/joint_states'
    assert list(message.name) == OLD_NAMES
    np.testing.assert_allclose(message.position, values)
    got = conversions.state_from_message(
        JointState(name=OLD_NAMES[::-1], position=values[::-1].tolist()), OLD)
    np.testing.assert_array_equal(got.positions, values)


def test_hazard_a_base_goes_on_with_the_last_twist():
    arm = ArmInterface(MOBILE)
    assert arm.silence_moves
    assert arm.rest() == arm.late(10.0) == []  # nothing was commanded yet
    sent = dict(arm.write(command(MOBILE, HOME, np.array([0.1, -0.2])), None))['/cmd_vel']
    assert isinstance(sent, Twist)
    assert (sent.linear.x, sent.angular.z) == (0.1, -0.2)
    assert arm.late(0.5 * SILENCE_S) == []
    for _ in range(30):  # as long as the loop is silent
        assert arm.late(SILENCE_S) == [('/cmd_vel', Twist())]
    assert [arm.rest() for _ in range(ZEROS_AT_REST)] == [[('/cmd_vel', Twist())]] * ZEROS_AT_REST
    assert arm.rest() == []  # and then the topic is free


def test_hazard_a_base_velocity_that_is_missing_or_not_finite_is_never_written():
    arm = ArmInterface(MOBILE)
    with pytest.raises(ValueError, match='expected a command with the velocities of the base'):
        arm.write(command(MOBILE, HOME), None)
    with pytest.raises(ValueError, match='expected a finite command'):
        arm.write(command(MOBILE, HOME, np.array([np.nan, 0.0])), None)
