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
"""Episodes from stamped messages: begun, saved, discarded, and honest about what is missing."""

from dataclasses import replace
import re
import time

from faster_ros.data.dataset_report import examine
from faster_ros.data.dataset_spec import Source
from faster_ros.data.dataset_validation import problems
from faster_ros.data.episode_evidence import joint_facts
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.lerobot_writer import EpisodeRefused
from faster_ros.data.recording_session import RecordingPlan, RecordingSession
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest

FR3 = load_robot_spec('fr3')
CAMERA = replace(FR3.cameras['front'], width=64, height=48)
SPEC = replace(FR3, cameras={'front': CAMERA})
HOME = SPEC.home_positions
MS = 1_000_000
T0 = 3_000_000_000_000


class Robot:
    """
    Streams of a moving arm, fed to a session; ``lose``: numbers of frames that never come.

    ``clock_ms``: how far the clock of all stamps is set forward; ``camera_ms``: how far that of
    the camera is ahead of it; ``travel_ms``: how long an image needs. ``steady``: the time that
    nobody sets is known; ``topics``: of the raw bag.
    """

    def __init__(self, folder, gate=False, steady=True, fps=30, topics=()) -> None:
        self.topics = topics
        kinds = dict.fromkeys(topics, 'sensor_msgs/msg/JointState')
        plan = RecordingPlan(folder, fps, {'operator': 'me'}, gate, kinds)
        self.session, self.steady = RecordingSession(SPEC, plan), steady
        self.ms = self.clock_ms = self.camera_ms = self.travel_ms = 0

    def run(self, milliseconds, lose=(), speed=0.3):
        for _ in range(milliseconds // 10):
            self.ms += 10
            now = self.now
            joints = HOME + speed * self.ms * 1e-3 * np.eye(8)[0]
            self.session.add_state(now, joints, now)
            self.session.add_action(now, joints + 0.01, now)
            for topic in self.topics:
                self.session.keep_raw(topic, now, bytes(2000))
            frame = self.ms * 30 // 1000
            if frame > (self.ms - 10) * 30 // 1000 and frame not in lose:
                image = np.full((48, 64, 3), frame % 200, np.uint8)
                late_ms = self.travel_ms - self.clock_ms - self.camera_ms
                self.session.add_image('front', T0 + frame * 1000 * MS // 30 - late_ms * MS,
                                       image, now)
            self.session.advance(now, self.ms * MS if self.steady else None)
            while int(self.session.figures().get('waiting', 0)) > 20:  # a busy machine's encoder
                time.sleep(0.002)

    @property
    def now(self):
        return T0 + (self.ms + self.clock_ms) * MS

    def start(self, task='pick up the cube'):
        self.session.start(task, self.now)

    def findings(self, **how):
        """Record and save an episode; return the checks that have findings, as told by disk."""
        self.run(200, **how)
        self.start()
        self.run(3000, **how)
        self.session.save()
        dataset = LeRobotDataset(self.session._plan.folder)
        (entry,) = dataset.episodes
        report = examine(dataset, entry, joint_facts(SPEC)).report
        assert tuple(finding.message for finding in report.findings) == entry.findings
        return {finding.check: finding.refuses for finding in report.findings}


@pytest.fixture
def robot(tmp_path):
    robot = Robot(tmp_path / 'set')
    yield robot
    robot.session.close()


def test_saved_episodes_are_a_valid_data_set_that_says_who_led(robot):
    robot.run(200)
    for source in (Source.HUMAN, Source.INTERVENTION):
        robot.session.set_source(T0, source)
        robot.start()
        robot.run(1500)
        robot.session.mark('success')
        robot.session.save()
    dataset = LeRobotDataset(robot.session._plan.folder)
    assert list(problems(dataset, decode=True)) == []
    assert [entry.facts.outcome for entry in dataset.episodes] == ['success', 'success']
    assert [entry.facts.facts['operator'] for entry in dataset.episodes] == ['me', 'me']
    assert robot.session.episodes == 2
    for entry, source in zip(dataset.episodes, (1, 2)):
        assert set(dataset.columns(entry)['source'].ravel().tolist()) == {source}


def test_a_stream_that_is_silent_is_named_before_the_episode_begins(robot):
    with pytest.raises(ValueError, match='nothing comes of state, action, front'):
        robot.start()
    assert robot.session.state == 'idle'


def test_an_episode_without_a_task_is_refused(robot):
    robot.run(200)
    with pytest.raises(ValueError, match='an episode needs its task in words'):
        robot.start('')


def test_a_discarded_episode_leaves_nothing_and_the_next_one_can_begin(robot):
    robot.run(200)
    robot.start()
    with pytest.raises(ValueError, match='an episode is recording'):
        robot.start()
    robot.run(1500)
    robot.session.discard()
    assert robot.session.episodes == 0
    robot.start()
    robot.run(1500)
    robot.session.stop()
    rows = robot.session.figures()['rows']
    robot.run(500)
    assert robot.session.figures()['rows'] == rows
    assert robot.session.save() == 0


def test_lost_frames_are_counted(robot):
    robot.run(200)
    robot.start()
    robot.run(1500, lose=(20, 21, 30))
    figures = robot.session.figures()
    assert figures['front_missed'] == 3
    assert figures['state_missed'] == figures['front_dropped'] == figures['front_unused'] == 0
    assert figures['front_rate_hz'] == pytest.approx(30.0, rel=0.15)


@pytest.mark.parametrize(('positions', 'message'), [
    (np.append(HOME[:-1], np.nan), f'expected finite numbers, {SPEC.joint_names[-1]} is nan'),
    (HOME[:3], r'expected a row of shape \(8,\), got \(3,\)')])
def test_numbers_that_no_row_can_hold_are_refused_and_the_episode_goes_on(
        robot, positions, message):
    robot.run(200)
    robot.start()
    for add in (robot.session.add_state, robot.session.add_action):
        with pytest.raises(ValueError, match=message):
            add(T0 + robot.ms * MS + MS, positions, T0 + robot.ms * MS + MS)
    robot.run(1500)
    assert robot.session.state == 'recording'
    assert robot.session.figures()['rows'] > 30


def test_a_row_that_does_not_fit_stops_the_episode_which_can_be_saved(robot):
    robot.run(200)
    robot.start()
    robot.run(1500)
    rows = robot.session.figures()['rows']
    small, now = np.zeros((8, 8, 3), np.uint8), T0 + (robot.ms + 2) * MS
    robot.session.add_image('front', now, small, now)
    robot.run(500)
    assert robot.session.state == 'stopped'
    assert 'stopped: observation.images.front: expected uint8 RGB' in robot.session.reason
    assert robot.session.figures()['rows'] >= rows
    robot.session.save()


@pytest.mark.parametrize('keep', [False, True])
def test_the_gate_refuses_an_idle_episode_which_can_be_discarded_or_kept(tmp_path, keep):
    robot = Robot(tmp_path / 'set', gate=True)
    robot.run(200, speed=0.0)
    robot.start()
    robot.run(1500, speed=0.0)
    with pytest.raises(EpisodeRefused, match='nothing moves'):
        robot.session.save()
    assert robot.session.state == 'stopped'
    if keep:
        assert robot.session.save(anyway=True) == 0
    else:
        robot.session.discard()
    robot.session.close()
    assert robot.session.episodes == keep


def test_where_a_policy_leads_an_episode_begins_before_the_arm_and_says_so(tmp_path):
    session = RecordingSession(SPEC, RecordingPlan(tmp_path, 30, {}, False, {}, policy_leads=True))
    image = np.zeros((48, 64, 3), np.uint8)

    def hear(first_ms, last_ms, sends):
        for ms in range(first_ms, last_ms, 10):
            now = T0 + ms * MS
            session.add_state(now, HOME + ms * 1e-4, now)
            session.add_image('front', now, image + np.uint8(ms % 200), now)
            if sends:
                session.add_action(now, HOME, now)
            session.advance(now)

    hear(0, 100, sends=False)
    session.start('pick', T0 + 100 * MS, {'trial': '1'})
    hear(100, 400, sends=False)
    hear(400, 900, sends=True)
    session.save()
    (entry,) = LeRobotDataset(tmp_path).episodes
    columns = LeRobotDataset(tmp_path).columns(entry)
    assert entry.facts.facts['trial'] == '1'
    assert T0 + 400 * MS <= columns['stamp_ns'][0] < T0 + 400 * MS + 1e9 / 30
    assert set(columns['source'].ravel().tolist()) == {Source.POLICY}
    session.start('pick', T0 + 900 * MS)
    with pytest.raises(OSError, match='no rows'):  # nothing was sent: no episode, but files
        session.save()
    assert (tmp_path / 'interrupted' / '000').is_dir() and session.state == 'idle'
    session.close()


@pytest.mark.parametrize('stopped', [False, True])
def test_an_episode_about_which_nobody_decided_becomes_a_data_set_of_its_own(tmp_path, stopped):
    robot = Robot(tmp_path / 'set', topics=('/joint_states',))
    robot.run(200)
    for _ in range(2):
        robot.start()
        robot.run(1500)
        if robot.session.episodes == 0:
            robot.session.save()
    robot.session.mark('failure')
    if stopped:
        robot.session.stop()
    rows, told = robot.session.figures()['rows'], robot.session.close()
    aside = tmp_path / 'set/interrupted/000'
    assert 'neither saved nor discarded' in told and str(aside) in told
    for folder in (tmp_path / 'set', aside):
        dataset = LeRobotDataset(folder)
        assert list(problems(dataset, decode=True)) == []
        assert len(dataset.episodes) == len(list(folder.glob('raw/episode_*/*.mcap'))) == 1
    assert (dataset.episodes[0].length, dataset.episodes[0].facts.outcome) == (rows, 'failure')
    assert (aside / 'facts.json').is_file()


def test_an_episode_without_rows_is_set_aside_at_the_end(robot):
    robot.run(200)
    robot.start()
    assert 'set aside: the episode has no rows' in robot.session.close()
    assert (robot.session._plan.folder / 'interrupted/000/facts.json').is_file()
    assert robot.session.close() == ''


def test_nothing_can_be_saved_marked_or_stopped_without_an_episode(robot):
    for job in (robot.session.save, robot.session.stop, robot.session.discard,
                lambda: robot.session.mark('success')):
        with pytest.raises(ValueError, match='episode'):
            job()


@pytest.mark.parametrize('travel_ms', [0, 40, 100])
def test_a_camera_whose_images_travel_long_is_good(robot, travel_ms):
    robot.travel_ms = travel_ms
    assert robot.findings() == {}
    assert robot.session.figures()['front_delay_s'] == pytest.approx(travel_ms * 1e-3, abs=0.01)


@pytest.mark.parametrize('camera_ms', [500, 50, -500])
def test_a_camera_whose_clock_is_wrong_is_found_though_its_images_fit_the_rows(robot, camera_ms):
    robot.camera_ms = camera_ms
    assert robot.findings()['clock_offset'] is False
    assert robot.session.figures()['front_delay_s'] == pytest.approx(-camera_ms * 1e-3, abs=0.01)


@pytest.mark.parametrize('step_ms', [-500, -5000, 500, 5000])
def test_a_clock_that_is_set_ends_the_episode_which_is_refused(tmp_path, step_ms):
    robot = Robot(tmp_path / 'set', gate=True)
    robot.run(200)
    robot.start()
    robot.run(1500)
    robot.clock_ms = step_ms
    robot.run(500)
    said = re.escape(f'the clock was set by {step_ms * 1e-3:+.3f} s')
    assert robot.session.state == 'stopped'
    assert re.search(said, robot.session.reason)
    with pytest.raises(EpisodeRefused, match=said):
        robot.session.save()
    robot.session.close()


def test_stamps_that_go_back_are_found_where_no_other_clock_is_known(tmp_path):
    robot = Robot(tmp_path / 'set', gate=True, steady=False)
    robot.run(200)
    robot.start()
    robot.run(1500)
    robot.clock_ms = -500
    robot.run(1500)
    with pytest.raises(EpisodeRefused, match='stamps of state go back, 1 times'):
        robot.session.save()
    robot.session.close()


def test_a_clock_may_be_set_between_two_episodes(robot):
    robot.run(200)
    robot.clock_ms = 5000
    assert robot.findings() == {}


@pytest.mark.parametrize(('lose', 'found'), [
    (range(1, 200, 2), {'rate': False}),  # 15 Hz
    ((50,), {'missed': False}),
    (range(1, 200, 30), {'missed': False}),
    (range(1, 200, 5), {'missed': True})])
def test_a_camera_that_is_slow_or_of_which_images_never_come_is_found(robot, lose, found):
    assert robot.findings(lose=lose) == found


def test_a_slow_camera_is_told_with_both_rates(robot):
    robot.findings(lose=range(1, 200, 2))
    (entry,) = LeRobotDataset(robot.session._plan.folder).episodes
    assert entry.findings == ('front comes at 15.0 Hz, the robot file says 30',)


def test_what_is_counted_stands_in_the_record_of_the_episode(robot):
    robot.findings(lose=(50, 51))
    (entry,) = LeRobotDataset(robot.session._plan.folder).episodes
    assert entry.counted['front missed'] == 2
    assert entry.counted['front refused'] == entry.counted['state backwards'] == 0
    assert entry.counted['front received'] + 2 == pytest.approx(90, abs=1)


def test_a_camera_that_is_unplugged_has_no_rate_and_loses_more_and_more(robot):
    robot.run(200)
    robot.start()
    robot.run(3000, lose=range(30, 200))
    figures = robot.session.figures()
    assert figures['front_rate_hz'] == 0.0
    assert figures['front_missed'] == pytest.approx(66, abs=3)


def test_a_camera_of_which_nothing_can_be_used_is_told_with_its_reason(robot):
    robot.run(200, lose=range(200))
    robot.session.meters['front'].refuse('expected 64 x 48, got 32 x 24')
    with pytest.raises(ValueError, match='of front nothing can be used: expected 64 x 48, got 32'):
        robot.start()


def test_nobody_leads_until_someone_says_who(robot):
    robot.run(200)
    robot.start()
    robot.run(1500)
    robot.session.set_source(T0 + 1700 * MS, Source.HUMAN)
    robot.run(1000)
    robot.session.save()
    dataset = LeRobotDataset(robot.session._plan.folder)
    columns = dataset.columns(dataset.episodes[0])
    led = columns['stamp_ns'].ravel() >= T0 + 1700 * MS
    np.testing.assert_array_equal(columns['source'].ravel(),
                                  np.where(led, Source.HUMAN, Source.NOBODY))


def test_rows_have_the_task_that_was_in_force(robot):
    robot.run(200)
    robot.start('pick')
    robot.run(1500)
    robot.session.set_task(T0 + 1700 * MS, 'place')
    robot.run(1000)
    robot.session.set_task(T0 + 2700 * MS, '')  # nothing else is told: the task of the episode
    robot.run(500)
    robot.session.save()
    robot.start('pour')
    robot.run(1500)
    robot.session.save()
    dataset = LeRobotDataset(robot.session._plan.folder)
    assert list(problems(dataset)) == []
    first, second = dataset.episodes
    columns = dataset.columns(first)
    seconds = (columns['stamp_ns'].ravel() - T0) / 1e9
    assert dataset.row_tasks(first, columns) == [
        'place' if 1.7 <= second < 2.7 else 'pick' for second in seconds]
    assert set(dataset.row_tasks(second, dataset.columns(second))) == {'pour'}


def test_a_camera_of_the_right_rate_is_good_in_rows_that_it_is_not_in_step_with(tmp_path):
    robot = Robot(tmp_path / 'set', fps=20)
    assert robot.findings() == {}
    robot.session.close()
