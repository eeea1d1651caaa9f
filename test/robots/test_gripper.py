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
"""A gripper with actions is asked on a change of mind, one goal at a time; messages are lazy."""

import importlib
import sys
from types import ModuleType, SimpleNamespace

from faster_ros.nodes.gripper_client import GripperClient
from faster_ros.robot_spec import GripperSpec
from faster_ros.robots.gripper import GripperDecision
from faster_ros.robots.gripper_actions import ACTION_MODES, gripper_actions
import pytest

S = 1_000_000_000
HAND = GripperSpec('fr3_finger_joint1', 0.0, 0.04, 'gripper_command',
                   '/franka_gripper/gripper_action', 0.0, 0.04, 20.0, 0.1)


class Fields(SimpleNamespace):
    """Stands in for a generated message: any field, made when it is first asked for."""

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        setattr(self, name, Fields())
        return getattr(self, name)


def stand_in(monkeypatch, package, *names):
    """Install a package of actions whose goals take any field."""
    action = ModuleType(f'{package}.action')
    for name in names:
        setattr(action, name, type(name, (), {'Goal': Fields}))
    monkeypatch.setitem(sys.modules, package, ModuleType(package))
    monkeypatch.setitem(sys.modules, f'{package}.action', action)
    return action


def spec(mode, **changes) -> GripperSpec:
    return GripperSpec(**(vars(HAND) | {'mode': mode} | changes))


def goals(decision, openings, step_ns=S // 100, answer=True, start_ns=0):
    """Step through openings; returns (index, goal) of what was asked for."""
    asked = []
    for index, opening in enumerate(openings):
        wish = decision.step(opening, start_ns + index * step_ns)
        if wish is not None:
            asked.append((index, wish))
            decision.told(wish, start_ns + index * step_ns)
            if answer:
                decision.finished(followed=True)
    return asked


def test_a_goal_is_asked_for_once_and_only_beyond_the_hysteresis():
    closing = [1.0 - 0.01 * step for step in range(101)]
    assert goals(GripperDecision(), closing) == [(61, False)]
    decision = GripperDecision()
    assert len(goals(decision, closing)) == 1
    trembling = [0.45, 0.55, 0.42, 0.59] * 100
    assert goals(decision, trembling, start_ns=2 * S) == []
    assert goals(decision, [0.59, 0.61], start_ns=9 * S) == [(1, True)]


@pytest.mark.parametrize('opening', [0.0, 0.3, 0.5, 0.7, 1.0])
def test_arming_never_moves_the_gripper(opening):
    assert goals(GripperDecision(), [opening] * 50) == []


def test_a_half_closed_gripper_is_opened_without_closing_it_first():
    opening = [0.3 + 0.01 * step for step in range(71)]
    assert [wish for _, wish in goals(GripperDecision(), opening)] == [True]
    closing = [0.3 - 0.01 * step for step in range(31)]
    assert [wish for _, wish in goals(GripperDecision(), closing)] == [False]


def test_hazard_gripper_actions_block_so_goals_keep_a_minimum_interval():
    flicker = [1.0, 0.0] * 100
    asked = goals(GripperDecision(), flicker)
    apart = [(b - a) * S // 100 for (a, _), (b, _) in zip(asked, asked[1:])]
    assert len(asked) > 2
    assert min(apart) >= 3 * S // 10


def test_hazard_franka_s_hand_rejects_no_second_goal_so_one_is_in_flight():
    decision = GripperDecision()
    assert goals(decision, [1.0, 0.0, 1.0, 0.0] * 100, answer=False) == [(1, False)]
    decision.step(1.0, 5 * S)
    assert decision.superseded
    assert decision.step(1.0, 11 * S) is True  # ten seconds without an answer


def test_hazard_franka_s_gripper_action_doubles_what_it_is_told(monkeypatch):
    stand_in(monkeypatch, 'control_msgs', 'GripperCommand')
    actions = gripper_actions(HAND)
    assert actions[True].name == '/franka_gripper/gripper_action'
    assert actions[True].goal().command.position == 0.04  # of a hand that opens to 0.08 m
    assert actions[False].goal().command.position == 0.0
    assert actions[False].goal().command.max_effort == 20.0


def test_franka_s_own_actions_are_told_the_whole_width(monkeypatch):
    stand_in(monkeypatch, 'franka_msgs', 'Move', 'Grasp')
    actions = gripper_actions(spec('franka', topic='/franka_gripper', command_open=0.08))
    assert (actions[True].name, actions[False].name) == (
        '/franka_gripper/move', '/franka_gripper/grasp')
    assert (actions[True].goal().width, actions[True].goal().speed) == (0.08, 0.1)
    grasp = actions[False].goal()
    assert (grasp.width, grasp.force, grasp.epsilon.outer) == (0.0, 20.0, 0.08)


def test_hazard_robotiq_is_inverted_in_rad_and_its_action_changed_with_jazzy(monkeypatch):
    stand_in(monkeypatch, 'control_msgs', 'ParallelGripperCommand')
    robotiq = GripperSpec('robotiq_85_left_knuckle_joint', 0.7929, 0.0,
                          'parallel_gripper_command', '/robotiq_gripper_controller/gripper_cmd',
                          0.7929, 0.0, 50.0, 0.5)
    actions = gripper_actions(robotiq)
    closing = actions[False].goal().command
    assert closing.name == ['robotiq_85_left_knuckle_joint']
    assert (closing.position, closing.velocity, closing.effort) == ([0.7929], [0.5], [50.0])
    assert actions[True].goal().command.position == [0.0]


@pytest.mark.parametrize('mode, package', [
    ('gripper_command', 'control_msgs'), ('parallel_gripper_command', 'control_msgs'),
    ('franka', 'franka_msgs')])
def test_missing_messages_are_named_with_their_apt_package(monkeypatch, mode, package):
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    monkeypatch.setitem(sys.modules, package, None)
    apt = f'ros-jazzy-{package.replace("_", "-")}'
    with pytest.raises(ImportError, match=f'needs the messages of {package}.*{apt}'):
        gripper_actions(spec(mode))


def test_an_action_that_the_installed_messages_lack_is_named(monkeypatch):
    stand_in(monkeypatch, 'control_msgs', 'GripperCommand')
    with pytest.raises(ImportError, match='control_msgs/action/ParallelGripperCommand'):
        gripper_actions(spec('parallel_gripper_command'))


def test_nothing_of_the_optional_messages_is_imported_with_the_package(monkeypatch):
    for package in ('control_msgs', 'franka_msgs'):
        monkeypatch.setitem(sys.modules, package, None)
    for name in ('arm_interface', 'gripper_actions', 'driver_gate'):
        importlib.reload(importlib.import_module(f'faster_ros.robots.{name}'))
    assert set(ACTION_MODES) == {'gripper_command', 'parallel_gripper_command', 'franka'}


SUCCEEDED, CANCELED, ABORTED = 4, 5, 6  # of action_msgs/GoalStatus


class Future:
    """A future that is answered by hand."""

    def add_done_callback(self, callback):
        self.callback = callback

    def answer(self, value=None):
        self.value = value
        self.callback(self)

    def result(self):
        return self.value


class Server:
    """An action client as rclpy has it, with the server's side in the hands of the test."""

    def __init__(self):
        self.ready = True
        self.goals, self.answers, self.results, self.cancelled = [], [], [], 0

    def server_is_ready(self):
        return self.ready

    def send_goal_async(self, goal):
        self.goals.append(goal.command.position)
        self.answers.append(Future())
        return self.answers[-1]

    def cancel_goal_async(self):
        self.cancelled += 1

    def get_result_async(self):
        self.results.append(Future())
        return self.results[-1]

    def end(self, status, **result):
        self.results[-1].answer(SimpleNamespace(status=status, result=SimpleNamespace(**result)))

    def accept(self, accepted=True):
        self.answers[-1].answer(SimpleNamespace(
            accepted=accepted, cancel_goal_async=self.cancel_goal_async,
            get_result_async=self.get_result_async))


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def client(monkeypatch, server):
    stand_in(monkeypatch, 'control_msgs', 'GripperCommand')
    client = GripperClient(HAND, lambda kind, name: server)
    client.position = 0.04
    assert client.step(0) == ''
    return client


def test_a_change_of_mind_cancels_and_then_sends(client, server):
    client.position = 0.0
    client.step(S)
    server.accept()
    assert server.goals == [0.0]
    client.position = 0.04
    client.step(2 * S)
    client.step(2 * S + 1)
    assert (server.goals, server.cancelled) == ([0.0], 1)
    server.end(CANCELED)
    assert client.step(3 * S) == ''
    assert server.goals == [0.0, 0.04]


def test_a_refused_goal_is_named_and_asked_for_again(client, server):
    client.position = 0.0
    client.step(S)
    server.accept(False)
    assert 'refused a goal on /franka_gripper/gripper_action' in client.step(S + 1)
    client.step(2 * S)
    server.accept()
    assert server.goals == [0.0, 0.0]
    assert client.step(3 * S) == ''


def test_an_absent_gripper_driver_is_named(client, server):
    server.ready = False
    client.position = 0.0
    assert 'expected a gripper driver that serves the action' in client.step(S)
    assert server.goals == []
    server.ready = True
    client.step(2 * S)
    assert server.goals == [0.0]


def close_and_abort(client, server, begin_ns, end_ns, **result):
    """Step at 20 Hz while each goal to close is aborted; returns the problems that were told."""
    client.position = 0.0
    told = []
    for now_ns in range(begin_ns, end_ns, S // 20):
        asked = len(server.goals)
        told.append(client.step(now_ns))
        if len(server.goals) > asked:
            server.accept()
            server.end(ABORTED, **result)
    return told


def test_an_aborted_goal_is_told_and_asked_for_again_thrice_at_most_and_a_second_apart(
        client, server):
    told = close_and_abort(client, server, S, 5 * S // 2)
    assert server.goals == [0.0, 0.0]
    assert told[-1] == ('the gripper did not close: /franka_gripper/gripper_action ended with '
                        'status 6, expected 4 (succeeded)')
    assert 'left as it is' in close_and_abort(client, server, 5 * S // 2, 60 * S)[-1]
    assert server.goals == [0.0] * 3
    client.position = 0.04
    client.step(61 * S)
    assert server.goals == [0.0] * 3 + [0.04]
    server.accept()
    server.end(SUCCEEDED)
    assert client.step(62 * S) == ''


def test_a_goal_that_succeeds_after_an_abort_ends_the_problem(client, server):
    assert close_and_abort(client, server, S, 3 * S // 2)[-1]
    client.step(3 * S)
    server.accept()
    server.end(SUCCEEDED)
    assert client.step(4 * S) == ''
    assert server.goals == [0.0, 0.0]


def test_hazard_ros2_control_aborts_when_fingers_close_on_something_which_is_a_closed_hand(
        client, server):
    assert set(close_and_abort(client, server, S, 10 * S, stalled=True)) == {''}
    assert server.goals == [0.0]


def test_a_gripper_that_is_armed_anew_is_asked_anew(client, server):
    close_and_abort(client, server, S, 10 * S)
    client.restart()
    client.position = 0.04
    client.step(10 * S)
    client.position = 0.0
    client.step(10 * S + 1)
    assert server.goals == [0.0] * 4
