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
"""Commands reach the arm, only ours, through an active controller; or the remedy is named."""

from dataclasses import replace

from faster_ros.doctor import command_checks
from faster_ros.doctor.facts import ControllerFacts, Endpoint, Facts, Quality
from faster_ros.robot_spec import load_robot_spec
from healthy import arm, assert_line, CONTROL, CONTROLLER, SPEC, stream, target, TRAJECTORY
import pytest


@pytest.mark.parametrize(('receivers', 'state', 'found'), [
    ((CONTROLLER,), 'ok', '/fr3_arm_controller on'),
    ((), 'critical', 'nobody takes commands on /fr3_arm_controller/joint_trajectory'),
    ((Endpoint('/rosbag2_recorder', TRAJECTORY), Endpoint('/_ros2cli_1', TRAJECTORY)),
     'critical', 'nobody takes commands'),
    ((Endpoint('/driver', 'std_msgs/msg/Float64MultiArray'),), 'critical',
     '/driver takes std_msgs/msg/Float64MultiArray'),
    ((replace(CONTROLLER, quality=Quality(transient_local=True)),), 'critical',
     'volatile is offered, transient local asked'),
])
def test_a_driver_has_to_take_the_commands(receivers, state, found):
    assert_line(command_checks.receiver('arm', target(receivers=receivers)), state, found)


@pytest.mark.parametrize(('publishers', 'state', 'found'), [
    ((), 'ok', 'nobody else'),
    ((CONTROL,), 'ok', 'nobody else'),
    ((Endpoint('/left/control_node', TRAJECTORY),), 'ok', 'nobody else'),
    ((CONTROL, Endpoint('/rqt_gui', TRAJECTORY)), 'critical', '/rqt_gui publishes on'),
    ((CONTROL, CONTROL), 'critical', '2 control_nodes publish'),
])
def test_whoever_else_commands_the_arm_is_named(publishers, state, found):
    assert_line(command_checks.rivals('arm', target(publishers=publishers)), state, found)


@pytest.mark.parametrize(('known', 'state', 'found', 'remedy'), [
    (ControllerFacts('/cm', {'fr3_arm_controller': 'active'}), 'ok', 'active, says /cm', ''),
    (ControllerFacts('/cm', {'fr3_arm_controller': 'inactive', 'gravity': 'active'}), 'critical',
     'it is inactive; active: gravity',
     'ros2 control switch_controllers --activate fr3_arm_controller'),
    (ControllerFacts('/cm', {'other': 'active'}), 'critical',
     '/cm knows no controller fr3_arm_controller; active: other', 'load it'),
    (ControllerFacts('/cm', {}, 'controller_manager_msgs, which are not installed'), 'warning',
     'not installed', 'ros2 control list_controllers'),
])
def test_the_controller_has_to_be_active(known, state, found, remedy):
    assert_line(command_checks.controller('arm', target(), known), state, found, remedy)


@pytest.mark.parametrize(('named', 'state', 'found', 'remedy'), [
    ('none', 'ok', 'the robot file names none', ''),
    ('fr3_arm_controller', 'critical', 'driver_gates of the robot file names fr3_arm_controller',
     'start the driver, correct its namespace, or say controller_active: none'),
    ('', 'warning', 'no controller manager answers', 'say in driver_gates controller_active'),
])
def test_a_controller_manager_that_does_not_answer_is_no_good_sign(named, state, found, remedy):
    line = command_checks.controller('arm', target(), ControllerFacts(), named)
    assert_line(line, state, found, remedy)


def test_a_robot_file_that_names_its_controller_makes_a_missing_manager_critical():
    specs = {name: load_robot_spec(name) for name in ('fr3', 'fr3_hand')}
    lines = {name: {line.check: line for line in command_checks.command_lines(
        Facts(spec, (arm(spec),), ()))} for name, spec in specs.items()}
    assert_line(lines['fr3']['arm controller'], 'ok', 'names none')
    assert_line(lines['fr3_hand']['arm controller'], 'critical', 'names fr3_arm_controller',
                'start the driver')


def test_a_gripper_action_has_to_be_served():
    found = arm(gripper_action='/gripper', gripper_served=True)
    assert_line(command_checks.gripper_action(found), 'ok', 'served on /gripper')
    assert_line(command_checks.gripper_action(replace(found, gripper_served=False)), 'critical',
                'nobody serves /gripper', 'gripper.mode')


def test_a_driver_that_does_not_follow_is_critical():
    ready = stream(topic='/ready', requested=Quality(transient_local=True), publishers=(
        Endpoint('/io', 'std_msgs/msg/Bool', Quality(transient_local=True)),))
    assert_line(command_checks.driver(arm(driver=(ready,))), 'ok', 'follows')
    assert_line(command_checks.driver(arm(driver=(ready,), driver_problem='got false')),
                'critical', 'got false', 'start the program')
    assert_line(command_checks.driver(arm(driver=(replace(ready, publishers=()),))),
                'critical', 'nobody publishes /ready', 'none in the robot file')
    volatile = replace(ready, publishers=(Endpoint('/io', 'std_msgs/msg/Bool'),))
    assert_line(command_checks.driver(arm(driver=(volatile,))), 'critical', 'volatile', 'driver')


def test_a_dry_run_needs_no_receiver_and_tolerates_others():
    without = Facts(SPEC, (arm(targets=(target(receivers=()),)),), (), dry_run=True)
    (line,) = command_checks.command_lines(without)
    assert_line(line, 'ok', 'dry run')
