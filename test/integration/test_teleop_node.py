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
"""Simulated arm, control_node and teleop_node in processes of their own, led by a scripted arm."""

import time

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import ActionChunk
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
import yaml

SPEC = load_robot_spec('fr3')
NAMES = SPEC.driver_joint_names
LEADER_START = np.linspace(-0.5, 0.5, 7)
DEVICE = {
    'leaders': {'arm': {'joint_state': {
        'topic': '/leader', 'gripper': {'leader': 'handle', 'closed': 0.0, 'open': 1.0}}}},
    # A busy machine may lose half a second.
    'timeout_s': 0.5, 'deadman': {'topic': '/pedal', 'button': 1},
    'hand_back': {'topic': '/pedal', 'button': 2}}

# So may the joint states, and what vouches for the images.
PATIENT = SPEC.to_dict() | {'state_max_age_s': 1.0}
for camera in PATIENT['cameras'].values():
    camera['max_age_s'] = 5.0


class Person(Peer):
    """A leader arm with a pedal, and a policy that walks one joint at 0.2 rad/s."""

    def __init__(self, domain: int) -> None:
        self.leader = LEADER_START.copy()
        self.handle, self.held, self.silent, self.walks = 1.0, 0, False, False
        self.hands_back = 0
        self.leads: list[str] = []
        self.commands: list[np.ndarray] = []
        self.status: dict[str, str] = {}
        self.teleop: dict[str, str] = {}
        super().__init__(domain)
        node = self.node
        self._leader = node.create_publisher(JointState, '/leader', 10)
        self._pedal = node.create_publisher(Joy, '/pedal', 10)
        self._policy = node.create_publisher(JointTrajectory, 'autonomy/chunk', qos.COMMAND)
        node.create_subscription(Header, '/teleop_node/lead', self._on_lead, qos.LATCHED)
        node.create_subscription(JointState, '/control_node/command', self._on_command, 10)
        for name, keep in (('control_node', 'status'), ('teleop_node', 'teleop')):
            node.create_subscription(
                DiagnosticStatus, f'/{name}/status',
                lambda message, keep=keep: setattr(self, keep, values_of(message)), 10)
        self.arm = node.create_client(SetBool, '/control_node/arm')
        self.reset = node.create_client(Trigger, '/control_node/reset')
        self.engage = node.create_client(SetBool, '/teleop_node/engage')
        self.hold = node.create_client(Trigger, '/teleop_node/hold')
        self.hand_back = node.create_client(Trigger, '/teleop_node/hand_back')
        self._fresh = node.create_publisher(Time, 'autonomy/fresh_until', qos.SENSOR)
        node.create_timer(0.02, self._publish)
        node.create_timer(0.3, self._walk)

    def _publish(self) -> None:
        if self.silent:
            return
        message = JointState(name=[*NAMES[:7], 'handle'])
        message.position = [*map(float, self.leader), self.handle]
        self._leader.publish(message)
        self._pedal.publish(Joy(buttons=[0, self.held, self.hands_back]))

    def _walk(self) -> None:
        """Vouch for images and answer them, always, as a policy does that is not heard."""
        self._fresh.publish(conversions.to_time(self.now_ns() + 10**9))
        if not self.walks or not self.commands:
            return
        actions = np.tile(self.commands[-1], (16, 1))
        actions[:, 0] += 0.02 * np.arange(16)
        self._policy.publish(conversions.chunk_to_message(
            ActionChunk(self.now_ns(), 100_000_000, actions, SPEC.joint_names)))

    def _on_lead(self, message: Header) -> None:
        assert abs(conversions.to_ns(message.stamp) - self.now_ns()) < 60e9
        self.leads.append(message.frame_id)

    def _on_command(self, message: JointState) -> None:
        self.commands.append(np.array(message.position))

    @property
    def place(self) -> np.ndarray:
        return self.commands[-1]

    def wait_for(self, lead: str) -> None:
        wait_until(lambda: self.leads and self.leads[-1] == lead, 20.0,
                   lambda: f'lead {lead} (had {self.leads}, {self.teleop}, {self.status})')

    def stand(self) -> np.ndarray:
        """Wait until the commands stand; returns them."""
        seen = [np.full(8, np.inf)]

        def stands() -> bool:
            if len(self.commands) < 31:
                return False
            seen[0] = self.commands[-30]
            return bool(np.abs(self.place - seen[0]).max() < 1e-6)
        wait_until(stands, 20.0, 'an arm that stands')
        return self.place


@pytest.fixture(scope='module', params=[False, True], ids=['alone', 'with_policy'])
def person(request, tmp_path_factory):
    domain, folder = own_domain(), tmp_path_factory.mktemp('teleop')
    (folder / 'device.yaml').write_text(yaml.safe_dump(DEVICE))
    robot = folder / 'patient.yaml'
    robot.write_text(yaml.safe_dump(PATIENT, sort_keys=False))
    options = {
        'sim_node': ['-p', 'camera_rate_hz:=1.0', '-p', 'width:=64', '-p', 'height:=48'],
        'control_node': ['-p', 'starve_grace:=5.0', '-p', 'tracking_error:=1.0'],
        'teleop_node': ['-p', f'device:={folder}/device.yaml', '-p',
                        f'policy:={str(request.param).lower()}']}
    nodes = {name: Process(['-m', f'faster_ros.nodes.{name}', '--ros-args', '-p',
                            f'robot:={robot}', *words], domain, folder / f'{name}.log')
             for name, words in options.items()}
    person = Person(domain)
    person.nodes, person.with_policy = nodes, request.param
    try:
        wait_until(lambda: person.status.get('state_age_s'), 30.0, 'joint states')
        nodes['teleop_node'].wait_for('teleop_node\n  robot')
        yield person
    finally:
        for node in nodes.values():
            node.stop()
        person.close()


@pytest.fixture
def ready(person):
    """Give an armed arm that nobody leads by hand, and a leader at its start; disarm it after."""
    person.held, person.hands_back, person.silent, person.walks = 0, 0, False, False
    person.leader, person.handle = LEADER_START.copy(), 1.0
    wait_until(lambda: person.teleop.get('leaders') == '', 20.0, 'a leader')
    answers = []

    def arms() -> bool:  # not yet while it brakes after the test before
        answers.append(person.call(person.arm, SetBool.Request(data=True)))
        return answers[-1].success

    wait_until(arms, 5.0, lambda: f'arming ({answers[-1].message})')
    wait_until(lambda: person.teleop.get('control_running') == 'true', 20.0, 'control_node')
    yield person
    person.walks = False
    person.call(person.arm, SetBool.Request(data=False))
    # Or the next test takes what teleop_node said before for its answer to being armed.
    wait_until(lambda: person.teleop.get('control_running') == 'false', 20.0, 'a disarmed arm')


def test_the_arm_follows_the_leader_only_while_the_pedal_is_held(ready):
    begin = ready.stand()
    ready.leader[0] += 0.2
    if ready.with_policy:  # which leads from the start, and stands
        ready.call(ready.hold, Trigger.Request())
    refused = ready.call(ready.engage, SetBool.Request(data=True))
    assert 'button 1 on /pedal is not held down' in refused.message
    ready.held = 1
    human = 'intervention' if ready.with_policy else 'human'
    ready.wait_for(human)
    ready.leader[0] += 0.2
    ready.handle = 0.0
    goal = begin[:7] + 0.2 * np.eye(7)[0]
    wait_until(lambda: np.abs(ready.place[:7] - goal).max() < 1e-6, 20.0,
               lambda: f'the goal {goal} (is {ready.place}, {ready.status})')
    wait_until(lambda: abs(ready.place[7]) < 1e-6, 20.0, 'a closed gripper')
    ready.held = 0
    ready.wait_for('hold')
    ready.leader[0] -= 0.5
    np.testing.assert_allclose(ready.stand()[:7], goal, atol=1e-6)


def test_a_leader_that_falls_silent_holds_the_arm_and_says_so(ready):
    ready.held = 1
    ready.wait_for('intervention' if ready.with_policy else 'human')
    ready.silent = True
    ready.wait_for('hold')
    assert ready.status['mode'] == 'running'
    wait_until(lambda: ready.teleop['lead'] == 'hold', 20.0, 'a status')
    assert 'nothing received on /' in ready.teleop['reason']
    ready.held, ready.silent = 0, False
    ready.stand()


@pytest.mark.parametrize('person', [True], ids=['with_policy'], indirect=True)
def test_a_person_takes_over_from_a_policy_and_hands_back(ready):
    assert ready.call(ready.hand_back, Trigger.Request()).success
    ready.wait_for('policy')
    ready.walks = True
    begin = ready.place[0]
    wait_until(lambda: ready.place[0] > begin + 0.1, 20.0, lambda: f'a walk ({ready.status})')
    held = ready.call(ready.engage, SetBool.Request(data=True))
    assert held.success
    assert held.message == ('the arm is held: button 1 on /pedal is not held down; hold it to '
                            'engage')
    ready.wait_for('hold')
    taken = ready.stand()  # the policy goes on answering, and is not heard
    ready.held = 1
    ready.wait_for('intervention')
    ready.leader[1] += 0.1
    goal = taken[:7] + 0.1 * np.eye(7)[1]
    wait_until(lambda: np.abs(ready.place[:7] - goal).max() < 1e-6, 20.0,
               lambda: f'the goal {goal} (is {ready.place})')
    ready.held = 0
    ready.wait_for('hold')
    np.testing.assert_allclose(ready.stand()[:7], goal, atol=1e-6)
    ready.hands_back = 1
    ready.wait_for('policy')
    wait_until(lambda: ready.place[0] > taken[0] + 0.1, 20.0, 'the policy to go on')
    ready.held = 1
    ready.wait_for('intervention')
    ready.held = 0
    ready.stand()
    assert ready.status['mode'] == 'running'
    assert ready.status['chunks_rejected'] == '0'
    # Apart in time by about 10 ms each, two commands are never further apart than the limits let.
    steps = np.abs(np.diff(np.array(ready.commands), axis=0))[:, :7]
    assert np.median(steps.max(axis=1)) < 0.011 * SPEC.limit_array('velocity').max()


@pytest.mark.parametrize('person', [True], ids=['with_policy'], indirect=True)
def test_an_arm_that_stopped_under_a_person_stands_when_it_is_armed_until_one_hands_back(ready):
    ready.held = 1
    ready.wait_for('intervention')
    before = ready.stand()
    ready.walks = True
    ready.call(ready.arm, SetBool.Request(data=False))
    ready.wait_for('idle')
    refused = ready.call(ready.hand_back, Trigger.Request())
    assert refused.message == 'control_node is not running: call its ~/arm first'
    wait_until(lambda: ready.call(ready.arm, SetBool.Request(data=True)).success, 5.0, 'arming')
    wait_until(lambda: (ready.teleop['control_running'], ready.teleop['lead']) == (
        'true', 'idle'), 20.0, lambda: f'an arm that runs and nobody leads ({ready.teleop})')
    time.sleep(1.0)  # three chunks of the policy
    np.testing.assert_allclose(ready.place, before, atol=1e-6)
    assert ready.call(ready.hand_back, Trigger.Request()).success
    ready.wait_for('policy')
    wait_until(lambda: ready.place[0] > before[0] + 0.1, 20.0, 'the policy to go on')
    ready.call(ready.arm, SetBool.Request(data=False))
    ready.wait_for('idle')  # nobody's rows while the arm is held


@pytest.mark.parametrize('person', [False], ids=['alone'], indirect=True)
def test_without_a_policy_nothing_can_be_handed_back(ready):
    refused = ready.call(ready.hand_back, Trigger.Request())
    assert refused.message == 'there is no policy to hand back to'


def test_a_disarmed_arm_cannot_be_engaged(ready):
    ready.call(ready.arm, SetBool.Request(data=False))
    wait_until(lambda: ready.teleop.get('control_running') == 'false', 20.0, 'disarmed')
    ready.held = 1
    wait_until(lambda: 'control_node is not running' in ready.teleop['refusal'], 20.0,
               lambda: f'a refusal ({ready.teleop})')
    ready.held = 0


def test_a_wrong_device_is_one_clear_line(tmp_path):
    process = Process(['-m', 'faster_ros.nodes.teleop_node', '--ros-args', '-p',
                       'device:=joystik'], own_domain(), tmp_path / 'log')
    assert process.wait() == 1
    assert "teleop device 'joystik' is unknown; expected one of" in process.output
    assert 'Traceback' not in process.output
