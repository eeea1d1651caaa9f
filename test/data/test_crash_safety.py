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
A recorder that is killed, or whose disk is full, at any moment: the data set stays whole.

The recorder is a process of its own, killed with SIGKILL at a random time; what it said was saved
must be there, whole, and recording must go on where it was.
"""

import multiprocessing
from pathlib import Path
import random
import resource
import signal
import time

from faster_ros.data.dataset_spec import ACTION
from faster_ros.data.dataset_validation import problems
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.lerobot_reader import is_lerobot, read_lerobot
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.data.running_episode import RecordingFailed
import numpy as np
import pytest
from recording_samples import frame, record, SPEC

pytest.importorskip('pyarrow')
PROCESSES = multiprocessing.get_context('forkserver')
PROCESSES.set_forkserver_preload(
    ['faster_ros.data.lerobot_writer', 'faster_ros.data.dataset_validation', 'pyarrow.parquet'])


def rows_of(number):
    """Return how many rows the recorder gives an episode."""
    return 4 + 3 * (number % 5)


def recorder(folder, saved):
    """Record episodes until killed; ``saved`` counts those that were said to be saved."""
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    while True:
        saved.value = record(writer, rows_of(writer.episodes)) + 1


def kill_once(folder, moment):
    """
    Kill a recorder in its second episode; return how many episodes it said are saved.

    ``moment`` in [0, 1] is the place in the time that its first one took, saving included.
    """
    saved = PROCESSES.Value('i', 0)
    process = PROCESSES.Process(target=recorder, args=(folder, saved))
    start = time.monotonic()
    process.start()
    while not saved.value:
        assert process.is_alive() and time.monotonic() < start + 60
        time.sleep(0.001)
    time.sleep(moment * (time.monotonic() - start))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return saved.value


def check_unrepaired(folder):
    """Check that a plain reader sees whole episodes before anybody has cleared up."""
    if is_lerobot(folder):
        recorded = read_lerobot(folder).episodes
        count = LeRobotDataset(folder).info.episodes
        assert [episode.fault for episode in recorded[:count]] == [''] * count
        assert [len(episode.rows) for episode in recorded[:count]] == [
            rows_of(number) for number in range(count)]


def check_resumed(folder, saved):
    """Check that opening clears up and at most the running episode is lost; return how many."""
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    writer.close()
    assert saved <= writer.episodes <= saved + 1
    dataset = LeRobotDataset(folder)
    assert list(problems(dataset)) == []
    last = dataset.episodes[-1]
    wanted = [frame(row).numbers[ACTION] for row in range(rows_of(last.number))]
    np.testing.assert_array_equal(dataset.columns(last)[ACTION], np.array(wanted, np.float32))
    return writer.episodes


def kill_many(folder, times, seed=7):
    """Kill, look and open again; return how many episodes there are."""
    moments, episodes = random.Random(seed), 0
    for _ in range(times):
        saved = kill_once(folder, moments.random())
        assert saved > episodes
        check_unrepaired(folder)
        episodes = check_resumed(folder, saved)
    return episodes


def test_a_kill_while_a_saved_episode_is_cleared_up_does_no_harm(tmp_path):
    folder = tmp_path / 'set'
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    record(writer, 5)
    writer.close()
    (folder / '.saving').mkdir()  # what is left when the list of moves is removed already
    again = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    assert again.episodes == 1 and not (folder / '.saving').exists()
    again.close()


def test_a_killed_recorder_loses_at_most_the_running_episode(tmp_path):
    kill_many(tmp_path / 'set', 3)


@pytest.mark.slow
def test_a_hundred_kills_lose_at_most_the_running_episodes(tmp_path):
    # Each time every episode is read: ten small sets are read sooner than a large one.
    episodes = sum(kill_many(tmp_path / f'set_{seed}', 10, seed) for seed in range(10))
    aside = len(list(tmp_path.glob('set_*/interrupted/*')))
    print(f'100 kills: {episodes} episodes kept, {aside} set aside')


def fill_up(folder, limit, results):
    """Record while no file may grow beyond ``limit`` bytes; say what became of it."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    try:
        record(writer, 60)
        results.put('saved')
    except RecordingFailed as error:
        writer.discard_episode()
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        record(writer, 10)
        results.put(str(error))


@pytest.mark.parametrize('limit', [500, 3000, 15_000])
def test_a_full_disk_loses_the_running_episode_only(tmp_path, limit):
    folder: Path = tmp_path / 'set'
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    record(writer, 20)
    writer.close()
    results = PROCESSES.Queue()
    process = PROCESSES.Process(target=fill_up, args=(folder, limit, results))
    process.start()
    outcome = results.get(timeout=60)
    process.join()
    assert 'File too large' in outcome
    dataset = LeRobotDataset(folder)
    assert list(problems(dataset)) == []
    assert [entry.length for entry in dataset.episodes] == [20, 10]
