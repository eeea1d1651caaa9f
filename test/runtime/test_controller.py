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
"""Whatever chunks arrive, the commands keep the limits and stop when the chunks stop."""

from dataclasses import replace

from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.nodes.conversions import to_ns
from faster_ros.robot_spec import load_robot_spec
from faster_ros.robots.arm_interface import ArmInterface
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.runtime.limiter import Limiter
from faster_ros.runtime.supervisor import Gates
from faster_ros.sim.trajectory_controller import TrajectoryController, TrajectoryPoint
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
HOME = SPEC.home_positions
MS = 1_000_000
T0 = 3_000_000_000_000


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), wild=st.sampled_from([0.01, 0.3, 30.0]))
def test_commands_keep_the_limits_and_end_at_rest(seed, wild):
    rng = np.random.default_rng(seed)
    gates = Gates(engage_distance=1e9, tracking_error=1e9)
    controller = MotionController(SPEC, MotionConfig(gates=gates))
    positions = HOME
    assert controller.arm(T0, RobotState(T0, HOME, np.zeros(8))) == ''
    commands = [HOME]
    for tick in range(1, 400):
        now = T0 + tick * 10 * MS
        if tick < 250 and rng.random() < 0.1:
            actions = positions + wild * rng.normal(size=(int(rng.integers(1, 20)), 8))
            start = now - int(rng.integers(-50, 1000)) * MS
            controller.accept(ActionChunk(start, 30 * MS, actions, SPEC.joint_names), now)
        if rng.random() < 0.005:
            controller.reset(now)
        command = controller.tick(now, RobotState(now, positions, np.zeros(8)))
        positions = command.positions
        commands.append(positions)
    limiter = Limiter(SPEC, 0.01)
    velocities = np.diff(commands, axis=0, prepend=[HOME]) / 0.01
    assert (commands >= limiter.lower - 1e-9).all()
    assert (commands <= limiter.upper + 1e-9).all()
    assert (np.abs(velocities) <= limiter.velocity_limit + 1e-7).all()
    accelerations = np.diff(velocities, axis=0) / 0.01
    assert (np.abs(accelerations) <= limiter.acceleration_limit + 1e-5).all()
    np.testing.assert_array_equal(commands[-1], commands[-2])


def test_the_gripper_reaches_exactly_open_and_closed():
    controller = MotionController(SPEC)
    controller.arm(T0, RobotState(T0, HOME, np.zeros(8)))
    actions = np.tile(HOME, (16, 1))
    actions[5:, 7] = 0.003
    controller.accept(ActionChunk(T0, 100 * MS, actions, SPEC.joint_names), T0)
    seen = []
    for tick in range(1, 150):
        now = T0 + tick * 10 * MS
        seen.append(controller.tick(now, RobotState(now, HOME, np.zeros(8))).positions[7])
    assert seen[40] == 0.04
    assert abs(seen[-1]) < 1e-12


def test_a_policy_that_cannot_answer_holds_a_moving_arm_until_it_is_armed_again():
    controller = MotionController(SPEC)
    state = RobotState(T0, HOME, np.zeros(8))
    controller.arm(T0, state)
    controller.note_policy_problem("camera 'front' is stale", T0)
    assert controller.status(T0).mode == 'running'
    assert controller.status(T0).detail == "camera 'front' is stale"
    chunk = ActionChunk(T0, 100 * MS, np.tile(HOME, (16, 1)), SPEC.joint_names)
    controller.note_policy_problem('', T0)
    controller.accept(chunk, T0)
    controller.tick(T0 + 10 * MS, state)
    controller.note_policy_problem("camera 'front' is stale", T0 + 20 * MS)
    status = controller.status(T0 + 20 * MS)
    assert (status.mode, status.reason) == ('holding', 'policy_problem')
    assert status.detail == "camera 'front' is stale"
    controller.note_policy_problem('', T0 + 30 * MS)
    assert controller.status(T0 + 30 * MS).mode == 'holding'
    assert controller.arm(T0 + 40 * MS, RobotState(T0 + 40 * MS, HOME, np.zeros(8))) == ''


def test_an_arm_that_its_driver_stopped_is_held_where_it_stands():
    controller = MotionController(SPEC)
    now, stopped, rest = T0, HOME, np.zeros(8)
    controller.arm(now, RobotState(now, stopped, rest))
    actions = np.tile(HOME, (16, 1))
    actions[:, 0] += 0.05 * np.arange(16)
    controller.accept(ActionChunk(now, 100 * MS, actions, SPEC.joint_names), now)
    for _ in range(50):
        now += 10 * MS
        stopped = controller.tick(now, RobotState(now, stopped, rest)).positions
    assert stopped[0] > HOME[0] + 0.05
    stopped = stopped - np.array([0.05, *np.zeros(7)])  # the arm lags, and now it is stopped
    controller.note_driver('a protective stop')
    commands = []
    for _ in range(200):
        now += 10 * MS
        commands.append(controller.tick(now, RobotState(now, stopped, rest)))
    told = [command for command in commands if command is not None]
    np.testing.assert_allclose(told[-1].positions, stopped, atol=0.01)
    controller.note_driver('')
    assert controller.status(now).mode == 'holding'
    pushed = stopped + 0.05 * SPEC.arm_mask
    assert controller.tick(now + 10 * MS, RobotState(now, pushed, rest)) is None
    assert controller.arm(now + 20 * MS, RobotState(now + 20 * MS, pushed, rest)) == ''
    command = controller.tick(now + 30 * MS, RobotState(now + 30 * MS, pushed, rest))
    np.testing.assert_allclose(command.positions, pushed)


def held(gates=None, spec=SPEC):
    """Return a controller whose arm stands at home and is held, and the time."""
    controller = MotionController(spec, MotionConfig(gates=gates or Gates()))
    home = spec.home_positions
    controller.arm(T0, RobotState(T0, home, 0.0 * home))
    controller.accept(ActionChunk(T0, 100 * MS, np.tile(home, (16, 1)), spec.joint_names), T0)
    controller.tick(T0, RobotState(T0, home, 0.0 * home))
    controller.trip('policy_problem', 'a test', T0)
    return controller, T0


@pytest.mark.parametrize('robot', ['fr3', 'cobot_magic'])
def test_an_arm_that_sags_while_its_driver_is_silent_is_not_followed_down(robot):
    spec = load_robot_spec(robot)
    controller, now = held(spec=spec)
    controller.note_driver('nothing on /state for 1.2 s')
    place = commanded = spec.home_positions
    for _ in range(500):
        now += 10 * MS
        command = controller.tick(now, RobotState(now, place, 0.0 * place))
        commanded = commanded if command is None else command.positions
        place = place + 0.2 * (commanded - 0.015 * spec.arm_mask - place)  # a spring with a load
    assert np.abs(place - spec.home_positions)[spec.arm_mask].max() < 0.035


def test_a_held_arm_that_was_moved_by_hand_is_told_nothing_until_it_is_armed_again():
    controller, now = held()
    moved = HOME + 0.5 * SPEC.arm_mask
    commands = []
    for _ in range(100):
        now += 10 * MS
        commands.append(controller.tick(now, RobotState(now, moved, np.zeros(8))))
    told = np.array([command.positions for command in commands if command is not None])
    assert len(told) < 90
    np.testing.assert_allclose(told[-1], moved, atol=1e-9)
    assert np.abs(np.diff(told[:, :7], n=2, axis=0)).max() / 1e-4 < 5.0 + 1e-6  # rad/s^2
    assert controller.tick(now, RobotState(now, HOME, np.zeros(8))) is None
    assert controller.arm(now, RobotState(now, moved, np.zeros(8))) == ''
    assert controller.tick(now + 10 * MS, RobotState(now, moved, np.zeros(8))) is not None


def test_arming_again_keeps_the_grip_on_what_the_hand_holds():
    controller = MotionController(SPEC)
    gripped = HOME.copy()
    gripped[7] = 0.03  # an object between the fingers; the target is closed
    controller.arm(T0, RobotState(T0, HOME, np.zeros(8)))
    rows = np.tile(HOME, (16, 1))
    rows[:, 7] = 0.0
    controller.accept(ActionChunk(T0, 100 * MS, rows, SPEC.joint_names), T0)
    now = T0
    for _ in range(100):
        now += 10 * MS
        controller.tick(now, RobotState(now, gripped, np.zeros(8)))
    controller.disarm(now)
    assert controller.hold_measured(now, RobotState(now, gripped, np.zeros(8))) == ''
    assert controller.tick(now, RobotState(now, gripped, np.zeros(8))).positions[7] == 0.0
    assert controller.arm(now, RobotState(now, gripped, np.zeros(8))) == ''
    assert controller.tick(now, RobotState(now, gripped, np.zeros(8))).positions[7] == 0.0
    controller.disarm(now)
    assert controller.tick(now, RobotState(now, gripped, np.zeros(8))) is None
    assert controller.arm(now, RobotState(now, HOME, np.zeros(8))) == ''  # somebody opened it
    assert controller.tick(now, RobotState(now, HOME, np.zeros(8))).positions[7] == HOME[7]


def test_nothing_arms_after_the_loop_has_failed():
    controller = MotionController(SPEC)
    controller.fail('the control loop failed: a test', T0)
    status = controller.status(T0)
    assert (status.mode, status.reason) == ('disarmed', 'internal_error')
    assert 'restart the node' in status.detail
    state = RobotState(T0, HOME, np.zeros(8))
    assert 'the control loop failed: a test' in controller.arm(T0, state)
    assert 'the control loop failed: a test' in controller.hold_measured(T0, state)


def test_a_chunk_that_begins_when_it_arrives_is_followed_to_its_end():
    controller = MotionController(SPEC, MotionConfig(merge='restart'))
    controller.arm(T0, RobotState(T0, HOME, np.zeros(8)))
    rows = np.tile(HOME, (11, 1))
    controller.accept(ActionChunk(T0, 100 * MS, rows, SPEC.joint_names), T0 + 10 * MS)
    controller.tick(T0 + 10 * MS, RobotState(T0 + 10 * MS, HOME, np.zeros(8)))
    rows = rows + 0.03 * np.arange(11)[:, None] * SPEC.arm_mask
    late, place = T0 + 500 * MS, HOME
    for tick in range(1, 200):
        now = T0 + 10 * MS + tick * 10 * MS
        if now == late:
            controller.accept(ActionChunk(T0 + 100 * MS, 100 * MS, rows, SPEC.joint_names), now)
        place = controller.tick(now, RobotState(now, place, np.zeros(8))).positions
    assert place[0] == pytest.approx(rows[-1, 0], abs=0.01)


@pytest.mark.parametrize('state', ['of now', 'of before', 'without speeds'])
@pytest.mark.parametrize('missed', [1, 3, 5, 9, 10, 40, 200])
def test_after_periods_without_a_command_the_arm_is_not_thrown_back(missed, state):
    spec = load_robot_spec('fr3')
    controller, writer = MotionController(spec), ArmInterface(spec)
    driver = TrajectoryController(spec.arm_joint_names, spec.home_positions[:7])
    path, now, measured = [], 10**12, None

    def period(sends: bool) -> None:
        nonlocal now
        nonlocal measured
        for _ in range(10):
            now += 1_000_000
            path.append(driver.sample(now)[0])
        if not sends:
            return
        if not silent or state != 'of before':
            measured = RobotState(now, *(np.append(part, end) for part, end in zip(
                driver.sample(now), (0.04, 0.0))))
        if silent and state == 'without speeds':
            measured = replace(measured, velocities=np.full(8, np.nan))
        controller.coast(silent, now, measured)
        message = writer.write(controller.tick(now, measured), measured)[0][1]
        driver.set_trajectory(message.joint_names, now, [
            TrajectoryPoint(point.time_from_start.sec * 10**9 + point.time_from_start.nanosec,
                            point.positions, point.velocities, point.accelerations)
            for point in message.points], now)

    assert controller.arm(now, RobotState(now, spec.home_positions, np.zeros(8))) == ''
    rows = np.tile(spec.home_positions, (40, 1))
    rows[:, 0] += 0.06 * np.arange(40)  # 0.6 rad/s
    controller.accept(ActionChunk(now, 100_000_000, rows, spec.joint_names), now)
    silent = 0
    for _ in range(80):
        period(sends=True)
    for _ in range(missed):
        period(sends=False)
    silent, first = missed, len(path)
    period(sends=True)
    silent = 0
    for _ in range(30):
        period(sends=True)
    speeds = np.diff(np.array(path)[first - 20:, 0]) / 0.001
    bends = np.abs(np.diff(speeds)) / 0.001
    limit = spec.joints['fr3_joint1'].acceleration * spec.acceleration_scale
    assert bends.max() < 1.15 * limit
    assert speeds.min() > -0.05
    assert speeds.max() < 1.2 * spec.joints['fr3_joint1'].velocity * spec.velocity_scale


def test_a_stop_is_told_to_a_trajectory_driver_in_one_message_that_keeps_the_limits():
    spec = load_robot_spec('fr3')
    controller, interface = MotionController(spec), ArmInterface(spec)
    driver = TrajectoryController(spec.arm_joint_names, HOME[:7])
    now, sent, speeds, set_points = T0, [], [], []
    controller.arm(now, RobotState(now, HOME, np.zeros(8)))
    rows = np.tile(HOME, (40, 1))
    rows[:, 0] += 0.06 * np.arange(40)  # 0.6 rad/s
    controller.accept(ActionChunk(now, 100 * MS, rows, spec.joint_names), now)
    for tick in range(1, 130):
        now = T0 + tick * 10 * MS
        if tick == 80:
            controller.stop('a test', now)
            sent.clear()
        measured = RobotState(now, *(np.append(part, end) for part, end in zip(
            driver.sample(now), (0.04, 0.0))))
        speeds += [driver.sample(now + part * MS)[1][0] for part in range(10)]
        command = controller.tick(now, measured)
        if command is not None:
            set_points.append(command.positions[0])
            for topic, message in interface.write(command, measured):
                if topic == spec.command_topic:
                    sent.append(message)
                    driver.set_trajectory(message.joint_names, now, [
                        TrajectoryPoint(to_ns(point.time_from_start), point.positions,
                                        point.velocities, point.accelerations)
                        for point in message.points], now)
    assert len(sent) == 1
    assert list(sent[0].points[-1].velocities) == [0.0] * 7
    assert driver.sample(now)[0][0] == pytest.approx(set_points[-1], abs=1e-6)
    assert abs(speeds[-1]) < 1e-9 and max(np.abs(speeds)) > 0.55
    limit = spec.joints['fr3_joint1'].acceleration * spec.acceleration_scale
    assert np.abs(np.diff(speeds)).max() / 1e-3 < 1.03 * limit
    assert controller.arm(now, RobotState(now, HOME, np.zeros(8))) == ''


@pytest.mark.parametrize('slowed', [True, False])
def test_a_stop_is_told_in_every_period_to_a_driver_that_is_slowed(slowed):
    controller = MotionController(SPEC)
    controller.arm(T0, RobotState(T0, HOME, np.zeros(8)))
    rows = np.tile(HOME, (40, 1))
    rows[:, 0] += 0.02 * np.arange(40)
    controller.accept(ActionChunk(T0, 100 * MS, rows, SPEC.joint_names), T0)
    if slowed:
        controller.note_driver_speed(0.5, T0)
    for tick in range(1, 60):
        command = controller.tick(T0 + tick * 10 * MS,
                                  RobotState(T0 + tick * 10 * MS, HOME, np.zeros(8)))
    assert command.stop is None
    controller.disarm(T0 + 600 * MS)
    command = controller.tick(T0 + 600 * MS, RobotState(T0 + 600 * MS, HOME, np.zeros(8)))
    assert (command.stop is None) == slowed
