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
LeRobotDataset: all of a data set, v2.1 or v3: rows, videos and images, tasks, facts of episodes.

``lerobot_reader`` reads one feature for fitting tokenizers; this is for looking at a data set,
judging it and writing another one from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Any

import av
import cv2
from faster_ros.data.dataset_spec import DatasetSpec, EpisodeFacts, Feature, IMAGES, INDEX
from faster_ros.data.episode_evidence import COUNTED
from faster_ros.data.lerobot_reader import (
    LeRobotInfo,
    read_info,
    read_subtasks,
    read_tasks,
    SUBTASK,
    SUBTASKS,
)
from faster_ros.interfaces import ImageArray
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EpisodeEntry:
    """
    Where an episode is: ``data`` holds its rows, a video in ``videos`` its frames.

    ``videos``: camera -> file, and the time in s at which the episode begins in it. ``counted``:
    what was counted while it was recorded, as in EpisodeEvidence. ``findings``: what the truth
    checks had to say when it was saved.
    """

    number: int
    length: int
    facts: EpisodeFacts
    data: Path
    videos: dict[str, tuple[Path, float]]
    counted: dict[str, float] = field(default_factory=dict)
    findings: tuple[str, ...] = ()


class LeRobotDataset:
    """A data set on disk; nothing is read before it is asked for, and nothing is written."""

    def __init__(self, folder: Path) -> None:
        """Read what ``meta`` says; a file that is missing there is an error that names it."""
        self.folder = folder
        self.info = read_info(folder)
        self.raw_info: dict[str, Any] = json.loads((folder / 'meta/info.json').read_text())
        self.tasks, self.subtasks = read_tasks(folder), read_subtasks(folder)
        self.is_v3 = str(self.raw_info['codebase_version']).startswith('v3')
        kinds = {name: item.get('dtype') for name, item in self.info.features.items()}
        self.video_columns = [name for name, kind in kinds.items() if kind == 'video']
        self.image_columns = [name for name, kind in kinds.items() if kind == 'image']
        self._table: tuple[Path, Any] | None = None
        self.episodes = self._entries_v3() if self.is_v3 else self._entries_v2()

    @property
    def cameras(self) -> list[str]:
        """Return the columns of images, whether they are in videos or in the rows."""
        return self.video_columns + self.image_columns

    def spec(self, fps: int | None = None) -> DatasetSpec:
        """Return the features, for a writer of the same; texts are left out."""
        numbers = {name: _feature(name, item) for name, item in self.info.features.items()
                   if name not in INDEX and name not in self.cameras
                   and item.get('dtype') not in ('string', 'language')}
        return DatasetSpec(fps or _whole(self.info), self.info.robot, numbers,
                           {name: self.image_size(name) for name in self.cameras},
                           tuple(dict.fromkeys(self.subtasks.values()))
                           if SUBTASK in numbers else ())

    def image_size(self, camera: str) -> tuple[int, int]:
        """Return height and width of a camera's images."""
        item = self.info.features[camera]
        names, shape = item.get('names') or ['height', 'width', 'channels'], item['shape']
        if len(shape) != 3 or len(names) != 3:
            raise ValueError(f'{self.folder}: expected images of 3 dimensions in {camera}, got '
                             f'{shape}')
        if names[0] in ('channel', 'channels'):
            return int(shape[1]), int(shape[2])
        return int(shape[0]), int(shape[1])

    def codec(self, camera: str) -> str:
        """Return how a camera's video is encoded, such as h264, or '' where it does not say."""
        info = self.info.features[camera].get('info') or {}
        return str(info.get('video.codec') or '')

    def columns(self, entry: EpisodeEntry) -> dict[str, NDArray[Any]]:
        """Return the numbers of an episode, in the order of its frames: column -> (N, *shape)."""
        table = self._rows(entry)
        wanted = np.flatnonzero(table.column('episode_index').to_numpy() == entry.number)
        table = table.take(wanted)
        table = table.take(np.argsort(table.column('frame_index').to_numpy(), kind='stable'))
        found = {}
        for name, item in self.info.features.items():
            if name in self.cameras or item.get('dtype') in ('string', 'language'):
                continue
            if name not in table.column_names:
                raise ValueError(f'{entry.data}: column {name} is missing')
            shape = tuple(item['shape'])
            found[name] = _array(table.column(name), len(table), shape, f'{entry.data}: {name}')
        return found

    def row_tasks(self, entry: EpisodeEntry, columns: dict[str, NDArray[Any]]) -> list[str]:
        """Return the task of every row; ``columns`` as they were read."""
        return [self.tasks.get(int(index), entry.facts.task)
                for index in columns['task_index'].reshape(-1)]

    def check_subtasks(self) -> None:
        """Refuse a data set that does not tell the subtask of its rows."""
        if not self.subtasks:
            raise ValueError(f'{self.folder / SUBTASKS}, which names the subtasks, is missing or '
                             'empty')
        if SUBTASK not in self.info.features:
            raise ValueError(f'{self.folder}: column {SUBTASK}, which tells the subtask of each '
                             'row, is missing')

    def row_subtasks(self, entry: EpisodeEntry, columns: dict[str, NDArray[Any]]) -> list[str]:
        """Return the subtask of every row; one without a name is a ValueError."""
        found = [int(index) for index in columns[SUBTASK].reshape(-1)]
        for row, index in enumerate(found):
            if not self.subtasks.get(index, '').strip():
                raise ValueError(f'{entry.data}: {SUBTASK} is {index} in row {row} of episode '
                                 f'{entry.number}, which {self.folder / SUBTASKS} does not name')
        return [self.subtasks[index] for index in found]

    def images(self, entry: EpisodeEntry, camera: str) -> Iterator[ImageArray]:
        """Return the frames of an episode in order, uint8 RGB; fewer than its rows on damage."""
        if camera in self.image_columns:
            yield from self._images_of_rows(entry, camera)
            return
        path, start = entry.videos[camera]
        first = start - 0.5 / self.info.fps
        last = start + (entry.length - 0.5) / self.info.fps
        for time, picture in video_frames(path, max(first, 0.0)):
            if time >= last:
                return
            if time >= first:
                yield picture

    def _images_of_rows(self, entry: EpisodeEntry, camera: str) -> Iterator[ImageArray]:
        table = self._rows(entry)
        own = table.filter(table.column('episode_index').to_numpy() == entry.number)
        for cell in own.column(camera).to_pylist():
            content = cell.get('bytes') or (self.folder / str(cell.get('path'))).read_bytes()
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            if pixels is None:
                raise ValueError(f'{entry.data}: an image of {camera} cannot be decoded')
            yield np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)

    def _rows(self, entry: EpisodeEntry) -> Any:
        """Return the file of an episode, which often holds the next one as well."""
        if self._table is None or self._table[0] != entry.data:
            self._table = entry.data, _read_table(entry.data)
        return self._table[1]

    def _entries_v3(self) -> list[EpisodeEntry]:
        entries = []
        for path in sorted((self.folder / 'meta/episodes').glob('**/*.parquet')):
            table = _read_table(path)
            kept = [name for name in table.column_names if not name.startswith('stats/')]
            entries += [self._entry_v3(row) for row in table.select(kept).to_pylist()]
        return sorted(entries, key=lambda entry: entry.number)[:self.info.episodes]

    def _entry_v3(self, row: dict[str, Any]) -> EpisodeEntry:
        def file(kind: str, template: str) -> Path:
            return self.folder / template.format(
                chunk_index=row[f'{kind}/chunk_index'], file_index=row[f'{kind}/file_index'],
                video_key=kind.removeprefix('videos/'))

        quality = json.loads(row.get('quality') or '{}')
        return EpisodeEntry(
            int(row['episode_index']), int(row['length']),
            EpisodeFacts(_first_task(row['tasks']), row.get('outcome') or '',
                         json.loads(row.get('facts') or '{}')),
            file('data', self.raw_info['data_path']),
            {name: (file(f'videos/{name}', self.raw_info['video_path']),
                    float(row[f'videos/{name}/from_timestamp'])) for name in self.video_columns},
            {key: value for key, value in quality.get('figures', {}).items()
             if key.endswith(COUNTED)},
            tuple(str(finding['message']) for finding in quality.get('findings', ())))

    def _entries_v2(self) -> list[EpisodeEntry]:
        path = self.folder / 'meta/episodes.jsonl'
        if not path.is_file():
            raise ValueError(f'{path} is missing, which every v2.1 data set has')
        rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]

        def file(template: str, number: int, camera: str = '') -> Path:
            return self.folder / template.format(
                episode_chunk=number // int(self.raw_info.get('chunks_size', 1000)),
                episode_index=number, video_key=camera)

        return [EpisodeEntry(
            int(row['episode_index']), int(row['length']),
            EpisodeFacts(_first_task(row['tasks'])),
            file(self.raw_info['data_path'], row['episode_index']),
            {name: (file(self.raw_info['video_path'], row['episode_index'], name), 0.0)
             for name in self.video_columns}) for row in rows]


def video_frames(path: Path, from_s: float = 0.0) -> Iterator[tuple[float, ImageArray]]:
    """Return time in s and RGB of the frames of a video, from the key frame before a time on."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            tick: Any = stream.time_base
            if from_s > 0:
                container.seek(int(from_s / tick), stream=stream)
            for frame in container.decode(stream):
                picture = np.asarray(frame.to_ndarray(format='rgb24'), np.uint8)
                yield float((frame.pts or 0) * tick), picture
    except (av.error.FFmpegError, IndexError) as error:
        raise ValueError(f'{path}: expected a video, {error}') from error


def _feature(name: str, item: dict[str, Any]) -> Feature:
    names = item.get('names')
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    shape = tuple(int(width) for width in item['shape'])
    fitting = names if isinstance(names, list) and shape == (len(names),) else ()
    try:
        return Feature(str(item['dtype']), shape, tuple(str(one) for one in fitting))
    except ValueError as error:
        raise ValueError(f'feature {name}: {error}') from error


def _whole(info: LeRobotInfo) -> int:
    if info.fps != round(info.fps):
        raise ValueError(f'expected a whole number of frames per second, got {info.fps:g}')
    return round(info.fps)


def _first_task(tasks: Any) -> str:
    texts = [tasks] if isinstance(tasks, str) else list(tasks or [])
    return str(texts[0]).strip() if texts and str(texts[0]).strip() else 'no task given'


def _array(column: Any, rows: int, shape: tuple[int, ...], what: str) -> NDArray[Any]:
    """Return a column of numbers, lists or lists of lists as (N, *shape)."""
    flat = column.combine_chunks()
    if column.null_count:
        raise ValueError(f'{what} has {column.null_count} rows without a value')
    while hasattr(flat.type, 'value_type'):
        flat = flat.flatten()
    values = flat.to_numpy(zero_copy_only=False)
    if values.size != rows * int(np.prod(shape)):
        raise ValueError(f'{what}: expected {rows} rows of shape {shape}, got {values.size} '
                         'numbers in all')
    return np.asarray(values.reshape(rows, *shape))


def _read_table(path: Path) -> Any:
    try:
        from pyarrow import lib, parquet
    except ImportError as error:
        raise ValueError('reading a LeRobotDataset needs pyarrow: pip install '
                         '"faster_ros[data]"') from error
    try:
        return parquet.read_table(path)
    except (OSError, lib.ArrowInvalid) as error:
        raise ValueError(f'{path}: expected a parquet file, {error}') from error


def short_name(camera: str) -> str:
    """Return a camera's name without the ``observation.images.`` before it."""
    return camera.removeprefix(IMAGES)
