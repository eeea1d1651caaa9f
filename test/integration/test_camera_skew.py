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
"""Simulated cameras that are triggered apart and deliver late: what is recorded tells it right."""

from faster_ros.data.bag_reader import open_bag
from faster_ros.data.dataset_spec import IMAGES, STAMP
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.nodes.conversions import state_from_message, to_duration, to_ns
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.simulator import CameraRenderer, Simulator
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
import yaml

SPEC = load_robot_spec('fr3')
SIZE, SEED, MS = (320, 240), 5, 1_000_000
OFFSETS_MS, DELAYS_MS = {'front': 0, 'wrist': 12}, {'front': 60, 'wrist': 0}
TOLERANCE_MS = 2.0


class Hand(Peer):
    """Swings the arm, says what was sent, and records."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain)
        self.side = 1.0
        self._arm = self.node.create_publisher(JointTrajectory, SPEC.command_topic, 10)
        self._sent = self.node.create_publisher(JointState, '/control_node/command', 10)
        self.node.create_timer(1.2, self._swing)
        self.node.create_timer(0.05, self._say)

    def _swing(self) -> None:
        self.side = -self.side
        target = SPEC.home_positions[:-1] + 0.4 * self.side * np.eye(7)[0]
        point = JointTrajectoryPoint(positions=target.tolist(),
                                     time_from_start=to_duration(1_000 * MS))
        self._arm.publish(JointTrajectory(joint_names=list(SPEC.arm_joint_names), points=[point]))

    def _say(self) -> None:
        message = JointState(name=list(SPEC.action_names), position=SPEC.home_positions.tolist())
        message.header.stamp = self.node.get_clock().now().to_msg()
        self._sent.publish(message)

    def ask(self, name: str) -> bool:
        client = self.node.create_client(Trigger, f'/recorder_node/{name}')
        return self.call(client, Trigger.Request(), 30.0).success


def record(folder) -> None:
    """Record an episode of ten seconds of the simulated arm."""
    data = SPEC.to_dict()
    for camera in data['cameras'].values():
        camera |= {'width': SIZE[0], 'height': SIZE[1], 'rate_hz': 10.0}
    robot = folder / 'robot.yaml'
    robot.write_text(yaml.safe_dump(data, sort_keys=False))
    domain = own_domain()
    numbers = {'camera_offsets': OFFSETS_MS, 'camera_delays': DELAYS_MS}
    told = [word for name, values in numbers.items() for word in (
        '-p', f'{name}:={[values[camera] / 1000 for camera in SPEC.cameras]}')]
    running = [
        Process(['-m', 'faster_ros.nodes.sim_node', '--ros-args', '-p', f'robot:={robot}', '-p',
                 f'seed:={SEED}', *told], domain, folder / 'sim.log'),
        Process(['-m', 'faster_ros.nodes.recorder_node', '--ros-args', '-p', f'robot:={robot}',
                 '-p', f"folder:={folder / 'set'}", '-p', 'task:=swing', '-p', 'fps:=10', '-p',
                 'gate:=false', '-p', 'bag:=all'], domain, folder / 'recorder.log')]
    hand = Hand(domain)
    try:
        wait_until(lambda: hand.ask('start'), 60.0, lambda: f'a start: {running[1].output}')
        begin_ns = hand.now_ns()
        wait_until(lambda: hand.now_ns() > begin_ns + 10_000 * MS, 20.0, 'ten seconds')
        assert hand.ask('save'), running[1].output
    finally:
        for process in running:
            process.stop()
        hand.close()


def of_the_bag(bag):
    """Return stamps and positions of the joints, and by topic how late messages came in ms."""
    stamps, positions, late = [], [], {}
    with open_bag(bag) as reader:
        for connection, now_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            if connection.topic == SPEC.state_topic:
                stamps.append(to_ns(message.header.stamp))
                positions.append(state_from_message(message, SPEC).positions)
            elif connection.msgtype == 'sensor_msgs/msg/Image':
                late.setdefault(connection.topic, []).append(
                    (now_ns - to_ns(message.header.stamp)) / MS)
    return np.array(stamps), np.array(positions), late


def shown_late_ms(dataset, camera, stamps_ns, joints_ns, joints) -> float:
    """Return by how much images show a later scene than that of their stamps."""
    simulator = Simulator(SPEC)
    simulator.reset(SEED)
    renderer = CameraRenderer(simulator, *SIZE)
    speed = np.abs(np.gradient(joints[:, 0], joints_ns / 1e9))
    shifts_ms, found = np.array([-16.0, -8.0, 0.0, 8.0, 16.0]), []
    for stamp_ns, image in zip(stamps_ns, dataset.images(dataset.episodes[0], IMAGES + camera)):
        if np.interp(stamp_ns, joints_ns, speed) < 0.3:
            continue
        errors = []
        for shift_ms in shifts_ms:
            simulator.place_arm(np.array([np.interp(stamp_ns + shift_ms * MS, joints_ns, column)
                                          for column in joints.T]))
            shown = renderer.render(camera, simulator.data).astype(float)
            errors.append(((shown - image) ** 2).mean())
        square, slope, _ = np.polyfit(shifts_ms, errors, 2)
        found.append(-slope / (2 * square))
    renderer.close()
    assert len(found) >= 10, 'too few images of the moving arm'
    return float(np.median(found))


@pytest.mark.slow
def test_recorded_stamps_tell_when_cameras_that_are_apart_and_late_saw_what_they_show(tmp_path):
    record(tmp_path)
    dataset = LeRobotDataset(tmp_path / 'set')
    columns = dataset.columns(dataset.episodes[0])
    stamps = {camera: columns[f'{STAMP}{camera}'].ravel() for camera in SPEC.cameras}
    skew = (stamps['wrist'] - stamps['front']) / MS - OFFSETS_MS['wrist']
    together = np.abs(skew) < 40  # of one trigger; a busy machine loses images
    assert together.sum() >= 20
    assert np.abs(skew[together]).max() <= TOLERANCE_MS
    joints_ns, joints, late = of_the_bag(tmp_path / 'set/raw/episode_000000')
    assert min(late[SPEC.cameras['front'].topic]) >= DELAYS_MS['front']
    for camera in SPEC.cameras:
        shift_ms = shown_late_ms(dataset, camera, stamps[camera], joints_ns, joints)
        assert abs(shift_ms) <= TOLERANCE_MS, (camera, shift_ms)
