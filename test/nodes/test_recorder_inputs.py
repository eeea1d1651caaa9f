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
"""What recorder_node hears and cannot use is dropped, counted and named; the episode goes on."""

from dataclasses import replace
from types import SimpleNamespace

from faster_ros.data.bag_conversion import BagEpisode
from faster_ros.data.dataset_spec import robot_dataset, SOURCE, Source
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.recording_session import RecordingPlan, RecordingSession
from faster_ros.data.stream_meter import StreamMeter
from faster_ros.nodes import recorder_inputs
from faster_ros.nodes.conversions import to_time
from faster_ros.nodes.diagnostics import EdgeLog
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

MS, T0 = 1_000_000, 3_000_000_000_000


class Recorder:
    """The inputs of a recorder of a robot without cameras, whose topics a test speaks on."""

    def __init__(self, folder, robot, monkeypatch, topics=(), policy_leads=False):
        self.spec = replace(load_robot_spec(robot), cameras={})
        self.heard, self.errors, self.now = {}, [], T0
        monkeypatch.setattr(recorder_inputs, 'PolledSubscription', self._subscribe)
        clock = SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.now))
        node = SimpleNamespace(resolve_topic_name=lambda name: f"/{name.lstrip('/')}",
                               get_clock=lambda: clock)
        log = SimpleNamespace(error=self.errors.append, info=lambda text: None)
        self.session = RecordingSession(self.spec, RecordingPlan(
            folder, 30, {}, False, dict(topics), policy_leads))
        self.inputs = recorder_inputs.RecorderInputs(node, self.spec, self.session, False,
                                                     EdgeLog(log))

    def _subscribe(self, node, kind, topic, hear, *_, **__):
        self.heard[topic] = hear

    def say(self, topic, names, positions, late_ns=0):
        message = JointState(name=list(names), position=list(positions))
        # For an empty sequence serialize_message leaves room at the end that none has who listens.
        message.velocity = message.effort = [0.0]
        message.header.stamp = to_time(self.now - late_ns)
        self.heard[topic](serialize_message(message), {})

    def lead(self, word):
        self.heard[recorder_inputs.LEAD](
            serialize_message(Header(stamp=to_time(self.now), frame_id=word)), {})

    def record(self):
        """Record an episode; return who led in the rows of the data set, and of its bag."""
        self.session.start('wave', self.now, first=self.inputs.first)
        self.run(1500)
        self.session.save()
        self.session.close()
        folder = self.session._plan.folder
        (entry,) = LeRobotDataset(folder).episodes
        episode = BagEpisode(folder / 'raw/episode_000000', self.spec,
                             robot_dataset(self.spec, 30))
        return [set(LeRobotDataset(folder).columns(entry)[SOURCE].ravel().tolist()),
                {int(row.numbers[SOURCE][0]) for row in episode.frames()}]

    def run(self, milliseconds, change=lambda topic, positions: positions, without=None):
        """Move the arms but ``without``; ``change`` makes of a topic's positions what is said."""
        for _ in range(milliseconds // 10):
            self.now += 10 * MS
            home = self.spec.home_positions + (self.now - T0) * 1e-10
            for arm, columns in [part for name, part in self.spec.parts.items()
                                 if name != without]:
                self.say(arm.state_topic, arm.driver_joint_names,
                         change(arm.state_topic, home[columns]))
            action = np.append(home, np.zeros(len(self.spec.action_names) - len(home)))
            self.say(recorder_inputs.COMMAND, self.spec.action_names,
                     change(recorder_inputs.COMMAND, action))
            self.session.advance(self.now)


@pytest.mark.parametrize('robot', ['fr3', 'cobot_magic'])
@pytest.mark.parametrize('stream', ['state', 'action'])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_a_number_that_is_none_is_dropped_and_named_and_the_episode_goes_on(
        tmp_path, monkeypatch, robot, stream, value):
    recorder = Recorder(tmp_path / 'set', robot, monkeypatch)
    spec, session = recorder.spec, recorder.session
    recorder.run(100)
    session.start('wave', recorder.now)
    recorder.run(500)
    wrong = recorder_inputs.COMMAND if stream == 'action' else spec.state_topics[0]
    recorder.run(10, lambda topic, positions: np.append(value, positions[1:])
                 if topic == wrong else positions)
    recorder.run(1000)
    figures = session.figures()
    counted = 'state_left' if (robot, stream) == ('cobot_magic', 'state') else stream
    assert (session.state, figures[f'{counted}_refused']) == ('recording', 1)
    name = spec.action_names[0]
    assert [f'{wrong}: ' in error and f'{name} is {value}' in error
            for error in recorder.errors] == [True]
    session.save()
    session.close()
    (entry,) = LeRobotDataset(tmp_path / 'set').episodes
    assert entry.length >= 40


def test_joint_states_of_other_hardware_are_no_fault(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / 'set', 'fr3', monkeypatch)
    recorder.run(100)
    recorder.say(recorder.spec.state_topic, ['pan', 'tilt'], [0.0, 0.0])
    recorder.run(100)
    assert recorder.errors == []
    assert recorder.session.figures()['state_refused'] == 0
    recorder.session.close()


@pytest.mark.parametrize(('word', 'policy_leads', 'source'), [
    ('policy', False, Source.POLICY),
    ('human', True, Source.HUMAN),
    ('hold', False, Source.NOBODY),
    ('', True, Source.POLICY),  # an evaluation, where no teleop_node tells
    ('', False, Source.NOBODY),
])
def test_a_bag_says_who_led_though_it_was_told_before_the_episode(
        tmp_path, monkeypatch, word, policy_leads, source):
    joints, header = 'sensor_msgs/msg/JointState', 'std_msgs/msg/Header'
    topics = {load_robot_spec('fr3').state_topic: joints, '/control_node/command': joints,
              '/teleop_node/lead': header}
    recorder = Recorder(tmp_path / 'set', 'fr3', monkeypatch, topics, policy_leads)
    if word:
        recorder.lead(word)
    recorder.run(100)
    assert recorder.record() == [{source}, {source}]


def test_a_command_without_its_positions_is_refused_by_shape(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / 'set', 'fr3', monkeypatch)
    recorder.say(recorder_inputs.COMMAND, recorder.spec.action_names, [])
    assert recorder.errors == ['control_node/command: action: expected a row of shape (8,), got '
                               '(0,)']
    recorder.session.close()


def test_a_message_that_one_of_two_arms_loses_is_counted_for_that_arm(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / 'set', 'cobot_magic', monkeypatch)
    session = recorder.session
    session.meters |= {f'state_{arm}': StreamMeter(10 * MS, 12 * MS) for arm in ('left', 'right')}
    recorder.run(100)
    recorder.run(10, without='left')
    recorder.run(900)
    figures = session.figures()
    assert (figures['state_left_missed'], figures['state_right_missed']) == (1, 0)
    assert figures['state_right_rate_hz'] == pytest.approx(100.0)
    session.close()


def test_an_arm_that_says_nothing_is_named(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / 'set', 'cobot_magic', monkeypatch)
    recorder.run(100)
    recorder.run(1500, without='right')
    with pytest.raises(ValueError, match=r'nothing comes of state_right \('):
        recorder.session.start('wave', recorder.now)
    recorder.session.close()


def test_joint_states_with_stamps_that_go_back_are_counted(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path / 'set', 'fr3', monkeypatch)
    recorder.run(100)
    names = recorder.spec.driver_joint_names
    recorder.say(recorder.spec.state_topic, names, [0.0] * len(names), 50 * MS)
    assert recorder.session.meters['state'].backwards == 1
    recorder.session.close()
