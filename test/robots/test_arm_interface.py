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
"""What each kind of driver is sent for one command, and what happens when commands end."""

import dataclasses

from faster_ros.interfaces import JointCommand, RobotState
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.robots.arm_interface import ArmInterface, CommandOptions
from faster_ros.robots.zero_when_silent import ZEROS_AT_REST
from faster_ros.sim.trajectory_controller import TrajectoryController, TrajectoryPoint
import numpy as np
import pytest
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

FR3 = load_robot_spec('fr3')
HOME = FR3.home_positions
T0 = 5_000_000_123


def robot(mode: str, gripper: str = 'joint_trajectory', **changes) -> RobotSpec:
    """Return the FR3 as if its driver were of another kind."""
    data = FR3.to_dict()
    data['gripper'] |= {'mode': gripper, **changes.pop('gripper_changes', {})}
    if gripper == 'joint_state':
        data['gripper']['topic'] = data['command_topic']
    rate = {'command_rate_hz': 250.0} if mode == 'forward_position' else {}
    return RobotSpec.from_dict(data | {'command_mode': mode, **rate, **changes}, 'test.yaml')


def command(positions=HOME, velocities=None) -> JointCommand:
    return JointCommand(T0, np.array(positions, dtype=float),
                        np.zeros(8) if velocities is None else np.array(velocities))


def state(positions) -> RobotState:
    return RobotState(T0, np.array(positions, dtype=float), np.zeros(8))


def time_ns(time) -> int:
    return time.sec * 10**9 + time.nanosec


def test_a_trajectory_has_its_set_point_and_a_braking_tail_at_the_acceleration_limit():
    arm = ArmInterface(FR3, CommandOptions(lead_ns=20_000_000))
    velocities = np.array([1.0, -0.5, 0, 0, 0, 0, 0, 0.05])
    (topic, message), (gripper_topic, gripper) = arm.write(command(velocities=velocities), None)
    assert (topic, gripper_topic) == (FR3.command_topic, FR3.gripper.topic)
    assert arm.topics == {topic: JointTrajectory, gripper_topic: JointTrajectory}
    assert tuple(message.joint_names) == FR3.arm_joint_names
    assert time_ns(message.header.stamp) == T0
    point, tail = message.points
    assert time_ns(point.time_from_start) == 20_000_000
    np.testing.assert_allclose(point.positions, HOME[:7])
    np.testing.assert_allclose(point.velocities, velocities[:7])
    brake_s = 1.0 / (10.0 * FR3.acceleration_scale)
    assert time_ns(tail.time_from_start) == pytest.approx(20e6 + brake_s * 1e9)
    np.testing.assert_allclose(tail.positions, HOME[:7] + 0.5 * brake_s * velocities[:7])
    assert list(tail.velocities) == [0.0] * 7
    assert gripper.joint_names == [FR3.gripper.joint]
    assert gripper.points[1].positions[0] <= FR3.gripper.open


@pytest.mark.parametrize('speed, bend', [(1.0, 0.0), (1.0, 5.0), (-0.8, -5.0), (1.2, -5.0)])
def test_with_accelerations_the_tail_is_a_smooth_stop_within_the_limit(speed, bend):
    moving = dataclasses.replace(command(velocities=np.full(8, speed)),
                                 accelerations=np.full(8, bend))
    point, tail = ArmInterface(FR3).write(moving, None)[0][1].points
    assert list(point.accelerations) == [bend] * 7
    assert list(tail.accelerations) == [0.0] * 7
    arm = TrajectoryController(FR3.arm_joint_names, HOME[:7])
    arm.set_trajectory(FR3.arm_joint_names, 1, [
        TrajectoryPoint(time_ns(knot.time_from_start), knot.positions, knot.velocities,
                        knot.accelerations) for knot in (point, tail)], 1)
    start, end = (1 + time_ns(knot.time_from_start) for knot in (point, tail))
    speeds = np.array([arm.sample(int(now))[1][0] for now in np.linspace(start, end - 1, 200)])
    bends = np.gradient(speeds, (end - start) * 1e-9 / 199)
    limit = FR3.joints['fr3_joint1'].acceleration * FR3.acceleration_scale
    assert np.abs(bends).max() <= 1.03 * limit
    assert speeds[-1] == pytest.approx(0.0, abs=1e-3)


def test_an_unstamped_trajectory_starts_on_arrival():
    arm = ArmInterface(FR3, CommandOptions(stamped=False))
    assert time_ns(arm.write(command(), None)[0][1].header.stamp) == 0


def test_a_gripper_topic_is_written_on_a_change_and_after_a_while():
    arm = ArmInterface(FR3, CommandOptions(gripper_repeat_ns=1_000))
    assert len(arm.write(command(), None)) == 2
    assert len(arm.write(command(), None)) == 1
    assert len(arm.write(dataclasses.replace(command(), stamp_ns=T0 + 1_001), None)) == 2
    closed = np.array([*HOME[:7], 0.0])
    assert len(arm.write(command(closed), None)) == 2


def test_a_forward_position_message_holds_the_arm_in_order_and_the_gripper_apart():
    arm = ArmInterface(robot('forward_position', 'forward_position'))
    (_, message), (_, gripper) = arm.write(command(np.arange(1.0, 9.0) / 200), None)
    assert isinstance(message, Float64MultiArray)
    np.testing.assert_allclose(message.data, np.arange(1.0, 8.0) / 200)
    np.testing.assert_allclose(gripper.data, [0.04])


def test_a_gripper_value_is_mapped_to_the_driver_s_unit_and_both_ends_are_exact():
    percent = {'gripper_changes': {'command_closed': 100.0, 'command_open': 3.0}}
    arm = ArmInterface(robot('forward_position', 'forward_position', **percent))
    values = []
    for position in (0.0, 0.02, 0.04, 0.05):
        messages = arm.write(command([*HOME[:7], position]), None)
        values.append(messages[1][1].data[0])
    assert values == [100.0, 51.5, 3.0, 3.0]


def test_a_velocity_is_sent_with_a_pull_towards_the_commanded_position():
    arm = ArmInterface(robot('forward_velocity'))
    velocities = np.array([0.2, 0, 0, 0, 0, 0, 0, 0])
    behind = HOME - np.array([0.01, 0, 0, 0, 0, 0, 0, 0])
    message = arm.write(command(velocities=velocities), state(behind))[0][1]
    np.testing.assert_allclose(message.data, [0.2 + 2.0 * 0.01, 0, 0, 0, 0, 0, 0], atol=1e-12)
    far = HOME - np.array([9.0, 0, 0, 0, 0, 0, 0, 0])
    message = arm.write(command(velocities=velocities), state(far))[0][1]
    assert message.data[0] == FR3.joints['fr3_joint1'].velocity * FR3.velocity_scale
    message = arm.write(command(velocities=velocities), None)[0][1]
    np.testing.assert_allclose(message.data[0], 0.2)


def test_an_arm_commanded_to_rest_gets_exact_zero_velocities():
    arm = ArmInterface(robot('forward_velocity'))
    assert list(arm.write(command(), state(HOME + 0.1))[0][1].data) == [0.0] * 7


def test_a_joint_state_command_has_all_names_the_speed_and_the_force():
    spec = robot('joint_state', 'joint_state', command_speed_percent=40,
                 gripper_changes={'effort': 1.5})
    arm = ArmInterface(spec)
    ((topic, message),) = arm.write(command(), None)
    assert isinstance(message, JointState)
    assert topic == spec.command_topic
    assert time_ns(message.header.stamp) == T0
    assert tuple(message.name) == spec.joint_names
    np.testing.assert_array_equal(message.position, HOME)
    assert list(message.velocity) == [0.0] * 7 + [40.0]
    assert list(message.effort) == [0.0] * 7 + [1.5]


def test_a_streamed_gripper_ignores_a_tremor_but_reaches_its_ends():
    arm = ArmInterface(robot('joint_state', 'joint_state'))

    def sent(position):
        return arm.write(command([*HOME[:7], position]), None)[0][1].position[7]

    assert [sent(value) for value in (0.02, 0.0203, 0.0197, 0.021, 0.0004, 0.0)] == pytest.approx(
        [0.02, 0.02, 0.02, 0.021, 0.0004, 0.0])


def test_a_dry_run_writes_to_shadow_topics_only():
    arm = ArmInterface(FR3, CommandOptions(dry_run=True))
    assert all(topic.startswith('/dry_run/') for topic in arm.topics)
    assert {topic for topic, _ in arm.write(command(), None)} == set(arm.topics)


@pytest.mark.parametrize('mode, gripper', [
    ('joint_trajectory', 'joint_trajectory'), ('forward_position', 'joint_trajectory'),
    ('joint_state', 'joint_state')])
def test_where_the_driver_holds_by_itself_nothing_follows_the_last_command(mode, gripper):
    arm = ArmInterface(robot(mode, gripper))
    arm.write(command(), None)
    assert not arm.silence_moves
    assert arm.rest() == arm.late(10.0) == []


@pytest.mark.parametrize('mode, gripper', [
    ('joint_trajectory', 'joint_trajectory'), ('forward_position', 'forward_position'),
    ('forward_velocity', 'joint_trajectory'), ('joint_state', 'joint_state')])
@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_a_command_that_is_not_finite_is_never_written(mode, gripper, bad):
    arm = ArmInterface(robot(mode, gripper))
    positions = HOME.copy()
    positions[3] = bad
    with pytest.raises(ValueError, match='expected a finite command of all joints'):
        arm.write(command(positions), None)
    with pytest.raises(ValueError, match='expected a finite command of all joints'):
        arm.write(command(HOME, [0, bad, 0, 0, 0, 0, 0, 0]), None)


def test_after_the_last_velocity_come_ten_zeros():
    arm = ArmInterface(robot('forward_velocity'))
    assert arm.rest() == arm.late(10.0) == []  # nothing was commanded yet
    arm.write(command(velocities=[0.2] * 8), None)
    zeros = [arm.rest() for _ in range(ZEROS_AT_REST + 1)]
    assert zeros.pop() == []
    assert ZEROS_AT_REST >= 10
    assert all(list(outgoing[0][1].data) == [0.0] * 7 for outgoing in zeros)
    assert arm.late(10.0) == []
