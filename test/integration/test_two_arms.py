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
"""control_node in front of a Cobot Magic: two arms, each with a driver of its own, and a base."""

from faster_ros.interfaces import ActionChunk
from faster_ros.nodes import conversions, qos
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from geometry_msgs.msg import Twist
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory
import yaml

pytestmark = pytest.mark.slow  # several processes, for a minute

PATIENCE_S = 60.0  # of a busy machine


class Cobot(Peer):
    """Two arms that stand where they were told last, a base, and chunks."""

    def __init__(self, spec: RobotSpec, domain: int, silent: str) -> None:
        super().__init__(domain)
        self.spec, self.twists, self.speaking = spec, [], {*spec.parts} - {silent}
        self.sent = {name: [] for name in spec.parts}
        self.where = {name: arm.home_positions.tolist() for name, (arm, _) in spec.parts.items()}
        node = self.node
        self._states = {name: node.create_publisher(JointState, arm.state_topic, 10)
                        for name, (arm, _) in spec.parts.items()}
        for name, (arm, _) in spec.parts.items():
            node.create_subscription(
                JointState, arm.command_topic,
                lambda message, name=name: self._follow(name, message), 100)
        node.create_subscription(Twist, '/cmd_vel', self.twists.append, 100)
        self._chunks = node.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        self._arm = node.create_client(SetBool, '/control_node/arm')
        node.create_timer(0.01, self._publish_states)

    def _follow(self, name: str, message: JointState) -> None:
        self.sent[name].append(message)
        self.where[name] = list(message.position)

    def _publish_states(self) -> None:
        for name in self.speaking:
            message = JointState(name=list(self.spec.arms[name].driver_joint_names))
            message.position = self.where[name]
            message.header.stamp = conversions.to_time(self.now_ns())
            self._states[name].publish(message)

    def arm(self) -> SetBool.Response:
        return self.call(self._arm, SetBool.Request(data=True), PATIENCE_S)

    def wait_until_armed(self) -> None:
        wait_until(lambda: self.arm().success, PATIENCE_S, 'arming')

    def send(self) -> None:
        """Send a chunk of 30 s that moves joint1 of both arms, and a base if there is one."""
        rows = 300
        actions = np.tile(self.spec.home_positions, (rows, 1))
        actions[:, [0, 7]] += 0.002 * np.arange(rows)[:, None]
        if self.spec.base is not None:
            actions = np.column_stack([actions, np.full(rows, 0.05), np.full(rows, -0.1)])
        self._chunks.publish(conversions.chunk_to_message(
            ActionChunk(self.now_ns(), 100_000_000, actions, self.spec.action_names)))

    def moves(self, name: str) -> bool:
        return bool(self.sent[name]) and self.sent[name][-1].position[0] > 0.005


@pytest.fixture
def start(tmp_path):
    """Give a function that starts control_node and the robot in front of it."""
    started = []

    def start(robot: str, silent: str = ''):
        domain, file = own_domain(), tmp_path / 'robot.yaml'
        patient = load_robot_spec(robot).to_dict() | {'state_max_age_s': 1.0}
        file.write_text(yaml.safe_dump(patient, sort_keys=False))
        process = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p',
                           f'robot:={file}'], domain, tmp_path / 'log')
        cobot = Cobot(RobotSpec.from_dict(patient, 'patient'), domain, silent)
        started.extend((process.stop, cobot.close))
        process.wait_for('disarmed', PATIENCE_S)
        return cobot, process

    yield start
    for stop in started:
        stop()


def test_both_arms_follow_and_the_silence_of_one_holds_both(start):
    cobot, process = start('cobot_magic')
    cobot.wait_until_armed()
    cobot.send()
    wait_until(lambda: cobot.moves('left') and cobot.moves('right'), PATIENCE_S, 'motion')
    for messages in cobot.sent.values():
        assert list(messages[-1].name) == [*(f'joint{n}' for n in range(1, 7)), 'gripper']
        assert list(messages[-1].velocity) == [0.0] * 6 + [50.0]
    cobot.speaking = {'left'}
    process.wait_for('holding joint_state_stale', PATIENCE_S)
    assert 'newest joint state on /joint_states_single_r is' in process.output

    def stand() -> bool:
        last = [[list(message.position) for message in messages[-20:]]
                for messages in cobot.sent.values()]
        return all(len(rows) == 20 and rows.count(rows[0]) == 20 for rows in last)

    wait_until(stand, PATIENCE_S, 'both arms at rest')
    assert 'joint_state_stale' in cobot.arm().message  # and it stays so
    cobot.speaking = {'left', 'right'}
    cobot.wait_until_armed()


def test_an_arm_that_never_reports_is_named_and_nothing_moves(start):
    cobot, _ = start('cobot_magic', silent='right')
    expected = 'no joint state of arm right received on /joint_states_single_r'
    wait_until(lambda: expected in cobot.arm().message, PATIENCE_S, 'a refusal')
    cobot.send()
    assert cobot.sent == {'left': [], 'right': []}


def test_hazard_the_leader_shares_the_command_topic_of_its_arm(start):
    cobot, _ = start('cobot_magic')
    leader = cobot.node.create_publisher(JointState, '/joint_states_r', 10)
    wait_until(lambda: 'other publishers on /joint_states_r' in cobot.arm().message, PATIENCE_S,
               'a refusal')
    assert cobot.sent == {'left': [], 'right': []}
    cobot.node.destroy_publisher(leader)
    cobot.wait_until_armed()


def test_the_base_drives_with_the_arms_and_ends_in_zeros(start):
    cobot, process = start('cobot_magic_mobile')
    joystick = cobot.node.create_publisher(Twist, '/cmd_vel', 10)
    wait_until(lambda: 'other publishers on /cmd_vel, which moves the base' in cobot.arm().message,
               PATIENCE_S, 'a refusal')
    cobot.node.destroy_publisher(joystick)
    cobot.wait_until_armed()
    cobot.send()
    wait_until(lambda: cobot.twists and cobot.twists[-1].linear.x == 0.05
               and cobot.twists[-1].angular.z == -0.1, PATIENCE_S, 'motion of the base')
    cobot.speaking = {'right'}
    process.wait_for('holding joint_state_stale', PATIENCE_S)
    count = len(cobot.twists)
    wait_until(lambda: len(cobot.twists) > count + 20 and cobot.twists[-10:] == [Twist()] * 10,
               PATIENCE_S, 'zeros while holding')
    assert process.stop() == 0
    assert cobot.twists[-1] == Twist()
