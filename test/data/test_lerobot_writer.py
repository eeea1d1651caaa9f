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
"""Episodes that are written, and what an interruption leaves of them."""

from dataclasses import replace
import json
import threading

import av
from faster_ros.data import running_episode
from faster_ros.data.dataset_spec import ACTION, EpisodeFacts, IMAGES, STATE
from faster_ros.data.lerobot_reader import read_lerobot
from faster_ros.data.lerobot_writer import DiskSpaceError, LeRobotWriter
from faster_ros.data.video_encoder import EpisodeVideo
import numpy as np
import pytest
from recording_samples import FACTS, frame, image, record, SPEC

parquet = pytest.importorskip('pyarrow.parquet')


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'set'


@pytest.fixture
def writer(folder):
    made = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    yield made
    made.close()


def frames_of(path):
    """Return times in s and RGB images of a video."""
    with av.open(str(path)) as container:
        found = [(float(item.pts * item.time_base), item.to_ndarray(format='rgb24'))
                 for item in container.decode(video=0)]
    return [time for time, _ in found], [picture for _, picture in found]


def info(folder):
    return json.loads((folder / 'meta/info.json').read_text())


def test_what_is_written_is_read_back_exactly(folder, writer):
    assert (record(writer), record(writer, 25)) == (0, 1)
    for feature, shift in ((STATE, 0.0), (ACTION, 0.01)):
        recorded = read_lerobot(folder, feature)
        assert recorded.names == ['shoulder', 'elbow', 'gripper']
        assert [episode.fault for episode in recorded.episodes] == ['', '']
        assert [episode.task for episode in recorded.episodes] == ['pick the cube'] * 2
        wanted = np.array([np.sin(np.arange(25) / 10) + shift], np.float32)
        np.testing.assert_array_equal(recorded.episodes[1].rows[:, 0], wanted[0])
    assert (info(folder)['total_episodes'], info(folder)['total_frames']) == (2, 65)


def test_videos_have_a_frame_at_the_time_of_every_row(folder, writer):
    record(writer)
    for index, camera in enumerate(('front', 'wrist')):
        times, pictures = frames_of(
            folder / f'videos/{IMAGES}{camera}/chunk-000/file-000.mp4')
        np.testing.assert_allclose(times, np.arange(40) / 10, atol=1e-6)
        for row in (0, 17, 39):
            error = np.abs(pictures[row].astype(int) - image(row, index)).mean()
            assert error < 3  # of the codec; the next row differs by more than 20
            assert np.abs(pictures[row].astype(int) - image(row + 7, index)).mean() > 2 * error


def test_statistics_of_episodes_become_those_of_the_data_set(folder, writer):
    record(writer)
    record(writer, 25)
    rows = np.concatenate([item.rows for item in read_lerobot(folder, ACTION).episodes])
    found = json.loads((folder / 'meta/stats.json').read_text())
    np.testing.assert_allclose(found[ACTION]['mean'], rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(found[ACTION]['std'], rows.std(0), atol=1e-6)
    np.testing.assert_allclose(found[ACTION]['max'], rows.max(0))
    assert found[ACTION]['count'] == [65]
    grey = found[f'{IMAGES}front']
    assert np.shape(grey['mean']) == (3, 1, 1)
    assert 0.15 < grey['mean'][0][0][0] < 0.4
    assert grey['max'] == [[[pytest.approx(250 / 255)]]] * 3


def test_an_image_that_is_dropped_shows_the_one_before_with_its_stamp(folder, writer, monkeypatch):
    writer.begin_episode(FACTS)
    queue = writer._episode.videos[f'{IMAGES}front']._queue
    offer = queue.offer
    for row in range(20):
        monkeypatch.setattr(queue, 'offer', (lambda *_, **__: False) if row in (8, 9) else offer)
        writer.add_frame(frame(row))
    assert writer.status.dropped == {f'{IMAGES}front': 2, f'{IMAGES}wrist': 0}
    writer.save_episode()
    table = parquet.read_table(folder / 'data/chunk-000/file-000.parquet').to_pydict()
    steps = np.diff(table['stamp_ns.front']) // 10**6
    assert steps[6:10].tolist() == [100, 0, 0, 300]
    times, pictures = frames_of(folder / f'videos/{IMAGES}front/chunk-000/file-000.mp4')
    assert len(times) == 20
    assert np.abs(pictures[9].astype(int) - image(7)).mean() < 3


def test_a_discarded_episode_leaves_no_trace(folder, writer):
    record(writer)
    before = sorted(path for path in folder.rglob('*'))
    writer.begin_episode(FACTS)
    writer.add_frame(frame(0))
    writer.discard_episode()
    assert sorted(path for path in folder.rglob('*')) == before
    assert record(writer) == 1


def test_facts_and_outcome_stand_beside_the_episode(folder, writer):
    record(writer, facts=EpisodeFacts('pour', facts={'operator': 'ada', 'git': 'abc'}),
           outcome='failure')
    row = parquet.read_table(folder / 'meta/episodes/chunk-000/file-000.parquet').to_pylist()[0]
    assert (row['tasks'], row['outcome']) == (['pour'], 'failure')
    assert json.loads(row['facts']) == {'operator': 'ada', 'git': 'abc'}


def test_an_interrupted_episode_is_set_aside_and_recording_goes_on(folder):
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    record(writer)
    writer.begin_episode(FACTS)
    writer.add_frame(frame(0))
    writer._lock.close()  # what a kill does
    again = LeRobotWriter(folder, SPEC, min_free_bytes=0, live=False)
    assert 'interrupted/000' in again.notes[0]
    assert (folder / 'interrupted/000').is_dir()
    assert record(again) == 1
    assert [episode.fault for episode in read_lerobot(folder).episodes] == ['', '']


def test_a_data_set_of_other_features_is_not_recorded_into(folder, writer):
    record(writer)
    writer.close()
    with pytest.raises(ValueError, match='expected fps 20 to record into it, got 10'):
        LeRobotWriter(folder, replace(SPEC, fps=20))


def test_two_writers_do_not_share_a_data_set(folder, writer):
    with pytest.raises(ValueError, match='somebody else records into'):
        LeRobotWriter(folder, SPEC)


def test_no_episode_begins_on_a_full_disk(folder):
    writer = LeRobotWriter(folder, SPEC, min_free_bytes=10**18)
    with pytest.raises(DiskSpaceError, match='GB are left'):
        writer.begin_episode(FACTS)


def test_an_episode_of_which_one_video_cannot_be_begun_ends_the_others(
        folder, writer, monkeypatch):
    def begin(path, *rest):
        if 'wrist' in path.name:
            raise OSError('no space left')
        return EpisodeVideo(path, *rest)

    monkeypatch.setattr(running_episode, 'EpisodeVideo', begin)
    threads = threading.active_count()
    with pytest.raises(OSError, match='no space left'):
        writer.begin_episode(FACTS)
    assert threading.active_count() == threads
    monkeypatch.undo()
    assert record(writer) == 0


@pytest.mark.parametrize(('changes', 'message'), [
    ({STATE: np.zeros(2)}, r'observation.state: expected a row of shape \(3,\), got \(2,\)'),
    ({ACTION: np.array([0, np.nan, 0])}, 'action: expected finite numbers'),
    ({'torque': np.zeros(3)}, 'numbers of a row: missing none, unknown torque'),
    ({f'{IMAGES}front': np.zeros((48, 60, 3), np.uint8)},
     r'front: expected uint8 RGB of 48 x 64, got uint8 of shape \(48, 60, 3\)'),
])
def test_a_row_that_does_not_fit_is_refused_by_name(writer, changes, message):
    writer.begin_episode(FACTS)
    with pytest.raises(ValueError, match=message):
        writer.add_frame(frame(0, **changes))
