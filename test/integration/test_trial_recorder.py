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
"""TrialRecorder with the real recorder_node: what it refuses, what it keeps, what it names."""

from threading import Event

from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.nodes.conversions import to_time
from faster_ros.nodes.trial_recorder import TrialRecorder
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import Image, JointState
import yaml

SPEC = load_robot_spec('fr3')
FACTS = {'trial': '3', 'attempt': '1'}
START = """
import resource, sys
from faster_ros.nodes.recorder_node import main
limit = int(sys.argv[1])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main(sys.argv[2:])
"""


class Robot(Peer):
    """An arm whose joints and cameras speak; ``sends`` while control_node would command."""

    def __init__(self, domain):
        self.cameras, self.sends = list(SPEC.cameras), False
        super().__init__(domain)
        node = self.node
        self._images = {name: node.create_publisher(Image, camera.topic, 10)
                        for name, camera in SPEC.cameras.items()}
        self._states = node.create_publisher(JointState, SPEC.state_topic, 10)
        self._commands = node.create_publisher(JointState, 'control_node/command', 10)
        self.recorder = TrialRecorder(node, Event())
        self._noise = np.random.default_rng(0)
        node.create_timer(0.05, self._publish)

    def _publish(self):
        stamp = to_time(self.now_ns())
        joints = SPEC.home_positions + 0.1 * np.sin(self.now_ns() * 1e-9) * np.eye(8)[0]
        state = JointState(name=list(SPEC.driver_joint_names), position=joints.tolist())
        command = JointState(name=list(SPEC.action_names), position=joints.tolist())
        state.header.stamp = command.header.stamp = stamp
        self._states.publish(state)
        if self.sends:
            self._commands.publish(command)
        for name in self.cameras:
            image = Image(height=48, width=64, encoding='rgb8', step=192, data=bytes(
                self._noise.integers(0, 255, 48 * 64 * 3, np.uint8)))
            image.header.stamp = stamp
            self._images[name].publish(image)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts recorder_node with a limit of its files in bytes."""
    data = SPEC.to_dict()
    for camera in data['cameras'].values():
        camera |= {'width': 64, 'height': 48, 'rate_hz': 20.0}
    (tmp_path / 'robot.yaml').write_text(yaml.safe_dump(data, sort_keys=False))
    domain = own_domain()
    running = []

    def begin(limit=0):
        running.append(Process(
            ['-c', START, str(limit), '--ros-args', '-p', f'robot:={tmp_path / "robot.yaml"}',
             '-p', f'folder:={tmp_path / "set"}', '-p', 'task:=pick', '-p', 'fps:=10', '-p',
             'gate:=false', '-p', 'policy_leads:=true'], domain, tmp_path / 'recorder.txt'))
        wait_until(lambda: not robot.recorder.missing(), 60.0,
                   lambda: f'{robot.recorder.missing()}\n{running[-1].output}')
        return robot

    robot = Robot(domain)
    yield begin
    for process in running:
        process.stop()
    robot.close()


def begins(robot):
    wait_until(lambda: robot.recorder.begin(FACTS) == '', 20.0, lambda: robot.recorder.state)


def records(robot, seconds):
    robot.recorder._status['seconds'] = '0'  # of the episode before

    def recorded():
        first, *rest = robot.recorder.state[0].split()
        return rest[:2] == ['s', 'recorded'] and int(first) >= seconds

    wait_until(recorded, 30.0, lambda: robot.recorder.state)


@pytest.mark.slow
def test_an_episode_begins_before_the_arm_and_says_which_attempt_it_is(start, tmp_path):
    robot = start()
    begins(robot)
    robot.sends = True
    records(robot, 2)
    assert robot.recorder.state[1]
    assert robot.recorder.keep() == ''
    assert robot.recorder.begin(FACTS | {'attempt': '2'}) == ''
    records(robot, 1)
    # An evaluation_node that was killed comes back: what it left is saved, not forgotten.
    assert robot.recorder.begin(FACTS | {'attempt': '3'}) == ''
    records(robot, 1)
    assert robot.recorder.keep() == ''
    entries = LeRobotDataset(tmp_path / 'set').episodes
    assert [entry.facts.facts['attempt'] for entry in entries] == ['1', '2', '3']
    assert {entry.facts.facts['trial'] for entry in entries} == {'3'}
    columns = LeRobotDataset(tmp_path / 'set').columns(entries[0])
    assert set(columns['source'].ravel().tolist()) == {0}  # the policy led


@pytest.mark.slow
def test_a_camera_that_is_lost_stops_the_next_trial_and_is_named_in_this_one(start):
    robot = start()
    begins(robot)
    assert 'no rows' in robot.recorder.keep()  # nothing was sent to the arm
    robot.cameras = ['front']
    wait_until(lambda: 'nothing comes of wrist' in robot.recorder.begin(FACTS), 30.0,
               lambda: robot.recorder.state)
    robot.cameras = list(SPEC.cameras)
    begins(robot)
    robot.sends = True
    records(robot, 1)
    robot.cameras = ['wrist']
    wait_until(lambda: robot.recorder.state == ('nothing comes of front', False), 30.0,
               lambda: robot.recorder.state)
    assert robot.recorder.keep() == 'nothing came of front for a time'


@pytest.mark.slow
def test_a_recording_that_the_disk_does_not_take_is_named(start, tmp_path):
    robot = start(limit=200_000)  # of random pixels about a second
    begins(robot)
    robot.sends = True
    wait_until(lambda: not robot.recorder.state[1], 60.0, lambda: robot.recorder.state)
    assert 'the episode is lost' in robot.recorder.state[0]
    problem = robot.recorder.keep()
    assert 'the episode is lost' in problem and 'interrupted' in problem
    assert (tmp_path / 'set' / 'interrupted' / '000' / 'facts.json').exists()
