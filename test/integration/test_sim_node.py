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
"""sim_node in its own process: what it publishes, what it follows and what it refuses."""

import json
import os
import signal
import time

from builtin_interfaces.msg import Duration
import cv2
from faster_ros.bringup import environment
from faster_ros.nodes import conversions
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.simulator import CameraRenderer, Simulator
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

SPEC = load_robot_spec('fr3')
EVERY_FRAME = QoSProfile(depth=60, reliability=ReliabilityPolicy.BEST_EFFORT)


class Watcher(Peer):
    """Keeps what the simulated robot publishes and commands it."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain)
        self.states: list[JointState] = []
        self.images: dict[str, list[Image]] = {}
        self.tasks: list[dict] = []
        node = self.node
        node.create_subscription(
            JointState, SPEC.state_topic, self.states.append, EVERY_FRAME)
        node.create_subscription(
            String, 'sim_node/task', lambda message: self.tasks.append(json.loads(message.data)),
            10)
        self._arm = node.create_publisher(JointTrajectory, SPEC.command_topic, 10)
        self._gripper = node.create_publisher(JointTrajectory, SPEC.gripper.topic, 10)
        self._reset = node.create_client(Trigger, 'sim_node/reset')
        self._parameters = node.create_client(SetParameters, 'sim_node/set_parameters')

    def watch_cameras(self) -> None:
        for name, camera in SPEC.cameras.items():
            self.images[name] = []
            self.node.create_subscription(Image, camera.topic, self.images[name].append,
                                          EVERY_FRAME)

    def joints(self) -> dict[str, float]:
        newest = self.states[-1]
        return dict(zip(newest.name, newest.position))

    def positions(self) -> np.ndarray:
        return conversions.state_from_message(self.states[-1], SPEC).positions

    def send(self, names, positions, seconds=0.3, gripper=False) -> None:
        point = JointTrajectoryPoint(
            positions=[float(value) for value in positions],
            time_from_start=Duration(sec=0, nanosec=round(seconds * 1e9)))
        message = JointTrajectory(joint_names=list(names), points=[point])
        (self._gripper if gripper else self._arm).publish(message)

    def reset(self, seed: int) -> str:
        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=seed)
        answer = self.call(self._parameters, SetParameters.Request(
            parameters=[Parameter(name='seed', value=value)]))
        assert answer.results[0].successful, answer.results[0].reason
        return self.call(self._reset, Trigger.Request()).message


@pytest.fixture(scope='module')
def sim(tmp_path_factory):
    domain = own_domain()
    os.environ.update(environment())
    process = Process(['-m', 'faster_ros.nodes.sim_node', '--ros-args', '-p', 'seed:=5'], domain,
                      tmp_path_factory.mktemp('sim') / 'log')
    process.wait_for('physics 250 Hz', 60.0)
    process.domain = domain
    yield process
    process.stop()


@pytest.fixture
def watcher(sim):
    watcher = Watcher(sim.domain)
    wait_until(lambda: watcher.states and watcher.tasks, 20.0, 'joint states and the task')
    yield watcher
    watcher.close()


def stamps(messages) -> np.ndarray:
    return np.array([conversions.to_ns(message.header.stamp) for message in messages])


def test_joint_states_name_every_joint_and_come_with_true_stamps(watcher):
    begin = len(watcher.states)
    wait_until(lambda: len(watcher.states) > begin + 150, 20.0, '150 joint states')
    times = stamps(watcher.states)
    assert (np.diff(times) > 0).all()
    assert np.median(np.diff(times)) == pytest.approx(10e6, rel=0.25)  # 2 or 3 steps of 4 ms
    assert abs(watcher.now_ns() - times[-1]) < 5e9
    assert set(watcher.states[-1].name) == {*SPEC.joint_names, 'fr3_finger_joint2'}


def test_every_image_arrives_from_one_common_state_of_all_cameras(watcher):
    watcher.watch_cameras()
    wait_until(lambda: all(map(len, watcher.images.values())), 20.0, 'images')
    first = watcher.tasks[-1]['frames']
    wait_until(lambda: watcher.tasks[-1]['frames'] > first + 30, 5.0, '30 frames')
    published = watcher.tasks[-1]['frames'] - first
    front, wrist = (stamps(images) for images in watcher.images.values())
    assert len(front) >= 0.8 * published  # make demo reports the share of a quiet machine
    assert len(set(front) & set(wrist)) >= 0.8 * min(len(front), len(wrist))
    image = watcher.images['front'][-1]
    assert (image.width, image.height, image.encoding, image.step) == (640, 480, 'rgb8', 1920)
    assert len(image.data) == 640 * 480 * 3
    assert image.header.frame_id == SPEC.cameras['front'].frame


def test_an_image_shows_the_arm_as_it_was_at_its_stamp(watcher):
    watcher.reset(7)
    watcher.watch_cameras()
    wait_until(lambda: len(watcher.images['front']) > 3, 20.0, 'images')
    target = watcher.positions()[:-1] + np.array([0.5, 0.25, 0, 0, 0, 0, 0])
    watcher.send(SPEC.arm_joint_names, target, seconds=0.9)
    wait_until(lambda: np.abs(watcher.positions()[:-1] - target).max() < 0.02, 10.0, 'the pose')
    simulator = Simulator(SPEC)
    renderer = CameraRenderer(simulator, 640, 480)
    states = list(watcher.states)
    times = stamps(states)
    joints = np.array([conversions.state_from_message(state, SPEC).positions
                       for state in states])
    speed = np.abs(np.gradient(joints[:, 0], times / 1e9))
    moving = [image for image in list(watcher.images['front'])
              if np.interp(stamps([image])[0], times, speed) > 0.3]
    assert moving, 'no image of the moving arm'

    def difference(image: Image, shift_ns: int) -> float:
        """Return how far the image is from the scene at its stamp plus a shift."""
        simulator.reset(7)
        simulator.place_arm(np.array([np.interp(stamps([image])[0] + shift_ns, times, column)
                                      for column in joints.T]))
        shown = np.frombuffer(image.data, np.uint8).reshape(480, 640, 3).astype(float)
        return np.abs(renderer.render('front', simulator.data) - shown).mean()

    image = moving[len(moving) // 2]
    at_stamp = difference(image, 0)
    assert at_stamp < 0.2
    assert at_stamp < 0.5 * min(difference(image, -60_000_000), difference(image, 60_000_000))
    renderer.close()


def test_compressed_images_and_camera_info_are_offered_too(watcher):
    camera = SPEC.cameras['wrist']
    received = {}
    for kind, topic in ((CompressedImage, f'{camera.topic}/compressed'),
                        (CameraInfo, '/camera_wrist/color/camera_info')):
        watcher.node.create_subscription(
            kind, topic, lambda message, kind=kind: received.setdefault(kind, message), 10)
    wait_until(lambda: len(received) == 2, 20.0, 'compressed image and camera_info')
    picture = cv2.imdecode(np.frombuffer(received[CompressedImage].data, np.uint8), 1)
    assert picture.shape == (480, 640, 3)
    fx, _, cx, _, fy, cy = received[CameraInfo].k[:6]
    assert (cx, cy) == (320.0, 240.0)
    assert fx == fy == pytest.approx(240.0 / np.tan(np.radians(70.0) / 2))


def test_a_trajectory_moves_the_arm_and_is_held_at_its_end(watcher):
    watcher.reset(3)
    target = watcher.positions()[:-1] + 0.1
    order = np.random.default_rng(0).permutation(7)
    watcher.send(np.array(SPEC.arm_joint_names)[order], target[order])
    wait_until(lambda: np.abs(watcher.positions()[:-1] - target).max() < 0.01, 10.0, 'the pose')
    time.sleep(0.5)
    assert np.abs(watcher.positions()[:-1] - target).max() < 0.01


def test_the_gripper_moves_both_fingers(watcher):
    watcher.reset(3)
    watcher.send([SPEC.gripper.joint], [0.01], gripper=True)
    wait_until(lambda: abs(watcher.joints()['fr3_finger_joint1'] - 0.01) < 2e-3
               and abs(watcher.joints()['fr3_finger_joint2'] - 0.01) < 2e-3, 10.0, 'the fingers')


def test_a_bad_trajectory_is_refused_in_words_and_moves_nothing(sim, watcher):
    watcher.reset(3)
    time.sleep(0.2)
    before, rejected = watcher.positions(), watcher.tasks[-1]['rejected_trajectories']
    watcher.send(['joint1', *SPEC.arm_joint_names[1:]], [0.0] * 7)
    sim.wait_for('/joint_trajectory rejected: unknown joint joint1; expected exactly fr3_joint1')
    watcher.send(SPEC.arm_joint_names, [0.0] * 6)
    sim.wait_for('rejected: expected 7 positions in point 0, got 6')
    watcher.send(SPEC.arm_joint_names, [float('nan')] * 7)
    sim.wait_for('rejected: expected finite positions')
    wait_until(lambda: watcher.tasks[-1]['rejected_trajectories'] == rejected + 3, 5.0, 'a count')
    assert watcher.positions() == pytest.approx(before, abs=1e-3)


def test_a_reset_lays_out_the_task_of_the_seed_and_takes_the_arm_home(watcher):
    watcher.send(SPEC.arm_joint_names, watcher.positions()[:-1] + 0.3)
    instruction = watcher.reset(1_000_003)
    simulator = Simulator(SPEC)
    assert instruction == simulator.reset(1_000_003).instruction
    time.sleep(0.5)
    assert watcher.positions() == pytest.approx(simulator.state()[0], abs=5e-3)
    task = watcher.tasks[-1]
    assert (task['seed'], task['instruction']) == (1_000_003, instruction)
    assert (task['success'], task['wrong']) == (False, False)
    assert 0.0 < task['elapsed_s'] < 60.0


def test_an_impossible_seed_is_refused(watcher):
    with pytest.raises(AssertionError, match='seed'):
        watcher.reset(-1)


@pytest.mark.parametrize(('arguments', 'reason'), [
    (['-p', 'robot:=fr4'], "robot 'fr4' is unknown; expected one of"),
    (['-p', 'camera_rate:=10.0'], "has no parameter 'camera_rate'; did you mean camera_rate_hz"),
])
def test_a_wrong_parameter_ends_it_with_a_reason(arguments, reason, tmp_path):
    process = Process(['-m', 'faster_ros.nodes.sim_node', '--ros-args', *arguments], own_domain(),
                      tmp_path / 'log')
    assert process.wait() == 1
    assert reason in process.output


def test_sigterm_ends_it_in_order(tmp_path):
    process = Process(['-m', 'faster_ros.nodes.sim_node'], own_domain(), tmp_path / 'log')
    process.wait_for('physics 250 Hz', 60.0)
    assert process.stop(signal.SIGTERM) == 0
    assert 'Traceback' not in process.output
