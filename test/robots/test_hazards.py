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
What can hurt an arm or go unnoticed with the drivers of these robots: one test for each hazard.

The chain is that of control_node: MotionController, then ArmInterface.
"""

from faster_ros.interfaces import ActionChunk, JointCommand, RobotState
from faster_ros.nodes import conversions, qos
from faster_ros.robot_spec import config_path, load_robot_spec, RobotSpec
from faster_ros.robots.arm_interface import ArmInterface, CommandOptions
from faster_ros.robots.driver_gate import DriverGate
from faster_ros.robots.gripper import GripperMap
from faster_ros.robots.zero_when_silent import SILENCE_S
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.runtime.supervisor import Gates
from faster_ros.sim.trajectory_controller import TrajectoryController, TrajectoryPoint
import numpy as np
import pytest
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64
import yaml

MS = 1_000_000
ROBOTS = sorted(file.stem for file in config_path('config').glob('*.yaml'))
PIPER, UR5E, FR3 = (load_robot_spec(name) for name in ('piper', 'ur5e', 'fr3'))


def changed(spec: RobotSpec, gripper_mode: str = 'joint_trajectory', **values) -> RobotSpec:
    """Return a robot with another command mode; its gripper needs no further messages."""
    data = spec.to_dict()
    data['gripper']['mode'] = gripper_mode
    return RobotSpec.from_dict(data | values, 'changed.yaml')


def state(spec: RobotSpec, positions, stamp_ns: int) -> RobotState:
    return RobotState(stamp_ns, np.array(positions), np.zeros(len(spec.joints)))


def run(spec: RobotSpec, actions, seconds: float = 1.0):
    """Follow actions of 0.1 s from home on an arm that is where it was told; yields messages."""
    gates = Gates(chunk_jump=float('inf'))  # the limiter is what is looked at
    controller = MotionController(spec, MotionConfig(gates=gates))
    arm = ArmInterface(spec, CommandOptions())
    period = round(1e9 / spec.command_rate_hz)
    positions, now = spec.home_positions, 10**9
    assert controller.arm(now, state(spec, positions, now)) == ''
    chunk = ActionChunk(now, 100 * MS, np.array(actions, dtype=float), spec.joint_names)
    assert controller.accept(chunk, now), controller.status(now).problem
    for _ in range(round(seconds * spec.command_rate_hz)):
        now += period
        command = controller.tick(now, state(spec, positions, now))
        if command is not None:
            positions = command.positions
            yield arm.write(command, state(spec, positions, now))


def swing(spec: RobotSpec, size: float, rows: int = 16):
    """Return actions that move each joint to and fro by ``size`` rad, from home."""
    wave = size * np.sin(np.arange(rows))[:, None] * np.ones(len(spec.joints))
    wave[:, spec.gripper_index] = 0.0
    wave[0] = 0.0
    return spec.home_positions + wave


# Hazard 1: the order of joints in a JointState is never guaranteed.

@pytest.mark.parametrize('robot', ROBOTS)
def test_hazard_joint_order_in_states_is_not_guaranteed(robot):
    spec, rng = load_robot_spec(robot), np.random.default_rng(0)
    wanted = spec.home_positions + 0.001 * np.arange(len(spec.joints))
    for arm, part in [*spec.parts.values()] * 5:
        order = rng.permutation(len(arm.joints))
        message = JointState(name=[arm.driver_joint_names[place] for place in order])
        message.position = [float(wanted[part][place]) for place in order]
        got = conversions.state_from_message(message, arm)
        np.testing.assert_array_equal(got.positions, wanted[part])


# Hazard 2: on a Piper /joint_states is a command topic.

@pytest.mark.parametrize('robot', ['piper', 'agx_piper'])
def test_hazard_piper_joint_states_is_a_command_topic(robot):
    spec = load_robot_spec(robot)
    assert spec.state_topic != spec.command_topic
    with pytest.raises(ValueError, match='what the arm reports would be commanded to it'):
        RobotSpec.from_dict(spec.to_dict() | {'state_topic': spec.command_topic}, 'x.yaml')
    assert PIPER.state_topic == '/joint_states_single'


# Hazard 3: a Piper moves a joint that is missing in a message to 0 rad, at full speed.

def test_hazard_piper_moves_unnamed_joints_to_zero_at_full_speed():
    for ((topic, message),) in run(PIPER, swing(PIPER, 0.05)):
        assert topic == '/joint_states'
        assert list(message.name) == [*(f'joint{n}' for n in range(1, 7)), 'gripper']
        assert len(message.position) == len(message.velocity) == len(message.effort) == 7
        assert np.isfinite(message.position).all()
        assert list(message.velocity) == [0, 0, 0, 0, 0, 0, 50]  # not all 0: that is full speed
        assert 0.5 <= message.effort[6] <= 3.0


def test_hazard_piper_speed_of_no_percent_means_full_speed():
    with pytest.raises(ValueError, match=r"'command_speed_percent' must be in \[1, 100\]"):
        RobotSpec.from_dict(PIPER.to_dict() | {'command_speed_percent': 0}, 'x.yaml')


def test_hazard_piper_stands_at_the_limits_of_two_joints_at_home():
    first = next(iter(run(PIPER, np.tile(PIPER.home_positions, (4, 1)))))[0][1]
    np.testing.assert_allclose(first.position, PIPER.home_positions, atol=2e-3)


def test_hazard_piper_logs_and_replans_at_every_command():
    assert PIPER.command_rate_hz <= 200
    with pytest.raises(ValueError, match="'command_rate_hz' must be at most 200"):
        RobotSpec.from_dict(PIPER.to_dict() | {'command_rate_hz': 250.0}, 'x.yaml')
    steps = [list(outgoing[0][1].position) for outgoing in run(PIPER, swing(PIPER, 0.3))]
    assert np.abs(np.diff(steps, axis=0))[:, :6].max() <= 0.01  # rad


# Hazard 4: a Franka's position interface answers a step with a reflex.

def test_hazard_franka_needs_an_effort_controller():
    text = config_path('config/controllers/fr3.yaml').read_text()
    parameters = yaml.safe_load(text)['/**']['fr3_arm_controller']['ros__parameters']
    assert parameters['command_interfaces'] == ['effort']
    assert parameters['interpolate_from_desired_state'] is True
    assert tuple(parameters['joints']) == tuple(parameters['gains']) == FR3.arm_joint_names
    gains = parameters['gains'].values()
    assert [gain['p'] for gain in gains] == [600, 600, 600, 600, 250, 150, 50]
    assert [gain['d'] for gain in gains] == [30, 30, 30, 30, 10, 10, 5]


# Hazard 5: a UR attempts every step below 20 rad/s as fast as it can.

def test_hazard_ur_attempts_any_step_as_fast_as_it_can():
    spec = changed(UR5E, command_mode='forward_position', command_rate_hz=250.0)
    jumps = np.tile(spec.home_positions, (16, 1))
    jumps[4:, :6] += 3.0
    sent = np.array([outgoing[0][1].data for outgoing in run(spec, jumps)])
    limit = (spec.limit_array('velocity') * spec.velocity_scale)[:6]
    speed = np.abs(np.diff(sent, axis=0)) * spec.command_rate_hz
    assert np.all(speed <= limit + 1e-6)
    assert speed.max() > 0.5 * limit.max()


# Hazard 6: a forward controller has no timeout.

def test_hazard_forward_velocity_keeps_moving_a_silent_arm():
    arm = ArmInterface(changed(UR5E, command_mode='forward_velocity'))
    assert arm.silence_moves
    moving = JointCommand(0, UR5E.home_positions, np.full(7, 0.1))
    arm.write(moving, None)
    assert arm.late(0.5 * SILENCE_S) == []
    for _ in range(30):  # as long as it is silent
        ((topic, message),) = arm.late(SILENCE_S)
        assert (topic, list(message.data)) == (UR5E.command_topic, [0.0] * 6)
    zeros = 0
    while outgoing := arm.rest():
        zeros += list(outgoing[0][1].data) == [0.0] * 6
    assert zeros >= 10


# Hazard 7: what a joint_trajectory_controller rejects or turns into a step.

def test_hazard_trajectory_controller_rejects_and_steps():
    controller = TrajectoryController(FR3.arm_joint_names, FR3.home_positions[:7])
    now, speeds = 10**9, []
    for outgoing in run(FR3, swing(FR3, 0.1)):
        message, now = outgoing[0][1], now + 10 * MS
        assert all(len(point.velocities) == 7 for point in message.points)
        points = [TrajectoryPoint(conversions.to_ns(point.time_from_start), point.positions,
                                  point.velocities) for point in message.points]
        controller.set_trajectory(message.joint_names,
                                  conversions.to_ns(message.header.stamp), points, now)
        speeds.append(controller.sample(now)[1])
    steps = np.abs(np.diff(speeds, axis=0)).max()
    assert steps < 0.2  # rad/s; 5 rad/s^2 at 100 Hz is 0.05
    assert np.all(controller.sample(now + 10**9)[1] == 0)  # silence ends at rest


# Hazard 8: speed scaling is published in percent, though documented as 0 to 1.

def ur_gate(percent: float | None = 100.0, running: bool | None = True) -> DriverGate:
    gate = DriverGate(UR5E)
    for topic in UR5E.driver_gates.values():
        gate.ignore(topic)
    if running is not None:
        gate.hear(UR5E.driver_ready_topic, Bool(data=running), 0.0)
    if percent is not None:
        gate.hear(UR5E.driver_speed_topic, Float64(data=percent), 0.0)
    return gate


@pytest.mark.parametrize('percent, share', [(100.0, 1.0), (99.5, 1.0), (1.0, 0.01), (0.0, 0.0),
                                            (40.0, 0.4)])
def test_hazard_ur_speed_scaling_is_percent(percent, share):
    gate = ur_gate(percent)
    assert gate.problem(0.0) == ''
    assert gate.speed == pytest.approx(share)


@pytest.mark.parametrize('percent', [-1.0, float('nan'), float('inf')])
def test_hazard_ur_speed_scaling_that_is_no_percentage_holds(percent):
    assert 'expected a speed in percent, got' in ur_gate(percent).problem(0.0)


def test_hazard_ur_moves_slower_than_told_while_its_slider_is_low():
    told, positions, now = [], UR5E.home_positions, 10**9
    controller = MotionController(UR5E)
    assert controller.arm(now, state(UR5E, positions, now)) == ''
    controller.note_driver_speed(ur_gate(30.0).speed, now)
    rows = np.tile(positions, (31, 1))
    rows[:, 0] += 0.01 * np.arange(31)  # 0.1 rad/s
    assert controller.accept(ActionChunk(now, 100 * MS, rows, UR5E.joint_names), now)
    for _ in range(290):
        now += 10 * MS
        positions = controller.tick(now, state(UR5E, positions, now)).positions
        told.append(positions[0])
    assert told[-1] - told[189] == pytest.approx(0.03, rel=0.02)


def test_hazard_ur_commands_go_nowhere_while_its_program_stands():
    problem = ur_gate(running=None).problem(0.0)
    assert 'no message yet on /io_and_status_controller/robot_program_running' in problem
    problem = ur_gate(running=False).problem(0.0)
    assert 'expected true, got false' in problem
    controller, home = MotionController(UR5E), state(UR5E, UR5E.home_positions, 10**9)
    controller.note_driver(problem)
    assert controller.arm(10**9, home).startswith('driver_not_ready: expected true')
    controller.note_driver(ur_gate().problem(0.0))
    assert controller.arm(10**9, home) == ''
    controller.note_driver('stopped')
    controller.tick(10**9, home)
    assert controller.status(10**9).reason == 'driver_not_ready'
    controller.note_driver('')
    controller.tick(10**9, home)
    assert controller.status(10**9).mode == 'holding'  # until it is armed again


# Hazard 9: a reliable subscription hears nothing from a best-effort publisher.

def test_hazard_best_effort_states_are_not_heard_reliably():
    assert qos.SENSOR.reliability is ReliabilityPolicy.BEST_EFFORT


# Hazard 10 is in test_gripper.py: messages that are missing are named, nothing else needs them.

# And of the single drivers.

def test_hazard_multipanda_discards_a_message_whose_first_value_is_zero():
    spec = changed(load_robot_spec('panda'), command_mode='forward_position',
                   command_rate_hz=250.0)
    command = JointCommand(0, np.zeros(8), np.zeros(8))
    data = ArmInterface(spec).write(command, None)[0][1].data
    assert np.all(np.array(data) != 0.0)
    np.testing.assert_allclose(data, 0.0, atol=1e-8)


@pytest.mark.parametrize('mode', ['forward_position', 'ee_pose_matrix'])
def test_hazard_multipanda_does_not_interpolate_so_slow_commands_are_steps(mode):
    panda = load_robot_spec('panda')
    with pytest.raises(ValueError, match=r"'command_rate_hz' must be at least 200.*got 100"):
        changed(panda, command_mode=mode, command_rate_hz=100.0)
    assert changed(panda, command_mode=mode, command_rate_hz=200.0).command_mode == mode


@pytest.mark.parametrize('robot', ROBOTS)
def test_hazard_full_vendor_limits_are_not_the_default_of_a_real_arm(robot):
    spec = load_robot_spec(robot)
    assert robot == 'fr3' or max(spec.velocity_scale, spec.acceleration_scale) <= 0.3


def test_hazard_robotiq_is_closed_at_its_largest_angle_and_franka_is_told_half_the_width():
    assert (UR5E.gripper.command_closed, UR5E.gripper.command_open) == (0.7929, 0.0)
    for robot in ('fr3_hand', 'panda'):
        assert load_robot_spec(robot).gripper.command_open == 0.04


@pytest.mark.parametrize('robot', ['fr3_hand', 'panda', 'ur5e'])
@pytest.mark.parametrize('beyond', [-0.5, 1.5])
def test_hazard_a_gripper_goal_beyond_its_range_is_aborted(robot, beyond):
    gripper = load_robot_spec(robot).gripper
    position = gripper.closed + beyond * (gripper.open - gripper.closed)
    expected = gripper.command_closed if beyond < 0 else gripper.command_open
    assert GripperMap(gripper).to_driver(position) == expected


def test_hazard_piper_ros_converts_with_pi_as_3_14():
    """What it reports is 0.05 % off: no gate may take that for a fault, no hold may follow it."""
    controller, now, target = MotionController(PIPER), 10**9, PIPER.home_positions
    command, target[0] = None, 2.5
    positions = target.copy()
    assert controller.arm(now, state(PIPER, positions, now)) == ''
    rows = np.tile(target, (16, 1))
    assert controller.accept(ActionChunk(now, 100 * MS, rows, PIPER.joint_names), now)
    for _ in range(100):
        now += 10 * MS
        controller.note_driver('' if now < 1_500_000_000 else 'the driver pauses')
        command = controller.tick(now, state(PIPER, positions, now)) or command
        positions = np.where(PIPER.arm_mask, command.positions * 3.14 / np.pi, command.positions)
    assert controller.status(now).reason == 'driver_not_ready'
    assert command.positions[0] == pytest.approx(2.5, abs=1e-9)


@pytest.mark.parametrize('jump', [-0.6, 0.6])
def test_hazard_a_jump_downwards_is_missed_without_an_absolute_value(jump):
    controller, home = MotionController(PIPER), PIPER.home_positions
    assert controller.arm(10**9, state(PIPER, home, 10**9)) == ''
    rows = np.tile(home, (4, 1))
    rows[2:, 0] += jump
    controller.accept(ActionChunk(10**9, 100 * MS, rows, PIPER.joint_names), 10**9)
    assert controller.status(10**9).reason == 'chunk_jump'


def test_hazard_piper_falls_silent_while_it_reports_a_joint_beyond_3_5_rad():
    controller, home = MotionController(PIPER), state(PIPER, PIPER.home_positions, 10**9)
    assert controller.arm(10**9, home) == ''
    late = 10**9 + round(PIPER.state_max_age_s * 1e9) + MS
    controller.tick(late, home)
    assert controller.status(late).reason == 'joint_state_stale'
