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
"""The loop of 1 kHz without a robot: what it sends is smooth, and what it says when it stops."""

from itertools import count
import sys
from types import SimpleNamespace

from faster_ros.robots import libfranka_arm
from faster_ros.robots.libfranka_arm import connect, Follower, FrankaLoop, RobotClock
from faster_ros.robots.optional_messages import MissingSdkError
from faster_ros.sim.trajectory_controller import TrajectoryController, TrajectoryPoint
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

CYCLE_S = 0.001
LIMIT = np.full(7, 10.0)
HOME = np.zeros(7)
NAMES = tuple(f'joint{index}' for index in range(7))


def follow(targets, lost=()):
    """Return the set points (N, 7) of a follower; ``lost``: indices of cycles without one."""
    follower = Follower(LIMIT, HOME)
    told, points, elapsed = (HOME, HOME, HOME), [HOME], CYCLE_S
    for index, (position, velocity) in enumerate(targets):
        if index in lost:
            elapsed += CYCLE_S
            continue
        base = follower.base(told, elapsed)
        for _ in range(round(elapsed / CYCLE_S) - 1):  # a robot goes on at constant acceleration
            points.append(points[-1] + (points[-1] - points[-2])
                          + (points[-1] - 2 * points[-2] + points[-3]))
        points.append(follower.step(np.full(7, position), np.full(7, velocity), base))
        told, elapsed = (points[-1], HOME, HOME), CYCLE_S
    return np.array(points)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-0.09, 0.09), st.floats(-2.0, 2.0)), min_size=1, max_size=40))
def test_whatever_is_asked_for_acceleration_and_jerk_keep_the_limits(asked):
    points = follow([target for target in asked for _ in range(10)])
    acceleration = np.diff(points, 2, axis=0) / CYCLE_S**2
    jerk = np.diff(acceleration, axis=0) / CYCLE_S
    assert np.abs(acceleration).max() < 7.0
    assert np.abs(jerk).max() < 1000.0


def test_a_pose_is_reached_without_overshoot():
    points = follow([(0.08, 0.0)] * 2000)[:, 0]
    assert points[-1] == pytest.approx(0.08, abs=1e-5)
    assert points.max() < 0.0805


def test_a_moving_target_is_followed_closely():
    seconds = np.arange(4000) * CYCLE_S
    wanted, speed = 0.25 * (1 - np.cos(seconds)), 0.25 * np.sin(seconds)
    points = follow(list(zip(wanted, speed)))[1:, 0]
    assert np.abs(points - wanted).max() < 1e-3


def test_lost_cycles_leave_no_kink():
    seconds = np.arange(1000) * CYCLE_S
    targets = list(zip(0.1 * seconds**2, 0.2 * seconds))
    points = follow(targets, lost=(500, 501, 502, 700))
    jerk = np.diff(points, 3, axis=0) / CYCLE_S**3
    assert np.abs(jerk).max() < 1000.0
    assert len(points) == len(targets) + 1


def test_the_clock_is_even_where_the_wall_clock_is_not():
    clock, times = RobotClock(0), []
    wait_ms = np.random.default_rng(1).exponential(0.4, 5000)
    for index in range(5000):
        times.append(clock.advance(CYCLE_S, round((index + 1 + wait_ms[index]) * 1e6)))
    steps = np.diff(times[1000:]) * 1e-6
    assert steps.mean() == pytest.approx(1.0, abs=0.001)
    assert np.abs(steps - 1.0).max() < 0.02


@pytest.mark.parametrize('cycle_ms', [0.95, 1.0, 1.4])
def test_the_clock_follows_the_wall_clock_of_a_slower_or_faster_robot(cycle_ms):
    clock = RobotClock(0)
    for index in range(8000):
        wall_ns = round((index + 1) * cycle_ms * 1e6)
        now_ns = clock.advance(CYCLE_S, wall_ns)
    assert now_ns == pytest.approx(wall_ns, abs=1_000_000)


def test_a_wall_clock_that_is_set_is_followed_at_once():
    clock = RobotClock(0)
    assert clock.advance(CYCLE_S, 5_000_000_000) == 5_000_000_000


@pytest.mark.parametrize('cycle_ms', [1.9, 4.0, 10.0])
def test_behind_a_simulator_far_below_real_time_the_clock_falls_back_without_a_step(cycle_ms):
    clock, random = RobotClock(0), np.random.default_rng(3)
    wall_ms, times = 0.0, []
    for _ in range(4000):
        wall_ms += cycle_ms * random.uniform(0.5, 1.5) + 200.0 * (random.random() < 0.002)
        times.append(clock.advance(CYCLE_S, round(wall_ms * 1e6)))
    steps = np.diff(times) * 1e-6
    assert (steps.min() >= 0.2 - 1e-6) & (steps.max() <= 1.8 + 1e-6)
    behind = round((wall_ms - times[-1] * 1e-6) / 0.7) + 4000
    for _ in range(behind):  # as fast as the wall clock again
        wall_ms += 1.0
        now_ns = clock.advance(CYCLE_S, round(wall_ms * 1e6))
    assert now_ns == pytest.approx(wall_ms * 1e6, abs=1_000_000)


class FakeRobot:
    """Takes set points and repeats them as its state; ends as libfranka does."""

    def __init__(self, cycles_to_reflex: int = 10**9) -> None:
        self.points = [HOME]
        self.finished, self.recovered, self._left = 0, 0, cycles_to_reflex

    def _state(self):
        return SimpleNamespace(q=self.points[-1].tolist(), dq=[0.0] * 7,
                               q_d=self.points[-1].tolist(), dq_d=[0.0] * 7, ddq_d=[0.0] * 7)

    def read_once(self):
        return self._state()

    def readOnce(self):  # noqa: N802
        self._left -= 1
        if self._left < 0:
            raise RuntimeError('motion aborted by reflex! ["cartesian_reflex"]\nmore')
        return self._state(), SimpleNamespace(to_sec=lambda: CYCLE_S)

    def writeOnce(self, command):  # noqa: N802
        self.points.append(np.array(command.q))
        self.finished += command.motion_finished

    def start_joint_position_control(self, _):
        return self

    def automatic_error_recovery(self):
        self.recovered += 1
        self._left = 10**9


@pytest.fixture
def sdk(monkeypatch):
    """Stand in for pylibfranka, which is not everywhere."""
    monkeypatch.setitem(sys.modules, 'pylibfranka', SimpleNamespace(
        ControllerMode=SimpleNamespace(JointImpedance=0),
        JointPositions=lambda q: SimpleNamespace(q=q, motion_finished=False)))
    monkeypatch.setattr(libfranka_arm, '_RETRY_S', 0.0)


def run(robot, script):
    """Run a loop; ``script`` maps the number of a call of ``tend`` to what is done in it."""
    trajectories, calls, reports = TrajectoryController(NAMES, HOME), [0], []

    def tend(loop):
        calls[0] += 1
        if calls[0] in script:
            script[calls[0]](loop, trajectories)

    loop = FrankaLoop(robot, trajectories, LIMIT, tend, reports.append,
                      count(0, 1_000_000).__next__)
    loop.run()
    return loop, reports


def stop(loop, _):
    loop.stopping = True


def test_the_loop_follows_a_trajectory_to_its_end_and_lets_go_at_rest(sdk):
    robot, point = FakeRobot(), TrajectoryPoint(500_000_000, [0.05] * 7, [0.0] * 7)

    def move(loop, trajectories):
        assert loop.problem == ''
        trajectories.set_trajectory(NAMES, 0, [point], loop.now_ns)

    run(robot, {400: move, 410: stop})
    assert robot.finished == 1
    assert robot.points[-1] == pytest.approx([0.05] * 7, abs=2e-3)
    assert np.abs(np.diff(robot.points, axis=0)[-1]).max() < 1e-6


def test_a_step_ends_in_a_rest_and_a_sentence_and_not_in_a_step(sdk):
    robot, point = FakeRobot(), TrajectoryPoint(1_000_000, [0.3] * 7)
    loop, _ = run(robot, {
        400: lambda loop, trajectories: trajectories.set_trajectory(NAMES, 0, [point],
                                                                    loop.now_ns),
        2000: stop})
    assert 'a step, or faster than the arm may accelerate' in loop.problem
    assert robot.finished == 1
    assert np.abs(np.array(robot.points)).max() < 0.01


def step_and_brake(loop, trajectories):
    """Send the arm on its way, then a step: it brakes for a while."""
    points = [TrajectoryPoint(300_000_000, [0.05] * 7, [0.3] * 7),
              TrajectoryPoint(301_000_000, [0.3] * 7)]
    trajectories.set_trajectory(NAMES, 0, points, loop.now_ns)


def test_recover_while_the_arm_brakes_takes_control_when_it_stands(sdk):
    robot, seen = FakeRobot(), []

    def recover(loop, _):
        if loop.problem and not seen:
            seen.append((loop.recover(), robot.recovered, robot.finished))

    loop, reports = run(robot, {400: step_and_brake, 2000: stop}
                        | dict.fromkeys(range(401, 1000), recover))
    assert 'still brakes' in seen[0][0]
    assert seen[0][1:] == (0, 0)  # nothing is done to an arm in motion
    assert robot.recovered == 1
    assert robot.finished == 2  # of the braking, and of the end
    assert any('a step' in report.problem for report in reports)
    assert reports[-1].problem == ''
    points = np.array(robot.points)
    assert np.abs(np.diff(points, 2, axis=0)).max() / CYCLE_S**2 < 7.0


def test_a_reflex_while_the_arm_brakes_ends_the_recovery_that_waits(sdk):
    robot, seen = FakeRobot(), []

    def recover(loop, _):
        if loop.problem and not seen:
            seen.append(loop.recover())
            robot._left = 3

    loop, _ = run(robot, {400: step_and_brake, 3000: stop}
                  | dict.fromkeys(range(401, 1000), recover))
    assert 'still brakes' in seen[0]
    assert robot.recovered == 0
    assert 'cartesian_reflex' in loop.problem


def test_a_reflex_is_reported_and_nothing_but_recover_takes_control_again(sdk):
    robot = FakeRobot(cycles_to_reflex=50)
    seen = []
    loop, reports = run(robot, {
        1500: lambda loop, _: seen.append((loop.problem, robot.recovered, len(robot.points))),
        1600: lambda loop, _: seen.append(loop.recover()),
        1700: stop})
    problem, recovered, sent = seen[0]
    assert 'cartesian_reflex' in problem
    assert 'more' not in problem
    assert (recovered, sent) == (0, 50)
    assert any('cartesian_reflex' in report.problem for report in reports)
    assert (seen[1], robot.recovered, robot.finished) == ('', 1, 1)
    assert reports[-1].problem == ''


def test_a_missing_sdk_is_named_with_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pylibfranka', None)
    with pytest.raises(MissingSdkError, match='needs the Python package pylibfranka.*pip install'):
        connect('127.0.0.1', enforce_real_time=False)
