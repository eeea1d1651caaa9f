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
"""Two simulated arms with doctor, control and arming as the launch starts them."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from faster_ros.bringup import policy_graph
from faster_ros.graph_parts import command, Process as Planned
from faster_ros.interfaces import ActionChunk
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
import yaml

pytestmark = pytest.mark.slow  # several processes, for a minute

PATIENCE_S = 60.0  # of a busy machine
WIRE = '/wire'  # in front of the topic on which sim_node tells the right arm's joints


class Cell(Peer):
    """The wire of the right arm's joint states, which can be cut; a policy; an operator."""

    def __init__(self, spec, domain: int) -> None:
        super().__init__(domain)
        self.spec, self.wired = spec, False
        self.where = {name: {} for name in spec.parts}
        self.verdict: dict[str, DiagnosticStatus] = {}
        self.status: dict[str, str] = {}
        node, right = self.node, spec.arms['right'].state_topic
        self._right = node.create_publisher(JointState, right, 10)
        node.create_subscription(JointState, WIRE + right, self._pass_on, 10)
        for name, arm in spec.arms.items():
            topic = WIRE + right if name == 'right' else arm.state_topic
            node.create_subscription(JointState, topic, lambda message, name=name:
                                     self._note(name, message), 10)
        node.create_subscription(DiagnosticArray, 'doctor/verdict', self._on_verdict, qos.LATCHED)
        node.create_subscription(DiagnosticStatus, 'control_node/status', self._on_status, 10)
        self._chunks = node.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        self._arm = node.create_client(SetBool, 'control_node/arm')
        self._check = node.create_client(Trigger, 'doctor_node/check')

    def _pass_on(self, message: JointState) -> None:
        if self.wired:
            self._right.publish(message)

    def _note(self, name: str, message: JointState) -> None:
        self.where[name] = dict(zip(message.name, message.position))

    def _on_verdict(self, message: DiagnosticArray) -> None:
        self.verdict = {status.name: status for status in message.status}

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.status = values_of(message)

    def arm(self) -> SetBool.Response:
        return self.call(self._arm, SetBool.Request(data=True), PATIENCE_S)

    def red(self) -> list[str]:
        """Let the doctor examine anew; return the checks that are critical."""
        before = self.verdict
        self.call(self._check, Trigger.Request(), PATIENCE_S)
        wait_until(lambda: self.verdict is not before, PATIENCE_S, 'the verdict')
        return [name for name, status in self.verdict.items()
                if status.level == DiagnosticStatus.ERROR]

    def joint1(self) -> np.ndarray:
        """Return the first joint of each arm."""
        return np.array([self.where[name].get('joint1', np.nan) for name in self.spec.arms])

    def pose(self) -> np.ndarray:
        told = [self.where[name][joint] for name, arm in self.spec.arms.items()
                for joint in arm.driver_joint_names]
        return np.array(told)

    def send(self) -> None:
        """Send a chunk of 30 s that moves joint1 of both arms."""
        actions = np.tile(self.pose(), (300, 1))
        actions[:, [0, 7]] += 0.002 * np.arange(300)[:, None]
        self._chunks.publish(conversions.chunk_to_message(
            ActionChunk(self.now_ns(), 100_000_000, actions, self.spec.action_names)))


@pytest.fixture
def cell(tmp_path):
    """Start the simulated arms, and the doctor and the control_node of the launch."""
    values = load_robot_spec('cobot_magic').to_dict() | {'state_max_age_s': 5.0}
    for camera in values['cameras'].values():
        camera.update(width=64, height=48, rate_hz=5.0, max_age_s=5.0)
    file, domain = tmp_path / 'robot.yaml', own_domain()
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    spec = load_robot_spec(str(file))
    right = spec.arms['right'].state_topic
    simulation = Planned('sim_node', {'robot': str(file)}, remappings=((right, WIRE + right),))
    launched = {process.name: process for process in policy_graph(str(file))}
    launched['doctor_node'].parameters['checkpoint'] = ''  # none was trained for these arms
    cell = Cell(spec, domain)
    running = [Process(command(process)[1:], domain, tmp_path / process.name) for process in (
        simulation, launched['doctor_node'], launched['control_node'])]
    cell.control = running[-1]
    yield cell
    for process in running:
        process.stop()
    cell.close()


def test_two_arms_need_the_doctor_s_consent_for_both_and_a_fault_of_one_holds_both(cell):
    wait_until(lambda: all(cell.where.values()), PATIENCE_S, 'the simulation')
    wait_until(lambda: any(check.startswith('right') for check in cell.red()), PATIENCE_S,
               lambda: f'a red line of the right arm among {list(cell.verdict)}')
    assert not any(check.startswith('left') for check in cell.red()), cell.red()
    refusal = cell.arm().message
    assert 'right' in refusal, refusal
    begin = cell.joint1()

    cell.wired = True
    wait_until(lambda: not cell.red(), PATIENCE_S, lambda: f'green instead of {cell.red()}')
    wait_until(lambda: cell.arm().success, PATIENCE_S, lambda: cell.arm().message)
    assert np.abs(cell.joint1() - begin).max() < 0.01  # arming alone moves nothing
    cell.send()
    wait_until(lambda: (cell.joint1() > begin + 0.03).all(), PATIENCE_S,
               lambda: f'motion of both, {cell.joint1() - begin} {cell.status}')

    cell.wired = False
    wait_until(lambda: cell.status.get('reason') == 'joint_state_stale', PATIENCE_S, 'a hold')
    assert 'newest joint state on /joint_states_single_r is' in cell.status['detail']

    def stand() -> bool:
        before, stamp = cell.joint1(), cell.now_ns()
        wait_until(lambda: cell.now_ns() > stamp + 500_000_000, PATIENCE_S, 'half a second')
        return bool(np.abs(cell.joint1() - before).max() < 1e-3)

    wait_until(stand, PATIENCE_S, 'both arms at rest')
    assert not cell.arm().success
    cell.wired = True
    stamp = cell.now_ns()
    wait_until(lambda: cell.now_ns() > stamp + 1_000_000_000, PATIENCE_S, 'a second')
    assert cell.status['mode'] == 'holding'  # the stream alone brings no motion back
