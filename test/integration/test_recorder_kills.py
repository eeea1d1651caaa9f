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
"""
The real recorder_node, killed with SIGKILL at random moments while it records a whole robot.

Two arms at 200 Hz, three cameras at 30 Hz and a raw bag; what it said was saved must be there, and
the next recorder_node goes on where it was.
"""

from contextlib import closing
import os
import random
import signal
from threading import Timer
import time

from faster_ros.bringup import environment
from faster_ros.data.dataset_repair import repair
from faster_ros.data.dataset_validation import problems
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.lerobot_reader import is_lerobot, read_lerobot
from faster_ros.data.raw_bag import salvage
from faster_ros.nodes.played_robot import PlayedRobot
from faster_ros.robot_spec import load_robot_spec
import pytest
from ros_process import own_domain, Process
from std_srvs.srv import Trigger
import yaml

KILLS = 10
EPISODE_S = 0.8
BAGS = ('without_images', 'all')
_STARTS, _START_S = 5, 40.0


@pytest.fixture
def robot(tmp_path, monkeypatch):
    """Play a robot with images of a quarter of the size, as on a busy machine."""
    data = load_robot_spec('cobot_magic').to_dict()
    for camera in data['cameras'].values():
        camera |= {'width': 320, 'height': 240}
    (tmp_path / 'robot.yaml').write_text(yaml.safe_dump(data, sort_keys=False))
    monkeypatch.setenv('ROS_DOMAIN_ID', str(own_domain()))
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    robot = PlayedRobot(load_robot_spec(str(tmp_path / 'robot.yaml')))
    robot.start()
    yield robot
    robot.stop()


class Recorder:
    """One recorder_node and a hand on its services."""

    def __init__(self, robot, folder, bag):
        self._robot, self._seconds, self._of_save = robot, 0.0, 0.0
        self._clients = {name: robot.node.create_client(Trigger, f'recorder_node/{name}')
                         for name in ('start', 'save')}
        # Fast DDS can leave a node deaf that takes the shared memory port of a killed one
        # (eProsima/Fast-DDS issue 5469). A person starts it again, too.
        for _ in range(_STARTS):
            self._process = self._started(folder, bag)
            self._process.wait_for('data set')
            robot.status.clear()  # of what the killed one said last, and came late
            if self._is_ready():
                return
            self._process.stop(signal.SIGKILL)
        raise AssertionError(f'it never heard all streams ({robot.status})')

    def _started(self, folder, bag):
        words = {'robot': str(folder.parent / 'robot.yaml'), 'folder': str(folder),
                 'task': 'swing', 'gate': 'false', 'bag': bag}
        arguments = ['-m', 'faster_ros.nodes.recorder_node', '--ros-args']
        for name, value in words.items():
            arguments += ['-p', f'{name}:={value}']
        return Process(arguments, int(os.environ['ROS_DOMAIN_ID']),
                       folder.parent / 'recorder.log')

    def _is_ready(self):
        deadline = time.monotonic() + _START_S
        while not (self._hears() and all(client.service_is_ready()
                                         for client in self._clients.values())):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    @property
    def runs(self):
        return self._process._popen.poll() is None

    def ask(self, name):
        """Call a service; return whether it was done, False where the node is killed."""
        answer = self._clients[name].call_async(Trigger.Request())
        while self.runs and not answer.done():
            time.sleep(0.002)
        assert not answer.done() or answer.result().success, answer.result().message
        return answer.done()

    def record(self):
        """Record an episode and note its times; return whether its save was answered."""
        begin = time.monotonic()
        self.ask('start')
        end = time.monotonic() + EPISODE_S
        while self.runs and time.monotonic() < end:
            time.sleep(0.01)
        before = time.monotonic()
        saved = self.runs and self.ask('save')
        self._seconds, self._of_save = time.monotonic() - begin, time.monotonic() - before
        return saved

    def kill_soon(self, moment, at_save):
        """Kill it when ``moment`` in [0, 1] of the next episode, or of its save, has passed."""
        span = self._of_save if at_save else self._seconds
        Timer(self._seconds - span * (1.0 - moment), self._process.send_signal,
              (signal.SIGKILL,)).start()

    def interrupt(self):
        """Press Ctrl-C; return what it said."""
        assert self._process.stop(signal.SIGINT) == 0
        return self._process.output

    def close(self):
        self._process.stop(signal.SIGKILL)
        for client in self._clients.values():
            self._robot.node.destroy_client(client)

    def _hears(self):
        return all(float(self._robot.status.get(f'{name}_rate_hz') or 0) > 10
                   for name in ('state_left', 'state_right', 'action', *self._robot.published))


def check_unrepaired(folder, saved):
    """Check that a plain reader sees whole episodes before anybody has cleared up."""
    count = LeRobotDataset(folder).info.episodes if is_lerobot(folder) else 0
    assert saved <= count
    if count:
        assert [each.fault for each in read_lerobot(folder).episodes[:count]] == [''] * count


def check_repaired(folder, saved):
    """Check that at most the running episode is lost; return how many there are."""
    list(repair(folder))
    if not is_lerobot(folder):
        assert saved == 0
        return 0
    dataset = LeRobotDataset(folder)
    assert list(problems(dataset, decode=True)) == []
    assert saved <= len(dataset.episodes) <= saved + 1
    bags = sorted((folder / 'raw').glob('episode_*/*.mcap'))
    assert len(bags) == len(dataset.episodes)
    assert [salvage(path) for path in bags] == [0] * len(bags)
    return len(dataset.episodes)


@pytest.mark.slow
def test_a_killed_recorder_node_loses_at_most_the_running_episode(robot, tmp_path):
    folder, moments, episodes = tmp_path / 'set', random.Random(3), 0
    for number in range(KILLS):
        with closing(Recorder(robot, folder, BAGS[number // 2 % 2])) as recorder:
            assert int(robot.status['episodes']) == episodes
            assert recorder.record()
            saved = episodes + 1
            recorder.kill_soon(moments.random(), at_save=number % 2 == 1)
            while recorder.record():
                saved += 1
        check_unrepaired(folder, saved)
        episodes = check_repaired(folder, saved)
    aside = len(list(folder.glob('interrupted/*')))
    print(f'{KILLS} kills of recorder_node: {episodes} episodes kept, {aside} set aside')


@pytest.mark.slow
def test_ctrl_c_keeps_the_running_episode_as_a_data_set_of_its_own(robot, tmp_path):
    with closing(Recorder(robot, tmp_path / 'set', 'all')) as recorder:
        recorder.ask('start')
        time.sleep(2.0)
        said = recorder.interrupt()
    assert f"it is a data set of its own: {tmp_path / 'set/interrupted/000'}" in said
    dataset = LeRobotDataset(tmp_path / 'set/interrupted/000')
    assert list(problems(dataset, decode=True)) == []
    assert dataset.episodes[0].length > 10
    assert not is_lerobot(tmp_path / 'set')
