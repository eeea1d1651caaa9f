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
"""What each driver says about itself opens or closes its gate; stand-ins for vendor messages."""

import sys
from types import SimpleNamespace

from faster_ros.nodes.driver_signals import DriverSignals
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.robots.driver_gate import DriverGate
import pytest

UR, PIPER, FRANKA = (load_robot_spec(name) for name in ('ur5e', 'piper', 'fr3_hand'))
SAFETY = UR.driver_gates['ur_safety_mode']
STATUS = PIPER.driver_gates['piper_status']
MODE = FRANKA.driver_gates['franka_mode']
CONTROLLERS = '/controller_manager/list_controllers'


def only(spec: RobotSpec, topic: str) -> DriverGate:
    gate = DriverGate(spec)
    for other in set(gate.signals) - {topic}:
        gate.ignore(other)
    return gate


def problem(spec: RobotSpec, topic: str, message, commanded_s: float = 10.0) -> str:
    gate = only(spec, topic)
    gate.hear(topic, message, 5.0)
    return gate.problem(5.5, commanded_s)


@pytest.mark.parametrize('mode, words', [
    (1, ''), (2, ''), (3, 'expected safety mode NORMAL or REDUCED, got 3 PROTECTIVE_STOP on'),
    (5, 'got 5 SAFEGUARD_STOP'), (7, 'got 7 ROBOT_EMERGENCY_STOP'), (11, 'got 11'), (13, 'got 13'),
])
def test_ur_safety_mode(mode, words):
    assert matches(problem(UR, SAFETY, SimpleNamespace(mode=mode)), words)


@pytest.mark.parametrize('status, mode, commanded_s, words', [
    (0, 1, 10.0, ''),
    (0, 0, 0.0, ''),  # standby is left with the first commands
    (0, 0, 0.9, ''),
    (0, 0, 1.1, 'expected ctrl_mode 1 CAN, got 0 standby on /arm_status'),
    (0, 2, 0.0, 'expected ctrl_mode 1 CAN, got 2 teaching'),
    (1, 1, 0.0, 'expected arm_status 0 normal, got 1 emergency stop'),
    (7, 1, 0.0, 'got 7 collision'),
    (99, 1, 0.0, 'got 99'),
])
def test_piper_status(status, mode, commanded_s, words):
    message = SimpleNamespace(arm_status=status, ctrl_mode=mode)
    assert matches(problem(PIPER, STATUS, message, commanded_s), words)


@pytest.mark.parametrize('mode, words', [
    (2, ''), (1, 'expected robot mode 2 MOVE, got 1 IDLE'), (4, 'got 4 REFLEX'),
    (5, 'got 5 USER_STOPPED'), (9, 'got 9'),
])
def test_franka_mode(mode, words):
    assert matches(problem(FRANKA, MODE, SimpleNamespace(robot_mode=mode)), words)


@pytest.mark.parametrize('controllers, words', [
    ({'fr3_arm_controller': 'active', 'x': 'inactive'}, ''),
    ({'fr3_arm_controller': 'inactive'}, 'expected fr3_arm_controller to be active, got inactive'),
    ({'other': 'active'}, 'expected fr3_arm_controller to be active, got not loaded'),
])
def test_controller_active(controllers, words):
    answer = SimpleNamespace(controller=[SimpleNamespace(name=name, state=state)
                                         for name, state in controllers.items()])
    assert matches(problem(FRANKA, CONTROLLERS, answer), words)


@pytest.mark.parametrize('spec, topic', [(UR, SAFETY), (UR, UR.driver_ready_topic),
                                         (UR, UR.driver_speed_topic), (PIPER, STATUS),
                                         (FRANKA, MODE), (FRANKA, CONTROLLERS)])
def test_a_driver_that_has_said_nothing_is_not_ready(spec, topic):
    assert only(spec, topic).problem(0.0) == f'no message yet on {topic}; is the driver running?'


@pytest.mark.parametrize('spec, topic, message', [
    (PIPER, STATUS, SimpleNamespace(arm_status=0, ctrl_mode=1)),
    (FRANKA, MODE, SimpleNamespace(robot_mode=2)),
    (UR, UR.driver_speed_topic, SimpleNamespace(data=100.0)),
])
def test_a_driver_that_falls_silent_is_not_ready(spec, topic, message):
    gate = only(spec, topic)
    gate.hear(topic, message, 5.0)
    assert gate.problem(5.9) == ''
    assert gate.problem(6.1) == (f'nothing on {topic} for 1.1 s; expected it many times a second')


def test_what_is_said_once_stays_true():
    gate = only(UR, SAFETY)
    gate.hear(SAFETY, SimpleNamespace(mode=1), 0.0)
    assert gate.problem(1e6) == ''


def test_a_gate_that_is_named_none_is_off():
    assert load_robot_spec('agx_piper').driver_gates == {'piper_status': 'none'}
    assert DriverGate(load_robot_spec('agx_piper')).signals == {}


def test_an_unknown_gate_in_a_robot_file_is_named():
    with pytest.raises(ValueError, match="'driver_gates' must be of ur_safety_mode, .* got 'ur'"):
        RobotSpec.from_dict(UR.to_dict() | {'driver_gates': {'ur': '/x'}}, 'x.yaml')


class Recorder:
    """A node as DriverSignals sees it; keeps what is said to the user."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.topics: list[str] = []

    def get_logger(self):
        return SimpleNamespace(warning=self.warnings.append)

    def create_timer(self, *_) -> None:
        pass

    def create_subscription(self, _, topic, *__, **___):
        self.topics.append(topic)

    def create_client(self, _, name):
        self.topics.append(name)


@pytest.mark.parametrize('spec, packages', [
    (UR, ['ur_dashboard_msgs']), (PIPER, ['piper_msgs']),
    (FRANKA, ['controller_manager_msgs', 'franka_msgs']),
])
def test_without_the_vendors_messages_the_gate_is_off_and_the_apt_package_is_named(
        spec, packages, monkeypatch):
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    node, told = Recorder(), []
    DriverSignals(node, spec, lambda: 0.0, lambda *said: told.append(said))
    assert set(node.topics) == {topic for topic in (spec.driver_ready_topic,
                                                    spec.driver_speed_topic) if topic != 'none'}
    for package, text in zip(packages, node.warnings, strict=True):
        assert f'-{package.replace("_", "-")}' in text
        assert text.endswith('until then this gate is off')
    assert told[0][0].startswith('no message yet') is bool(node.topics)


def test_the_controllers_are_asked_in_the_namespace_of_the_driver():
    assert CONTROLLERS in DriverGate(FRANKA).signals
    assert f'/left{CONTROLLERS}' in DriverGate(load_robot_spec('fr3_hand', '', 'left')).signals


@pytest.mark.parametrize('spec, kinds', [
    (UR, [('ur_dashboard_msgs', 'msg', 'SafetyMode')]),
    (PIPER, [('piper_msgs', 'msg', 'PiperStatusMsg')]),
    (FRANKA, [('franka_msgs', 'msg', 'FrankaRobotState'),
              ('controller_manager_msgs', 'srv', 'ListControllers')]),
])
def test_with_the_vendors_messages_it_is_heard(spec, kinds, monkeypatch):
    for package, part, name in kinds:
        module = SimpleNamespace(**{name: type(name, (), {'Request': None})})
        monkeypatch.setitem(sys.modules, package, SimpleNamespace())
        monkeypatch.setitem(sys.modules, f'{package}.{part}', module)
    node = Recorder()
    DriverSignals(node, spec, lambda: 0.0, lambda *_: None)
    assert node.warnings == []
    assert len(node.topics) == len(DriverGate(spec).signals)


def matches(text: str, words: str) -> bool:
    return text == '' if words == '' else words in text
