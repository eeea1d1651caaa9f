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
"""The tool's pose and velocity of a joint command, as messages."""

from faster_ros.interfaces import JointCommand, RobotState
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.robots.arm_interface import ArmInterface
from faster_ros.robots.ee_commands import EePoseMatrixWriter
from faster_ros.robots.zero_when_silent import SILENCE_S, ZEROS_AT_REST
from geometry_msgs.msg import PoseStamped, TwistStamped
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Float64MultiArray

FR3 = load_robot_spec('fr3')
HOME, T0 = FR3.home_positions, 5_000_000_123
KINEMATICS = Kinematics(FR3)


def robot(mode: str) -> RobotSpec:
    return RobotSpec.from_dict(
        FR3.to_dict() | {'command_mode': mode, 'command_rate_hz': 250.0}, 'test.yaml')


def arm_message(arm: ArmInterface, positions, velocities=None, state=None):
    velocities = np.zeros(8) if velocities is None else velocities
    messages = arm.write(JointCommand(T0, np.asarray(positions), velocities), state)
    return dict(messages)[FR3.command_topic]


def pose_of(message) -> tuple[np.ndarray, np.ndarray]:
    place, turn = message.pose.position, message.pose.orientation
    return (np.array([place.x, place.y, place.z]),
            np.array([turn.x, turn.y, turn.z, turn.w]))


def twist_of(message) -> np.ndarray:
    linear, angular = message.twist.linear, message.twist.angular
    return np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_pose_is_that_of_the_commanded_joints_in_the_base_frame(seed):
    joints = np.random.default_rng(seed).uniform(FR3.limit_array('lower'),
                                                 FR3.limit_array('upper'))
    message = arm_message(ArmInterface(robot('ee_pose')), joints)
    assert isinstance(message, PoseStamped)
    assert message.header.frame_id == 'fr3_link0'
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (5, 123)
    place, quaternion = pose_of(message)
    position, rotation = KINEMATICS.forward(joints[:7])
    np.testing.assert_allclose(place, position)
    assert abs(np.linalg.norm(quaternion) - 1.0) < 1e-12
    np.testing.assert_allclose(Rotation.from_quat(quaternion).as_matrix(), rotation, atol=1e-12)


def test_the_quaternion_never_changes_its_sign_on_the_way():
    arm, last = ArmInterface(robot('ee_pose')), None
    for angle in np.linspace(-2.7, 2.7, 200):  # the hand turns by most of a circle
        quaternion = pose_of(arm_message(arm, [*HOME[:6], angle, 0.04]))[1]
        assert last is None or quaternion @ last > 0.9
        last = quaternion


def test_a_pose_as_twelve_numbers_is_the_place_and_the_rotation_row_by_row():
    message = arm_message(ArmInterface(robot('ee_pose_matrix')), HOME)
    assert isinstance(message, Float64MultiArray)
    position, rotation = KINEMATICS.forward(HOME[:7])
    np.testing.assert_allclose(message.data, [*position, *rotation.ravel()], atol=2e-9)


def test_hazard_multipanda_discards_a_pose_whose_x_or_last_number_is_exactly_zero():
    writer = EePoseMatrixWriter(FR3)
    turn = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])

    class AtZero:

        def forward(self, _):
            return np.array([0.0, 0.2, 0.0]), turn

    writer._kinematics = AtZero()
    data = np.array(writer.write(JointCommand(0, HOME, np.zeros(8))).data)
    assert np.all(data != 0.0)
    np.testing.assert_allclose(data, [0, 0.2, 0, *turn.ravel()], atol=1e-8)


def test_a_twist_is_the_derivative_of_the_pose():
    velocities = np.array([0.1, -0.2, 0.3, 0.1, -0.1, 0.2, 0.3, 0.0])
    message = arm_message(ArmInterface(robot('ee_twist')), HOME, velocities)
    assert isinstance(message, TwistStamped)
    assert message.header.frame_id == 'fr3_link0'
    (before, r0), (after, r1) = (KINEMATICS.forward((HOME + sign * 1e-6 * velocities)[:7])
                                 for sign in (-1, 1))
    turn = Rotation.from_matrix(r1 @ r0.T).as_rotvec()
    np.testing.assert_allclose(twist_of(message), [*(after - before) / 2e-6, *turn / 2e-6],
                               atol=1e-5)


def test_a_twist_pulls_towards_the_commanded_pose_but_never_far():
    arm, velocities = ArmInterface(robot('ee_twist')), np.full(8, 1e-9)
    behind = RobotState(T0, HOME - 0.002, np.zeros(8))
    gap = KINEMATICS.forward(HOME[:7])[0] - KINEMATICS.forward(HOME[:7] - 0.002)[0]
    twist = twist_of(arm_message(arm, HOME, velocities, behind))
    np.testing.assert_allclose(twist[:3], 2.0 * gap, atol=1e-6)
    far = RobotState(T0, FR3.limit_array('lower'), np.zeros(8))
    twist = twist_of(arm_message(arm, HOME, velocities, far))
    assert np.linalg.norm(twist[:3]) <= 0.1 + 1e-6
    assert np.linalg.norm(twist[3:]) <= 0.4 + 1e-6


def test_hazard_a_silent_twist_keeps_moving_the_arm():
    arm = ArmInterface(robot('ee_twist'))
    assert arm.silence_moves
    assert arm.rest() == arm.late(10.0) == []  # nothing was commanded yet
    arm_message(arm, HOME, np.full(8, 0.1))
    assert arm.late(0.5 * SILENCE_S) == []
    for _ in range(30):  # as long as it is silent
        ((topic, message),) = arm.late(SILENCE_S)
        assert topic == FR3.command_topic
        np.testing.assert_array_equal(twist_of(message), np.zeros(6))
    zeros = [arm.rest() for _ in range(ZEROS_AT_REST)]
    assert all(not twist_of(outgoing[0][1]).any() for outgoing in zeros)
    assert ZEROS_AT_REST >= 10
    assert arm.rest() == []


def test_an_arm_commanded_to_rest_gets_a_twist_of_exact_zeros():
    measured = RobotState(T0, HOME + 0.1, np.zeros(8))
    message = arm_message(ArmInterface(robot('ee_twist')), HOME, state=measured)
    np.testing.assert_array_equal(twist_of(message), np.zeros(6))


@pytest.mark.parametrize('mode', ['ee_pose', 'ee_pose_matrix', 'ee_twist'])
def test_a_command_that_is_not_finite_is_never_written(mode):
    bad = HOME.copy()
    bad[2] = np.nan
    with pytest.raises(ValueError, match='expected a finite command'):
        arm_message(ArmInterface(robot(mode)), bad)
