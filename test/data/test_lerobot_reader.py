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
"""LeRobotDatasets of both layouts: columns by name, episodes, tasks, and what is wrong in them."""

import json

from faster_ros.data.lerobot_reader import read_lerobot
from faster_ros.data.recordings import read_recording, Reading
import numpy as np
import pytest

pyarrow = pytest.importorskip('pyarrow')
parquet = pytest.importorskip('pyarrow.parquet')

RNG = np.random.default_rng(0)
NAMES = ['shoulder', 'elbow', 'gripper']


def table(number, rows=30, fps=10, task=0, **changes):
    """Return the rows of an episode; ``changes`` replace whole columns."""
    actions = RNG.standard_normal((rows, 3)).astype(np.float32)
    columns = {
        'action': [*actions], 'observation.state': [*(actions + 1)],
        'timestamp': (np.arange(rows) / fps).astype(np.float32), 'frame_index': np.arange(rows),
        'episode_index': np.full(rows, number), 'task_index': np.full(rows, task), **changes}
    return pyarrow.table(columns)


def dataset(folder, files, version='v2.1', **changes):
    """Write a data set: file name -> tables."""
    episodes = {int(value) for tables in files.values() for item in tables
                for value in item['episode_index'].to_numpy()}
    feature = {'dtype': 'float32', 'shape': [3], 'names': {'motors': NAMES}}
    info = {'codebase_version': version, 'fps': 10, 'robot_type': 'so100',
            'total_episodes': len(episodes),
            'features': {'action': feature, 'observation.state': {**feature, 'names': None},
                         'observation.images.top': {'dtype': 'video', 'shape': [3, 4, 4]}},
            **changes}
    (folder / 'meta').mkdir(parents=True)
    (folder / 'meta/info.json').write_text(json.dumps(info))
    for name, tables in files.items():
        path = folder / 'data/chunk-000' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.concat_tables(tables), path)
    return folder


def test_one_file_for_each_episode_is_read_with_its_task(tmp_path):
    tables = [table(0), table(1, 40, task=1)]
    folder = dataset(tmp_path / 'set', {f'episode_00000{number}.parquet': [item]
                                        for number, item in enumerate(tables)})
    (folder / 'meta/tasks.jsonl').write_text(
        '{"task_index": 0, "task": "pick"}\n{"task_index": 1, "task": "place"}\n')
    recorded = read_lerobot(folder)
    assert recorded.names == NAMES
    assert [episode.task for episode in recorded.episodes] == ['pick', 'place']
    assert [len(episode.rows) for episode in recorded.episodes] == [30, 40]
    for episode, item in zip(recorded.episodes, tables):
        np.testing.assert_array_equal(episode.rows, np.stack(item['action'].to_pylist()))


def test_many_episodes_of_one_file_are_told_apart(tmp_path):
    tables = [table(0), table(1, 40), table(2)]
    folder = dataset(tmp_path / 'set', {'file-000.parquet': tables[:2],
                                        'file-001.parquet': tables[2:]}, 'v3.0')
    parquet.write_table(pyarrow.table({'task_index': [0], '__index_level_0__': ['pick']}),
                        folder / 'meta/tasks.parquet')
    recording = read_recording([folder], 1.0)
    assert [len(episode) for episode in recording.episodes] == [30, 40, 30]
    assert (recording.rate_hz, recording.grippers) == (10.0, [2])
    assert read_lerobot(folder).episodes[2].task == 'pick'


def test_another_feature_is_read_by_name_and_its_columns_are_numbered(tmp_path):
    item = table(0)
    folder = dataset(tmp_path / 'set', {'file-000.parquet': [item, table(1)]}, 'v3.0')
    recording = read_recording([folder], 1.0, Reading(feature='observation.state'))
    assert (recording.source, recording.robot) == ('feature observation.state', 'so100')
    assert recording.names[0] == 'observation.state_0'
    assert recording.episodes[0][0, 0] == item['observation.state'][0].as_py()[0]
    with pytest.raises(ValueError, match="feature 'torque' of numbers, got action, observation"):
        read_recording([folder], 1.0, Reading(feature='torque'))


@pytest.mark.parametrize(('changes', 'reason'), [
    ({'frame_index': np.delete(np.arange(31), 12)}, 'frame_index goes from 11 to 13'),
    ({'timestamp': (np.arange(30) / 10 + 0.3 * (np.arange(30) > 20)).astype(np.float32)},
     'timestamp 2.4 s of frame 21 is no frame at 10 fps'),
    ({'action': [*np.eye(3, dtype=np.float32)] * 9 + [np.full(3, np.nan, np.float32)] * 3},
     'shoulder is nan in row 27'),
    ({'action': [*np.eye(3, dtype=np.float32)] * 9 + [None] * 3}, 'shoulder is nan in row 27'),
])
def test_an_episode_with_a_gap_is_left_out_by_name(tmp_path, changes, reason):
    folder = dataset(tmp_path / 'set', {'file-000.parquet': [
        table(0), table(1, **changes), table(2)]}, 'v3.0')
    recording = read_recording([folder], 1.0)
    assert len(recording.episodes) == 2
    assert [(item.episode, item.reason) for item in recording.excluded] == [(1, reason)]
    assert recording.excluded[0].where == 'file-000.parquet episode 1'


def test_an_episode_that_no_file_holds_is_named(tmp_path):
    folder = dataset(tmp_path / 'set', {'file-000.parquet': [table(0), table(1)]}, 'v3.0',
                     total_episodes=3)
    (excluded,) = read_recording([folder], 1.0).excluded
    assert (excluded.where, excluded.reason) == ('set episode 2', 'no data file holds it')


@pytest.mark.parametrize(('changes', 'message'), [
    ({'codebase_version': 'v1.6'}, 'expected codebase_version v2.1 or v3, got v1.6'),
    ({'fps': 0}, 'fps must be positive, got 0'),
    ({'features': {'action': {'dtype': 'float32', 'shape': [3], 'names': ['a']}}},
     'action has 3 columns and 1 names'),
    ({'features': {'action': {'dtype': 'float32', 'shape': [4]}}},
     'expected 4 numbers in each of 30 rows, got 90'),
])
def test_a_broken_data_set_is_refused_by_file_and_field(tmp_path, changes, message):
    folder = dataset(tmp_path / 'set', {'file-000.parquet': [table(0)]}, **changes)
    with pytest.raises(ValueError, match=message):
        read_recording([folder], 1.0)


def test_a_data_file_without_a_column_is_refused_by_name(tmp_path):
    folder = dataset(tmp_path / 'set', {'file-000.parquet': [
        table(0).drop_columns(['timestamp'])]})
    with pytest.raises(ValueError, match='file-000.parquet: .*timestamp is missing'):
        read_recording([folder], 1.0)
