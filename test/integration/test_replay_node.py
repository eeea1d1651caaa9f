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
"""A recorded episode moves the simulated arm through control_node, once it is armed."""

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.data.dataset_spec import ACTION, DatasetFrame, DatasetSpec, EpisodeFacts, Feature
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.nodes import qos
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

SPEC = load_robot_spec('fr3')
PEAK = 0.3  # rad of the second joint


def write_episode(folder):
    """Write two seconds in which the second joint swings out and back."""
    columns = Feature('float32', (len(SPEC.action_names),), SPEC.action_names)
    writer = LeRobotWriter(folder, DatasetSpec(20, 'fr3', {ACTION: columns}, {}), 0)
    writer.begin_episode(EpisodeFacts('swing'))
    for time in np.arange(40) / 20:
        row = SPEC.home_positions.copy()
        row[1] += PEAK * np.sin(np.pi * time / 1.95) ** 2
        writer.add_frame(DatasetFrame({ACTION: row}, {}))
    writer.save_episode()
    writer.close()


@pytest.mark.slow
def test_an_episode_is_replayed_when_the_arm_is_armed(tmp_path):
    write_episode(tmp_path / 'set')
    domain, said, swung = own_domain(), [], []
    peer = Peer(domain)
    peer.node.create_subscription(DiagnosticStatus, 'replay_node/status',
                                  lambda message: said.append(message.message), qos.STATUS)
    peer.node.create_subscription(
        JointState, SPEC.state_topic, lambda message: swung.append(
            message.position[list(message.name).index(SPEC.driver_joint_names[1])]
            - SPEC.home_positions[1]), qos.SENSOR)
    processes = [
        Process(['-m', 'faster_ros.nodes.sim_node', '--ros-args', '-p', 'robot:=fr3', '-p',
                 'camera_rate_hz:=1.0'], domain, tmp_path / 'sim.log'),
        Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p', 'robot:=fr3'],
                domain, tmp_path / 'control.log'),
        Process(['-m', 'faster_ros.cli.main', 'data', 'replay', str(tmp_path / 'set'), '--speed',
                 '0.5'], domain, tmp_path / 'replay.log')]
    try:
        wait_until(lambda: 'ready: arm control_node' in said and swung, 30.0,
                   lambda: f'readiness: {processes[2].output}')
        assert np.abs(swung).max() < 0.02  # nothing moves before it is armed
        arm = peer.node.create_client(SetBool, '/control_node/arm')
        wait_until(lambda: peer.call(arm, SetBool.Request(data=True)).success, 10.0,
                   lambda: f'arming: {processes[1].output}')
        wait_until(lambda: 'finished' in said, 30.0, lambda: f'the end: {said[-3:]}')
        assert max(swung) == pytest.approx(PEAK, abs=0.03)
        wait_until(lambda: abs(swung[-1]) < 0.03, 10.0, lambda: f'the way back: {swung[-1]}')
    finally:
        codes = [process.stop() for process in reversed(processes)]
        peer.close()
    assert codes == [0, 0, 0]


@pytest.mark.slow
def test_joint_states_of_other_hardware_do_not_end_a_replay(tmp_path):
    write_episode(tmp_path / 'set')
    domain, chunks = own_domain(), []
    peer = Peer(domain)
    peer.node.create_subscription(JointTrajectory, 'policy/chunk', chunks.append, qos.COMMAND)
    joints = peer.node.create_publisher(JointState, SPEC.state_topic, qos.COMMAND)

    def say(names, positions):
        message = JointState(name=list(names), position=list(positions))
        message.header.stamp = peer.node.get_clock().now().to_msg()
        joints.publish(message)

    def speak():
        say(['left_wheel', 'right_wheel'], [1.0, 2.0])
        say(SPEC.driver_joint_names, SPEC.home_positions)
        say(SPEC.driver_joint_names[:3], SPEC.home_positions[:3])

    peer.node.create_timer(0.02, speak)
    replay = Process(['-m', 'faster_ros.cli.main', 'data', 'replay', str(tmp_path / 'set')],
                     domain, tmp_path / 'replay.log')
    try:
        wait_until(lambda: len(chunks) > 5, 30.0, lambda: f'chunks: {replay.output}')
        replay.wait_for('lacks fr3_joint4', 5.0)
    finally:
        code = replay.stop()
        peer.close()
    assert code == 0
