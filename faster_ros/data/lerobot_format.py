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
The files of a LeRobotDataset v3, as bytes: meta/info.json, tasks, episodes, statistics, rows.

Every episode has its own parquet file of rows, its own videos and its own row of meta, so that
nothing that is on disk is ever written again but the small files of meta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
import json
from typing import Any

from faster_ros.data.dataset_spec import DatasetSpec, INDEX
from faster_ros.data.feature_statistics import Statistics
from faster_ros.data.running_episode import EpisodeContent
from faster_ros.data.video_encoder import video_info
import numpy as np
from numpy.typing import NDArray

VERSION = 'v3.0'
CHUNK = 1000  # files in a folder
DATA = 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
VIDEO = 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4'
EPISODES = 'meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
INFO, TASKS, STATS = 'meta/info.json', 'meta/tasks.parquet', 'meta/stats.json'


def place(template: str, file: int, video_key: str = '') -> str:
    """Return the name of the ``file``-th file of its kind."""
    chunk, index = divmod(file, CHUNK)
    return template.format(chunk_index=chunk, file_index=index, video_key=video_key)


def info_json(spec: DatasetSpec, episodes: int, frames: int, tasks: int) -> bytes:
    """Return meta/info.json."""
    features: dict[str, Any] = {name: item.to_info() for name, item in spec.numbers.items()}
    features |= {
        name: {'dtype': 'video', 'shape': [*size, 3], 'names': ['height', 'width', 'channels'],
               'info': video_info(spec.fps, size)} for name, size in spec.cameras.items()}
    features |= {name: {'dtype': kind, 'shape': [1], 'names': None}
                 for name, kind in INDEX.items()}
    return json.dumps({
        'codebase_version': VERSION, 'robot_type': spec.robot, 'total_episodes': episodes,
        'total_frames': frames, 'total_tasks': tasks, 'chunks_size': CHUNK,
        'data_files_size_in_mb': 100, 'video_files_size_in_mb': 200, 'fps': spec.fps,
        'splits': {'train': f'0:{episodes}'}, 'data_path': DATA,
        'video_path': VIDEO if spec.cameras else None, 'features': features,
    }, indent=4).encode()


def texts_parquet(texts: Sequence[str], kind: str = 'task') -> bytes:
    """Return meta/tasks.parquet, or of another kind: a pandas frame whose index is the text."""
    import pyarrow

    columns = [(f'{kind}_index', 'int64', 'int64'), (kind, 'unicode', 'object')]
    pandas = {'index_columns': [kind], 'column_indexes': [], 'pandas_version': '2.2.0',
              'columns': [{'name': name, 'field_name': name, 'pandas_type': kind,
                           'numpy_type': dtype, 'metadata': None}
                          for name, kind, dtype in columns]}
    table = pyarrow.table({f'{kind}_index': pyarrow.array(range(len(texts)), pyarrow.int64()),
                           kind: pyarrow.array(list(texts), pyarrow.string())})
    return _parquet(table.replace_schema_metadata({'pandas': json.dumps(pandas)}))


def rows_parquet(spec: DatasetSpec, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the rows of an episode; ``columns``: name -> (N, *shape)."""
    import pyarrow

    kinds = {name: (item.dtype, item.shape) for name, item in spec.numbers.items()}
    kinds |= {name: (kind, (1,)) for name, kind in INDEX.items()}
    arrays = {}
    for name, (dtype, shape) in kinds.items():
        values = np.ascontiguousarray(columns[name], dtype)
        array = pyarrow.array(values.reshape(-1))
        for width in ([] if shape == (1,) else shape[::-1]):
            array = pyarrow.FixedSizeListArray.from_arrays(array, width)
        arrays[name] = array
    return _parquet(pyarrow.table(arrays))


def episode_parquet(where: tuple[int, int, int], content: EpisodeContent, spec: DatasetSpec,
                    statistics: Mapping[str, Statistics], quality: str) -> bytes:
    """
    Return the row of meta of an episode; ``quality``: its report as JSON.

    ``where``: the number of the episode, of its files, and of its first row in the data set.
    """
    import pyarrow

    (number, file, first_row), length, facts = where, content.rows, content.facts
    chunk, index = divmod(file, CHUNK)
    row: dict[str, Any] = {
        'episode_index': number, 'tasks': list(dict.fromkeys(content.row_tasks)),
        'length': length,
        'dataset_from_index': first_row, 'dataset_to_index': first_row + length}
    for kind in ('data', 'meta/episodes', *(f'videos/{name}' for name in spec.cameras)):
        row |= {f'{kind}/chunk_index': chunk, f'{kind}/file_index': index}
        if kind.startswith('videos/'):
            row |= {f'{kind}/from_timestamp': 0.0, f'{kind}/to_timestamp': length / spec.fps}
    row |= {'outcome': facts.outcome, 'facts': json.dumps(dict(facts.facts)),
            'quality': quality}
    row |= {f'stats/{feature}/{name}': values.tolist()
            for feature, found in statistics.items() for name, values in found.items()}
    return _parquet(pyarrow.table({name: [value] for name, value in row.items()}))


def stats_json(statistics: Mapping[str, Statistics]) -> bytes:
    """Return meta/stats.json."""
    return json.dumps({feature: {name: values.tolist() for name, values in found.items()}
                       for feature, found in statistics.items()}, indent=4).encode()


def _parquet(table: Any) -> bytes:
    from pyarrow import parquet

    sink = BytesIO()
    parquet.write_table(table, sink, compression='snappy')
    return sink.getvalue()
