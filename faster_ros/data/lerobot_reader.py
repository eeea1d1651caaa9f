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
Reads the numbers of a LeRobotDataset, v2.1 and v3: meta/info.json and the parquet files.

v2.1 has one data file for each episode, v3 many episodes in one; both name the episode and the
frame of every row. Images and videos are not touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any, TYPE_CHECKING

from faster_ros.data.recorded_episodes import Episode, RecordedEpisodes
from faster_ros.interfaces import FloatArray
import numpy as np

if TYPE_CHECKING:
    import pyarrow

_INFO = 'meta/info.json'
SUBTASKS, SUBTASK = 'meta/subtasks.parquet', 'subtask_index'  # the file, the column of rows
_VERSIONS = ('v2.0', 'v2.1', 'v3.')
_NUMBERS = ('float32', 'float64', 'int32', 'int64', 'float16')


@dataclass(frozen=True)
class LeRobotInfo:
    """What meta/info.json says about a data set; ``features``: name -> dtype, shape, names."""

    fps: float
    episodes: int
    robot: str
    features: dict[str, dict[str, Any]]


def is_lerobot(path: Path) -> bool:
    """Say whether a folder holds a LeRobotDataset."""
    return (path / _INFO).is_file()


def read_info(folder: Path) -> LeRobotInfo:
    """Read meta/info.json; a missing key or another version is an error that names it."""
    path = folder / _INFO
    data = json.loads(path.read_text(encoding='utf-8'))
    missing = [key for key in ('codebase_version', 'fps', 'total_episodes', 'features')
               if key not in data]
    if missing:
        raise ValueError(f"{path}: {', '.join(missing)} is missing")
    if not str(data['codebase_version']).startswith(_VERSIONS):
        raise ValueError(f'{path}: expected codebase_version v2.1 or v3, got '
                         f"{data['codebase_version']}; convert it with LeRobot's own tools")
    if not float(data['fps']) > 0:
        raise ValueError(f"{path}: fps must be positive, got {data['fps']}")
    return LeRobotInfo(float(data['fps']), int(data['total_episodes']),
                       str(data.get('robot_type') or ''), dict(data['features']))


def column_names(folder: Path, info: LeRobotInfo, feature: str) -> list[str]:
    """Return the names of a feature's columns; unnamed ones are numbered, twins told apart."""
    numbers = [name for name, item in info.features.items()
               if item.get('dtype') in _NUMBERS and len(item.get('shape', ())) == 1]
    if feature not in numbers:
        raise ValueError(f'{folder / _INFO}: expected a feature {feature!r} of numbers, got '
                         f"{', '.join(numbers) or 'none'}")
    (width,) = info.features[feature]['shape']
    given = info.features[feature].get('names')
    if isinstance(given, dict):  # {'motors': [...]}
        given = next(iter(given.values()), None)
    names = [str(name) for name in given or [f'{feature}_{column}' for column in range(width)]]
    if len(names) != width:
        raise ValueError(f'{folder / _INFO}: {feature} has {width} columns and {len(names)} names')
    return [name if names.count(name) == 1 else f'{name}_{column}'
            for column, name in enumerate(names)]


def read_tasks(folder: Path) -> dict[int, str]:
    """Return the instructions by their index; none where the data set lists none."""
    lines = folder / 'meta/tasks.jsonl'  # v2.1
    if lines.is_file():
        rows = [json.loads(line) for line in lines.read_text(encoding='utf-8').splitlines()
                if line.strip()]
        return {int(row['task_index']): str(row['task']) for row in rows}
    table = folder / 'meta/tasks.parquet'  # v3: the texts are the index of a data frame
    if not table.is_file():
        return {}
    columns = _parquet().read_table(table).to_pydict()
    (texts,) = [values for name, values in columns.items() if name != 'task_index'] or [[]]
    return {int(index): str(text) for index, text in zip(columns['task_index'], texts)}


def read_subtasks(folder: Path) -> dict[int, str]:
    """Return LeRobot's names of subtasks by their index; none where the data set lists none."""
    path = folder / SUBTASKS
    if not path.is_file():
        return {}
    columns = _parquet().read_table(path).to_pydict()
    texts = {name: values for name, values in columns.items() if name != SUBTASK}
    named = texts.get('subtask') or next(iter(texts.values()), None)
    if SUBTASK not in columns or named is None:
        raise ValueError(f'{path}: expected the columns {SUBTASK} and subtask, got '
                         f"{', '.join(columns) or 'none'}")
    return {int(index): str(text) for index, text in zip(columns[SUBTASK], named)}


def read_lerobot(folder: Path, feature: str = 'action') -> RecordedEpisodes:
    """
    Read one feature of all episodes of a LeRobotDataset.

    An episode with missing frames, with times that leave its frames, or without a data file is
    returned with its fault.
    """
    info = read_info(folder)
    names = column_names(folder, info, feature)
    tasks = read_tasks(folder)
    found: dict[int, Episode] = {}
    for path in sorted((folder / 'data').glob('**/*.parquet')):
        for number, episode in _file_episodes(path, feature, len(names), info.fps, tasks):
            found[number] = episode
    numbers = sorted({*found, *range(info.episodes)})
    missing = Episode(np.zeros((0, len(names))), info.fps, '', fault='no data file holds it')
    return RecordedEpisodes(names, [
        found.get(number) or Episode(missing.rows, info.fps, f'{folder.name} episode {number}',
                                     fault=missing.fault) for number in numbers])


def _file_episodes(path: Path, feature: str, width: int, fps: float,
                   tasks: dict[int, str]) -> Iterable[tuple[int, Episode]]:
    """Return the episodes of one parquet file, in order."""
    wanted = ['episode_index', 'frame_index', 'timestamp', feature]
    schema = _parquet().read_schema(path)
    missing = [name for name in wanted if name not in schema.names]
    if missing:
        raise ValueError(f"{path}: expected the columns {', '.join(wanted)}; "
                         f"{', '.join(missing)} is missing")
    if 'task_index' in schema.names:
        wanted.append('task_index')
    table = _parquet().read_table(path, columns=wanted)
    rows = _matrix(table.column(feature), width, f'{path}: {feature}')
    plain = {name: table.column(name).to_numpy() for name in wanted if name != feature}
    order = np.lexsort((plain['frame_index'], plain['episode_index']))
    owner = plain['episode_index'][order]
    for part in np.split(order, np.flatnonzero(np.diff(owner)) + 1):
        if not len(part):
            continue
        number = int(plain['episode_index'][part[0]])
        task = tasks.get(int(plain['task_index'][part[0]]), '') if 'task_index' in plain else ''
        yield number, Episode(
            rows[part], fps, f'{path.name} episode {number}', task,
            frame_fault(plain['frame_index'][part], plain['timestamp'][part], fps))


def _matrix(column: pyarrow.ChunkedArray, width: int, what: str) -> FloatArray:
    """Return a column of lists, or of single numbers, as (N, width); a null is NaN."""
    rows = column.to_pylist() if column.null_count else None
    if rows is not None:
        return np.array([[np.nan] * width if row is None else row for row in rows], dtype=float)
    flat = column.combine_chunks()
    if hasattr(flat, 'flatten') and hasattr(flat.type, 'value_type'):
        flat = flat.flatten()
    values: FloatArray = flat.to_numpy(zero_copy_only=False).astype(float)
    if values.size != len(column) * width:
        raise ValueError(f'{what}: expected {width} numbers in each of {len(column)} rows, got '
                         f'{values.size} in all')
    return values.reshape(-1, width)


def frame_fault(frames: FloatArray, times: FloatArray, fps: float) -> str:
    """Return what is wrong with the frames and times of an episode, or ''."""
    jump = np.flatnonzero(np.diff(frames, prepend=-1) != 1)
    if len(jump):
        before = frames[jump[0] - 1] if jump[0] else 'the beginning'
        return f'frame_index goes from {before} to {frames[jump[0]]}'
    late = np.flatnonzero(~(np.abs(times - times[0] - frames / fps) < 0.5 / fps))
    if len(late):
        return (f'timestamp {times[late[0]]:g} s of frame {frames[late[0]]} is no frame at '
                f'{fps:g} fps')
    return ''


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError('reading a LeRobotDataset needs pyarrow: pip install '
                         '"faster_ros[data]"') from error
    return parquet
