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
Whether a LeRobotDataset is whole: what meta promises is there, and nothing else is.

What its episodes say about the robot is the matter of ``episode_checks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from faster_ros.data.bag_reader import open_bag
from faster_ros.data.dataset_folder import bag_place, RECORDING, SAVING
from faster_ros.data.lerobot_dataset import EpisodeEntry, LeRobotDataset, video_frames
import numpy as np
from numpy.typing import NDArray

_TOLERANCE_S = 1e-4  # LeRobot's default for the time of a frame
_STREAMS = tuple(f'sensor_msgs/msg/{name}' for name in ('JointState', 'Image', 'CompressedImage'))


def problems(dataset: LeRobotDataset, decode: bool = False) -> Iterator[str]:
    """
    Return what is wrong with a data set, one line each; none where it is whole.

    Frames of videos are counted by their packets, or decoded one by one with ``decode``; raw bags
    are counted by what their end says, or read message by message.
    """
    yield from _leftovers(dataset.folder)
    yield from _counts(dataset)
    for path in sorted(strays(dataset)):
        yield f'{path.relative_to(dataset.folder)} belongs to no episode'
    row = 0
    for entry in dataset.episodes:
        for problem in (*_episode(dataset, entry, row, decode),
                        *_raw_bag(dataset.folder / bag_place(entry.number), decode)):
            yield f'episode {entry.number}: {problem}'
        row += entry.length


def strays(dataset: LeRobotDataset) -> set[Path]:
    """Return data and video files that no episode refers to."""
    used = {entry.data for entry in dataset.episodes}
    used |= {path for entry in dataset.episodes for path, _ in entry.videos.values()}
    return {path for pattern in ('data/**/*.parquet', 'videos/**/*.mp4')
            for path in dataset.folder.glob(pattern)} - used


def _leftovers(folder: Path) -> Iterator[str]:
    if (folder / SAVING).is_dir():
        yield 'a save was interrupted; repair finishes it'
    if (folder / RECORDING).is_dir():
        yield 'an episode is being recorded, or was interrupted; repair sets it aside'


def _counts(dataset: LeRobotDataset) -> Iterator[str]:
    info, entries = dataset.raw_info, dataset.episodes
    rows = sum(entry.length for entry in entries)
    for key, found in (('total_episodes', len(entries)), ('total_frames', rows),
                       ('total_tasks', len(dataset.tasks))):
        if info.get(key) != found:
            yield f'meta/info.json: {key} is {info.get(key)}, there are {found}'
    numbers = [entry.number for entry in entries]
    if numbers != list(range(len(entries))):
        yield f'meta/episodes: expected the numbers 0 to {len(entries) - 1}, got {numbers}'
    if not (dataset.folder / 'meta/stats.json').is_file() and dataset.is_v3:
        yield 'meta/stats.json is missing'


def _episode(dataset: LeRobotDataset, entry: EpisodeEntry, first_row: int,
             decode: bool) -> Iterator[str]:
    if not entry.data.is_file():
        yield f'{entry.data} is missing'
        return
    try:
        columns = dataset.columns(entry)
    except ValueError as error:
        yield str(error)
        return
    yield from _rows(dataset, entry, columns, first_row)
    for camera, (path, start) in entry.videos.items():
        if not path.is_file():
            yield f'{path} is missing'
            continue
        try:
            times = (_decoded_times if decode else _packet_times)(path)
        except ValueError as error:
            yield str(error)
            continue
        wanted = start + np.arange(entry.length) / dataset.info.fps
        if not len(times) or np.abs(times[_nearest(times, wanted)] - wanted).max() > _TOLERANCE_S:
            yield f'{camera}: not every row has a frame at its time in {path}'


def _raw_bag(bag: Path, decode: bool) -> Iterator[str]:
    """Return what is wrong with a raw bag; an episode need not have one."""
    if not bag.is_dir():
        return
    try:
        with open_bag(bag) as reader:
            # Of who leads and of chunks there may be none: they speak when something changes.
            silent = sorted(item.topic for item in reader.connections
                            if item.msgtype in _STREAMS and not item.msgcount)
            promised = reader.message_count
            found = sum(1 for _ in reader.messages()) if decode else promised
    except Exception as error:  # a damaged file fails in more ways than its reader names
        yield f'{bag}: expected a whole bag, {error}'
        return
    if silent:
        yield f"{bag}: no messages of {', '.join(silent)}"
    if found != promised:
        yield f'{bag} holds {found} messages, its end says {promised}'


def _rows(dataset: LeRobotDataset, entry: EpisodeEntry, columns: dict[str, NDArray[np.float64]],
          first_row: int) -> Iterator[str]:
    length = len(columns['frame_index'])
    if length != entry.length:
        yield f'{entry.data} holds {length} rows, meta says {entry.length}'
        return
    frames = np.arange(length)
    for name, wanted in (('frame_index', frames), ('index', first_row + frames),
                         ('timestamp', frames / dataset.info.fps)):
        wrong = np.flatnonzero(np.abs(columns[name].reshape(-1) - wanted) > _TOLERANCE_S)
        if len(wrong):
            yield (f'{name} is {columns[name].reshape(-1)[wrong[0]]} in row {wrong[0]}, expected '
                   f'{wanted[wrong[0]]}')
    unknown = set(columns['task_index'].reshape(-1).tolist()) - set(dataset.tasks)
    if unknown:
        yield f'task_index {min(unknown)} stands for no task'
    for name, values in columns.items():
        if not np.isfinite(values).all():
            yield f'{name} is not finite in row {np.argwhere(~np.isfinite(values))[0][0]}'


def _nearest(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    place = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    before = np.clip(place - 1, 0, len(times) - 1)
    after = np.clip(place, 0, len(times) - 1)
    return np.where(wanted - times[before] < times[after] - wanted, before, after)


def _packet_times(path: Path) -> NDArray[np.float64]:
    """Return the times of the frames in s, sorted, without decoding them."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            tick = float(stream.time_base or 0)
            return np.sort([packet.pts * tick for packet in container.demux(stream)
                            if packet.pts is not None and packet.size])
    except (av.error.FFmpegError, IndexError) as error:
        raise ValueError(f'{path}: expected a video, {error}') from error


def _decoded_times(path: Path) -> NDArray[np.float64]:
    return np.array([time for time, _ in video_frames(path)])
