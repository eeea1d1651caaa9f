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
A disk that refuses what is asked of it: the reason is said, and the next episode is recorded.

The kernel's own refusal comes from /dev/full, into which a bag writes from some moment on.
"""

import errno
import os
from pathlib import Path
import threading
import time

from faster_ros.data import durable, lerobot_writer, recording_session, running_episode
from faster_ros.data.dataset_validation import problems
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.running_episode import RecordingFailed
import pytest
from test_recording_session import MS, Robot, T0

TOPIC = '/joint_states'


@pytest.fixture
def robot(tmp_path):
    robot = Robot(tmp_path / 'set', topics=(TOPIC,))
    robot.run(200)
    yield robot
    robot.session.close()


def record(robot):
    """Begin an episode and record for a second and a half."""
    robot.start()
    robot.run(1500)


def fill_the_disk_of_the_bag(robot):
    """From here on the bag's file refuses with ENOSPC, also what it holds back for later."""
    storage = robot.session._bag._writer.storage
    storage.bio.close()
    storage.bio = Path('/dev/full').open('wb')


def wait_for_the_refusal(robot):
    """Wait until the bag's thread has met it, and not the polling."""
    end = time.monotonic() + 20.0
    while robot.session._bag.failure is None:
        assert time.monotonic() < end
        time.sleep(0.002)


def refuse(monkeypatch, job, holder, name):
    """Let a function of a class or a module raise ENOSPC where ``job`` says of its arguments."""
    real = getattr(holder, name)

    def refusing(*words, **given):
        if job(*words):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(words[0]))
        return real(*words, **given)

    monkeypatch.setattr(holder, name, refusing)


def check_that_recording_goes_on(robot, number=0):
    """Check that the next episode is saved, under ``number``, and that the data set is whole."""
    assert robot.session.state == 'idle'
    record(robot)
    assert robot.session.save() == number
    assert robot.session.reason == ''
    dataset = LeRobotDataset(robot.session._plan.folder)
    assert list(problems(dataset, decode=True)) == []
    assert len(dataset.episodes) == number + 1


def test_a_bag_that_the_disk_refuses_loses_the_episode_with_the_reason(robot):
    robot.start()
    fill_the_disk_of_the_bag(robot)
    while robot.session.state == 'recording':
        robot.run(100)
        assert robot.ms < 60_000
    assert robot.session.state == 'idle'
    assert 'the raw bag cannot be written: [Errno 28] No space left' in robot.session.reason
    assert 'interrupted/000' in robot.session.reason
    check_that_recording_goes_on(robot)


@pytest.mark.parametrize('job', ['stop', 'save'])
def test_a_bag_that_cannot_be_finished_loses_the_episode_and_no_part_of_it_is_saved(robot, job):
    robot.start()
    robot.run(800)  # the first second is not on the disk
    fill_the_disk_of_the_bag(robot)
    with pytest.raises(RecordingFailed, match=r'episode is lost: the raw bag .* No space left'):
        getattr(robot.session, job)()
    with pytest.raises(ValueError, match='the episode is lost'):
        robot.session.save()
    check_that_recording_goes_on(robot)


@pytest.mark.parametrize('moment', ['recording', 'refused'])
def test_an_episode_is_discarded_whatever_became_of_its_bag(robot, moment):
    robot.start()
    robot.run(800)
    fill_the_disk_of_the_bag(robot)
    if moment == 'refused':
        robot.session.keep_raw(TOPIC, T0 + 100_000 * MS, bytes(2000))
        wait_for_the_refusal(robot)
    robot.session.discard()
    check_that_recording_goes_on(robot)


def test_too_little_room_stops_the_episode_which_can_be_saved(robot, monkeypatch):
    record(robot)
    monkeypatch.setattr(lerobot_writer, 'free_bytes', lambda _: 10**9)
    robot.run(1100)
    assert robot.session.state == 'stopped'
    assert '1.00 GB are left on the disk' in robot.session.reason
    assert robot.session.save() == 0
    with pytest.raises(OSError, match='are left on the disk'):
        robot.start()
    monkeypatch.undo()
    check_that_recording_goes_on(robot, 1)


def test_too_little_room_and_a_bag_that_cannot_be_finished_lose_the_episode(robot, monkeypatch):
    robot.start()
    robot.run(700)
    fill_the_disk_of_the_bag(robot)
    robot.session._bag._flushed_ns = T0 + robot.ms * MS  # what is left is written at the end
    monkeypatch.setattr(lerobot_writer, 'free_bytes', lambda _: 0)
    robot.run(600)
    assert robot.session.state == 'idle'
    assert 'the episode is lost: the raw bag cannot be written' in robot.session.reason
    monkeypatch.undo()
    check_that_recording_goes_on(robot)


def test_a_lost_episode_that_cannot_be_set_aside_is_so_when_the_next_one_begins(
        robot, monkeypatch):
    folder = robot.session._plan.folder
    refuse(monkeypatch, lambda path, *_: path.name == 'interrupted', Path, 'mkdir')
    record(robot)
    fill_the_disk_of_the_bag(robot)
    with pytest.raises(RecordingFailed, match=r'what is there: .*\.recording'):
        robot.session.save()
    with pytest.raises(OSError, match='No space left'):
        robot.start()
    with pytest.raises(ValueError, match='no episode to discard'):
        robot.session.discard()
    monkeypatch.undo()
    robot.start()
    assert 'set aside in' in robot.session.reason
    assert (folder / 'interrupted/000/raw').is_dir()
    robot.session.discard()
    check_that_recording_goes_on(robot)


@pytest.mark.parametrize('again', ['the same recorder', 'the next recorder'])
def test_a_save_that_counts_is_finished_later_where_its_files_cannot_be_moved(
        robot, monkeypatch, again):
    record(robot)
    refuse(monkeypatch, lambda source, _: source.parent.name == '.saving', Path, 'replace')
    assert robot.session.save() == 0
    assert (robot.session.state, robot.session.episodes) == ('idle', 1)
    assert 'episode 0 is saved, but its files are not in their places' in robot.session.reason
    with pytest.raises(OSError, match='No space left'):
        robot.start()
    monkeypatch.undo()
    if again == 'the next recorder':
        robot.session.close()
        robot = Robot(robot.session._plan.folder, topics=(TOPIC,))
        robot.run(200)
        assert robot.session.episodes == 1
    check_that_recording_goes_on(robot, 1)
    robot.session.close()


def test_a_save_whose_last_step_the_disk_does_not_confirm_counts(robot, monkeypatch):
    record(robot)
    refuse(monkeypatch, lambda path: path == robot.session._plan.folder, durable, 'sync')
    assert robot.session.save() == 0
    assert 'episode 0 is saved, but' in robot.session.reason
    monkeypatch.undo()
    check_that_recording_goes_on(robot, 1)


@pytest.mark.parametrize(('job', 'holder', 'name'), [
    (lambda path, *_: path.name == '.recording', Path, 'mkdir'),
    (lambda path, *_: path.name == 'facts.json', Path, 'write_text'),
    (lambda path, *_: True, running_episode, 'EpisodeVideo'),
    (lambda path, *_: path.name == 'raw', recording_session, 'RawBag'),
    (lambda path, *_: path.name == 'raw', Path, 'mkdir'),
    (lambda path, *_: path.suffix == '.mcap', Path, 'open'),
], ids=['folder', 'facts', 'video', 'bag', 'folder of the bag', 'file of the bag'])
def test_an_episode_that_cannot_begin_leaves_nothing(robot, monkeypatch, job, holder, name):
    threads = threading.active_count()
    refuse(monkeypatch, job, holder, name)
    with pytest.raises(OSError, match='No space left'):
        robot.start()
    assert not (robot.session._plan.folder / '.recording').exists()
    assert threading.active_count() == threads
    monkeypatch.undo()
    check_that_recording_goes_on(robot)


def test_a_drive_that_is_gone_stops_the_episode_and_the_status_still_comes(robot, monkeypatch):
    record(robot)
    refuse(monkeypatch, lambda _: True, lerobot_writer.shutil, 'disk_usage')
    assert robot.session.figures()['disk_free_gb'] == 0.0
    robot.run(1100)
    assert robot.session.state == 'stopped'
    assert '0.00 GB are left' in robot.session.reason


@pytest.mark.parametrize('refused', ['bag', 'folder', 'rows'])
def test_an_episode_that_the_disk_refuses_at_the_end_is_set_aside(robot, monkeypatch, refused):
    record(robot)
    if refused == 'bag':
        fill_the_disk_of_the_bag(robot)
    elif refused == 'folder':
        refuse(monkeypatch, lambda path, *_, **__: path.name == '000', Path, 'mkdir')
    else:
        refuse(monkeypatch, lambda path, *_: path.suffix == '.parquet', Path, 'write_bytes')
    assert 'No space left' in robot.session.close()
    assert list(robot.session._plan.folder.glob('interrupted/**/*.mp4'))
    assert not (robot.session._plan.folder / '.recording').exists()
    monkeypatch.undo()
    robot = Robot(robot.session._plan.folder)
    robot.run(200)
    check_that_recording_goes_on(robot)
    robot.session.close()


def test_what_the_bag_had_no_room_for_is_shown_until_the_next_episode(robot):
    robot.start()
    robot.session._bag.dropped[TOPIC] = 3
    robot.run(1500)
    for job in (robot.session.stop, robot.session.save):
        job()
        assert robot.session.figures()['bag_dropped'] == 3
    robot.start()
    assert robot.session.figures()['bag_dropped'] == 0
