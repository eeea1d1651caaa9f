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
"""control_node in front of a Piper, and of a UR on velocities: over real topics."""

import time

from faster_ros.interfaces import ActionChunk
from faster_ros.nodes import conversions, qos
from faster_ros.robot_spec import load_robot_spec, RobotSpec
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64, Float64MultiArray
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory
import yaml


class Robot(Peer):
    """Joint states, a chunk, and what the driver was sent."""

    def __init__(self, spec: RobotSpec, kind, domain: int) -> None:
        super().__init__(domain)
        self.spec, self.sent = spec, []
        node = self.node
        self._states = node.create_publisher(JointState, spec.state_topic, 10)
        self._chunks = node.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        node.create_subscription(kind, spec.command_topic, self.sent.append, 100)
        self._arm = node.create_client(SetBool, '/control_node/arm')
        node.create_timer(0.01, self._publish_state)

    def _publish_state(self) -> None:
        message = JointState(name=list(self.spec.joint_names))
        message.position = self.spec.home_positions.tolist()
        message.velocity = [0.0] * len(message.name)
        message.header.stamp = conversions.to_time(self.now_ns())
        self._states.publish(message)

    def arm(self, value: bool = True) -> SetBool.Response:
        return self.call(self._arm, SetBool.Request(data=value))

    def wait_until_armed(self) -> None:
        wait_until(lambda: self.arm().success, 10.0, 'arming')

    def send(self) -> None:
        """Send a chunk that moves the first joint slowly."""
        actions = np.tile(self.spec.home_positions, (16, 1))
        actions[:, 0] += 0.01 * np.arange(16)
        self._chunks.publish(conversions.chunk_to_message(
            ActionChunk(self.now_ns(), 100_000_000, actions, self.spec.joint_names)))


@pytest.fixture
def start(tmp_path):
    """Give a function that starts control_node and the robot in front of it."""
    started = []

    def start(spec, kind, *parameters):
        domain, file = own_domain(), tmp_path / 'robot.yaml'
        patient = spec.to_dict() | {'state_max_age_s': 1.0}  # a busy machine
        file.write_text(yaml.safe_dump(patient, sort_keys=False))
        arguments = [word for text in parameters for word in ('-p', text)]
        process = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p',
                           f'robot:={file}', *arguments], domain, tmp_path / 'log')
        robot = Robot(RobotSpec.from_dict(patient, 'patient'), kind, domain)
        started.extend((process.stop, robot.close))
        process.wait_for('disarmed')
        return robot, process

    yield start
    for stop in started:
        stop()


def test_a_piper_is_commanded_whole_and_by_one_publisher_only(start):
    robot, _ = start(load_robot_spec('piper'), JointState)
    rival = robot.node.create_publisher(JointState, robot.spec.command_topic, 10)
    wait_until(lambda: 'other publishers' in robot.arm().message, 10.0, 'a refusal')
    assert robot.sent == []
    robot.node.destroy_publisher(rival)
    robot.wait_until_armed()
    robot.send()
    wait_until(lambda: robot.sent and robot.sent[-1].position[0] > 0.02, 5.0, 'motion')
    for message in robot.sent:
        assert tuple(message.name) == robot.spec.joint_names
        assert list(message.velocity) == [0.0] * 6 + [50.0]


def test_a_ur_moves_only_while_its_driver_is_ready_and_ends_with_zero_velocities(start):
    data = load_robot_spec('ur5e').to_dict() | {
        'command_mode': 'forward_velocity',
        'command_topic': '/forward_velocity_controller/commands',
        'command_rate_hz': 250.0}
    data['gripper'] |= {'mode': 'forward_position', 'topic': '/gripper/commands'}
    robot, process = start(RobotSpec.from_dict(data, 'ur5e on velocities'), Float64MultiArray)
    wait_until(lambda: 'robot_program_running, got no message yet' in robot.arm().message, 10.0,
               'a refusal')
    ready = robot.node.create_publisher(Bool, robot.spec.driver_ready_topic, qos.LATCHED)
    speed = robot.node.create_publisher(Float64, robot.spec.driver_speed_topic, 10)
    ready.publish(Bool(data=True))
    robot.node.create_timer(0.01, lambda: speed.publish(Float64(data=100.0)))
    robot.wait_until_armed()
    robot.send()
    wait_until(lambda: robot.sent and robot.sent[-1].data[0] > 0.02, 5.0, 'motion')
    assert process.stop() == 0
    time.sleep(0.2)
    assert all(list(message.data) == [0.0] * 6 for message in robot.sent[-10:])
    assert any(message.data[0] > 0.02 for message in robot.sent)


def test_a_dry_run_reaches_no_driver(start):
    robot, process = start(load_robot_spec('piper'), JointState, 'dry_run:=true')
    shadow = []
    robot.node.create_subscription(JointState, '/dry_run/joint_states', shadow.append, 100)
    robot.wait_until_armed()
    robot.send()
    wait_until(lambda: shadow and shadow[-1].position[0] > 0.02, 5.0, 'motion in the shadow')
    assert robot.sent == []
    assert 'joint_state on /dry_run/joint_states' in process.output


def test_messages_that_are_not_installed_are_one_clear_line(tmp_path):
    process = Process(['-c', 'import sys; sys.modules["control_msgs"] = None\n'
                       'from faster_ros.nodes.control_node import main; main(["--ros-args", "-p", '
                       '"robot:=ur5e"])'], own_domain(), tmp_path / 'log')
    assert process.wait() == 1
    assert 'needs the messages of control_msgs' in process.output
    assert 'Traceback' not in process.output
