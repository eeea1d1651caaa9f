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
Our control path in front of franka-sim, which speaks libfranka's protocol and aborts as an FR3.

franka-sim, pylibfranka and the FR3 model are not ours. FASTER_ROS_DRIVER_SECONDS is how long the
stream of chunks lasts in the robot's time. Tests with the mark ``real_time`` stream chunks in the
wall clock's time: where franka-sim falls behind it, the driver sees steps and holds.
"""

import gc
import os
import signal
import time

from builtin_interfaces.msg import Duration
from control_path import ControlPath, CycleClock
from faster_ros.nodes import conversions
from faster_ros.robot_spec import load_robot_spec
from faster_ros.robots import libfranka_arm
from franka_cell import Cell, Demonstration, FrankaSim
import numpy as np
import pylibfranka
import pytest
from ros_process import wait_until
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

pytestmark = pytest.mark.drivers
SECONDS = float(os.environ.get('FASTER_ROS_DRIVER_SECONDS', '30'))


# A robot that hears nothing for 20 cycles stops: with this many s of patience a cycle after 0.4 s.
reflexes = pytest.mark.parametrize('sim', [0.02], indirect=True)


@pytest.fixture
def sim(tmp_path, request):
    """Give an FR3 that waits 0.1 s for each answer, or as long as the test's parameter says."""
    server = FrankaSim(tmp_path, getattr(request, 'param', 0.1))
    yield server
    if not server.stopped:
        server.stop()


@pytest.fixture
def cell(sim, tmp_path):
    cell = Cell(tmp_path)
    yield cell
    cell.stop()


def test_ten_minutes_of_uneven_late_and_contradicting_chunks_abort_nothing(
        sim, monkeypatch):
    """By default half a minute of robot time; `make test-drivers-long` runs all."""
    monkeypatch.setattr(libfranka_arm, 'RobotClock', CycleClock)
    robot = libfranka_arm.connect('127.0.0.1', enforce_real_time=False)
    path = ControlPath(load_robot_spec('fr3_direct'), robot, SECONDS, seed=1)
    gc.disable()
    path.loop.run()
    gc.enable()
    record, result = sim.stop(), path.tracking()
    print(f'\n{SECONDS:g} s of robot time\nsent {path.sent}, {path.rejected} trajectories rejected'
          f'\nfranka-sim {record}\ntracking {result}')
    assert record['aborts'] == record['violations'] == []
    assert record['commands'] + record['extrapolated'] >= 1000 * SECONDS
    assert min(path.sent.values()) > 0
    assert result['speed'] > 0.3
    assert result['raw'] <= 0.005


def test_hazard_twenty_lost_cycles_abort_but_a_stalled_control_loop_does_not(sim, monkeypatch):
    """The arm goes on along its braking tail meanwhile; the commands go on from there."""
    monkeypatch.setattr(libfranka_arm, 'RobotClock', CycleClock)
    robot = libfranka_arm.connect('127.0.0.1', enforce_real_time=False)
    path = ControlPath(load_robot_spec('fr3_direct'), robot, 30.0, seed=2, stalls_ms=(30, 150))
    gc.disable()
    path.loop.run()
    gc.enable()
    record, result = sim.stop(), path.tracking()
    print(f'\nstalls of {path.stalls} ms\nfranka-sim {record}\ntracking {result}')
    assert record['aborts'] == record['violations'] == []
    assert path.loop.problem == 'the driver has let go of the arm'  # and took nothing for a step
    assert min(path.stalls) < 100 < max(path.stalls)
    assert len(path.stalls) > 10
    assert result['speed'] > 0.3


@pytest.mark.real_time
def test_processes_over_topics_break_no_limit_and_abort_nothing(sim, cell):
    demonstration = Demonstration(cell, seed=1)
    cell.arm()
    demonstration.run(20.0)
    cell.hold_here(1.0)
    status = cell.status
    record, result = sim.stop(), demonstration.tracking()
    print(f'\nsent {demonstration.sent}\nfranka-sim {record}\ntracking {result}')
    assert record['aborts'] == record['violations'] == []
    assert status['faults'] == '0', status
    assert min(demonstration.sent.values()) > 0


@pytest.mark.real_time
def test_silence_of_three_seconds_holds_the_arm_and_needs_an_arm_to_go_on(sim, cell):
    demonstration = Demonstration(cell, seed=2)
    cell.arm()
    demonstration.run(5.0)
    time.sleep(1.5)  # the last chunk ends, the arm brakes
    held = cell.measured()
    time.sleep(3.0)
    assert np.abs(cell.measured() - held)[:-1].max() < 0.003
    assert cell.status['mode'] == 'holding'
    assert cell.status['reason'] == 'chunk_starved'
    cell.arm()
    cell.hold_here(1.0)
    assert cell.status['mode'] == 'running'
    assert sim.stop()['aborts'] == []


@pytest.mark.real_time
def test_the_driver_holds_by_itself_while_control_node_is_frozen(sim, cell):
    demonstration = Demonstration(cell, seed=3)
    cell.arm()
    demonstration.run(6.0)
    cell.control.send_signal(signal.SIGSTOP)
    time.sleep(1.0)
    held = cell.measured()
    time.sleep(3.0)
    moved = np.abs(cell.measured() - held)[:-1].max()
    cell.control.send_signal(signal.SIGCONT)
    assert moved < 0.003
    assert cell.ready[-1]
    record = sim.stop()
    assert record['aborts'] == record['violations'] == []


@pytest.mark.real_time
def test_a_stop_in_motion_breaks_no_limit_although_control_node_is_frozen_after_it(sim, cell):
    demonstration = Demonstration(cell, seed=4)
    sent = []
    cell.node.create_subscription(JointTrajectory, cell.spec.command_topic, sent.append, 100)
    cell.arm()
    demonstration.run(6.0)
    before = cell.measured()
    assert cell.brake().success
    wait_until(lambda: len(sent[-1].points) > 2, 5.0, 'the stop')
    cell.control.send_signal(signal.SIGSTOP)
    time.sleep(0.1 + 1e-9 * conversions.to_ns(sent[-1].points[-1].time_from_start))
    held = cell.measured()
    time.sleep(1.0)
    moved = np.abs(cell.measured() - held)[:-1].max()
    cell.control.send_signal(signal.SIGCONT)
    assert moved < 0.001
    assert np.abs(held - before)[:-1].max() > 0.005  # it was in motion
    assert sum(len(message.points) > 2 for message in sent) == 1
    record = sim.stop()
    assert record['aborts'] == record['violations'] == []


@reflexes
def test_a_reflex_closes_the_gate_and_only_recover_and_arm_move_the_arm_again(sim, cell):
    cell.arm()
    cell.hold_here(1.0)
    os.kill(cell.loop_pid(), signal.SIGSTOP)
    wait_until(lambda: 'communication_constraints_violation' in sim.log.read_text(), 10.0,
               'a reflex')
    os.kill(cell.loop_pid(), signal.SIGCONT)
    wait_until(lambda: not cell.ready[-1], 10.0, 'the end of ready')
    wait_until(lambda: cell.status['reason'] == 'driver_not_ready', 10.0, 'a hold')
    cell.driver.wait_for('communication_constraints_violation')
    time.sleep(1.0)
    assert not cell.ready[-1]
    assert cell.recover().success
    wait_until(lambda: cell.ready[-1], 10.0, 'ready')
    assert cell.status['mode'] == 'holding'
    cell.arm()
    before = cell.measured()
    for _ in range(10):
        actions = np.tile(before, (20, 1))
        actions[:, 0] += 0.05
        cell.send(cell.now_ns(), 0.05, actions)
        time.sleep(0.2)
    wait_until(lambda: cell.measured()[0] - before[0] > 0.045, 10.0, 'motion')
    assert len(sim.stop()['aborts']) == 1


def test_hazard_a_step_on_the_position_interface_is_refused_before_it_reaches_the_arm(sim, cell):
    names = list(cell.spec.arm_joint_names)
    before = cell.measured()[:-1]
    point = JointTrajectoryPoint(positions=(before + 0.3).tolist(),
                                 time_from_start=Duration(nanosec=1_000_000))
    cell.trajectories.publish(JointTrajectory(joint_names=names, points=[point]))
    wait_until(lambda: not cell.ready[-1], 10.0, 'the end of ready')
    cell.driver.wait_for('a step, or faster than the arm may accelerate')
    assert np.abs(cell.measured()[:-1] - before).max() < 0.05
    assert cell.recover().success  # also if the arm still brakes
    record = sim.stop()
    assert record['aborts'] == record['violations'] == []


def test_hazard_franka_s_hand_needs_homing_and_aborts_what_it_cannot_reach(sim, cell):
    def command(width):
        cell.gripper.publish(Float64MultiArray(data=[width]))
        time.sleep(0.5)

    def width():
        return 2 * cell.measured()[-1]

    assert cell.home_hand().success
    command(0.08)
    command(0.0)
    wait_until(lambda: abs(width() - 0.04) < 1e-3, 10.0, lambda: f'a grasp at {width()} m')
    command(0.08)
    wait_until(lambda: abs(width() - 0.08) < 1e-3, 10.0, lambda: f'an open hand, {width()} m')
    cell.driver.stop()
    hand = pylibfranka.Gripper('127.0.0.1')
    assert hand.grasp(0.04, 0.1, 20.0)
    with pytest.raises(RuntimeError):
        hand.move(0.2, 0.1)


@reflexes
@pytest.mark.parametrize('fault', ['none', 'a step of 0.05 rad', 'silence of 0.5 s'])
def test_without_our_limiter_a_step_or_silence_is_a_reflex(sim, fault):
    """The oracle bites: what our control path keeps from the robot would have stopped it."""
    robot = pylibfranka.Robot('127.0.0.1', pylibfranka.RealtimeConfig.kIgnore)
    try:
        _move(robot, fault)
    except RuntimeError as error:
        seen = str(error)
    else:
        seen = ''
    robot.automatic_error_recovery()
    assert robot.read_once().robot_mode == pylibfranka.RobotMode.Idle
    del robot
    record = sim.stop()
    if fault == 'none':
        assert (seen, record['aborts'], record['violations']) == ('', [], [])
    elif fault == 'silence of 0.5 s':
        assert 'communication_constraints_violation' in seen
        assert len(record['aborts']) == 1
    else:
        assert 'joint_motion_generator_velocity_discontinuity' in seen
        assert len(record['aborts']) == len(record['violations']) == 1


def _move(robot, fault) -> None:
    control = robot.start_joint_position_control(pylibfranka.ControllerMode.JointImpedance)
    state, _ = control.readOnce()
    start, elapsed = list(state.q_d), 0.0
    while elapsed < 2.0:
        state, period = control.readOnce()
        elapsed += period.to_sec()
        target = list(start)
        target[3] += 0.05 * (1 - np.cos(np.pi * elapsed / 2.0))
        if 'step' in fault and elapsed > 0.3:
            target[3] += 0.05
        if 'silence' in fault and elapsed > 0.3:
            time.sleep(0.5)
        command = pylibfranka.JointPositions(target)
        command.motion_finished = elapsed >= 2.0
        control.writeOnce(command)
