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
LeRobotWriter: a LeRobotDataset v3 that grows by whole episodes, whatever interrupts it.

While an episode runs, its videos are encoded in the folder ``.recording``. ``save_episode`` puts
its files on disk, renames the folder to ``.saving`` (from here on the episode counts) and moves
them into place; ``meta/info.json``, which tells readers how many episodes there are, comes last.
Opening the data set finishes an interrupted save and sets an interrupted episode aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
import fcntl
import json
from pathlib import Path
import shutil
from typing import Any

from faster_ros.data.dataset_spec import (
    DatasetFrame,
    DatasetSpec,
    EpisodeFacts,
    IMAGES,
    STAMP,
    TICK,
)
from faster_ros.data.durable import roll_forward, seal
from faster_ros.data.feature_statistics import of_images, of_rows, Statistics, together
from faster_ros.data.lerobot_format import (
    CHUNK,
    DATA,
    episode_parquet,
    EPISODES,
    INFO,
    info_json,
    place,
    rows_parquet,
    STATS,
    stats_json,
    TASKS,
    tasks_parquet,
    VIDEO,
)
from faster_ros.data.lerobot_reader import read_tasks
from faster_ros.data.video_encoder import EpisodeVideo
from faster_ros.interfaces import ImageArray
import numpy as np
from numpy.typing import NDArray

_RECORDING, _SAVING, _LOCK, _RAW = '.recording', '.saving', '.lock', 'raw'
INTERRUPTED = 'interrupted'
_MIN_FREE_BYTES = 2**30


class DiskSpaceError(OSError):
    """Too little is left on the disk to go on; what is recorded so far can still be saved."""


class RecordingFailed(RuntimeError):
    """The running episode cannot be saved any more, such as for a full disk."""


@dataclass(frozen=True)
class RecordingStatus:
    """
    How the running episode does.

    ``dropped``: camera column -> images that were lost for lack of time. ``waiting``: images that
    wait to be encoded, of the camera with the most.
    """

    rows: int
    seconds: float
    dropped: Mapping[str, int]
    waiting: int
    free_bytes: int


class LeRobotWriter:
    """Appends episodes to the data set in a folder; one writer at a time, one thread."""

    def __init__(self, folder: Path, spec: DatasetSpec,
                 min_free_bytes: int = _MIN_FREE_BYTES, live: bool = True) -> None:
        """
        Make the data set, or open it; then its features must be those of ``spec``.

        While it is ``live``, images that the encoders are too slow for are dropped and counted;
        else ``add_frame`` waits.
        """
        self.folder, self.spec, self._live = folder, spec, live
        self._min_free_bytes = min_free_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        self.notes = tuple(recover(folder))
        self.episodes, self._rows_before = _counts(folder, spec)
        self._tasks = list(read_tasks(folder).values())
        self._statistics = _read_statistics(folder)
        self._episode: _RunningEpisode | None = None

    def begin_episode(self, facts: EpisodeFacts) -> Path:
        """
        Start an episode; return its folder, in which a raw bag may be written as ``raw``.

        Raises DiskSpaceError where too little is left.
        """
        if self._episode is not None:
            raise ValueError('an episode runs already; save or discard it first')
        self._check_disk()
        folder = self.folder / _RECORDING
        folder.mkdir()
        self._episode = _RunningEpisode(folder, self.spec, facts, self._live)
        return folder

    def add_frame(self, frame: DatasetFrame) -> None:
        """
        Append a row.

        Raises ValueError for a row that does not fit, RecordingFailed when the episode is lost,
        and DiskSpaceError, about once a second, when it should be saved.
        """
        episode = self._running()
        episode.add(frame)
        if episode.rows % self.spec.fps == 0:
            self._check_disk()

    @property
    def status(self) -> RecordingStatus:
        """Return how the running episode does."""
        episode, free = self._running(), shutil.disk_usage(self.folder).free
        return RecordingStatus(
            episode.rows, episode.rows / self.spec.fps,
            {name: video.dropped for name, video in episode.videos.items()},
            max((video.waiting for video in episode.videos.values()), default=0), free)

    def save_episode(self, outcome: str = '') -> int:
        """
        Make the running episode part of the data set, on disk; return its number.

        Raises RecordingFailed where it cannot be; it is then still to be discarded.
        """
        episode = self._running()
        if not episode.rows:
            raise ValueError('the episode has no rows; discard it')
        facts = replace(episode.facts, outcome=outcome or episode.facts.outcome)
        try:
            moves = self._prepare(episode, facts)
            seal(episode.folder, self.folder / _SAVING, moves)
        except OSError as error:
            raise RecordingFailed(f'{self.folder}: the episode cannot be saved: {error}'
                                  ) from error
        roll_forward(self.folder / _SAVING)
        self._episode = None
        self.episodes += 1
        self._rows_before += episode.rows
        return self.episodes - 1

    def discard_episode(self, set_aside: bool = False) -> Path | None:
        """Forget the running episode; or keep its files, return where, and do not count it."""
        episode = self._running()
        self._episode = None
        episode.cancel()
        if set_aside:
            return _set_aside(self.folder)
        shutil.rmtree(episode.folder)
        return None

    def close(self) -> None:
        """Set a running episode aside and let others write."""
        if self._episode is not None:
            self.discard_episode(set_aside=True)
        self._lock.close()

    def _running(self) -> _RunningEpisode:
        if self._episode is None:
            raise ValueError('no episode runs; begin one first')
        return self._episode

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < self._min_free_bytes:
            raise DiskSpaceError(f'{self.folder}: {free / 1e9:.2f} GB are left on the disk, less '
                                 f'than {self._min_free_bytes / 1e9:.2f} GB')

    def _prepare(self, episode: _RunningEpisode, facts: EpisodeFacts) -> list[tuple[str, str]]:
        """Write all files of the episode; return where they go, in order."""
        file = _next_file(self.folder)
        tasks = self._tasks + [facts.task] * (facts.task not in self._tasks)
        columns, found = episode.finish(self.episodes, self._rows_before,
                                        tasks.index(facts.task))
        statistics = {name: together([self._statistics[name], own])
                      if name in self._statistics else own for name, own in found.items()}
        rows = self._rows_before + episode.rows
        contents = {
            place(DATA, file): rows_parquet(self.spec, columns),
            TASKS: tasks_parquet(tasks),
            place(EPISODES, file): episode_parquet(
                self.episodes, file, self._rows_before, episode.rows, self.spec, facts, found),
            STATS: stats_json(statistics),
            INFO: info_json(self.spec, self.episodes + 1, rows, len(tasks)),
        }
        moves = [(episode.video_name(name), place(VIDEO, file, name)) for name in episode.videos]
        if (episode.folder / _RAW).exists():
            moves.append((_RAW, f'{_RAW}/episode_{self.episodes:06d}'))
        for number, (target, content) in enumerate(contents.items()):
            name = f'{number}{Path(target).suffix}'
            (episode.folder / name).write_bytes(content)
            moves.append((name, target))
        self._tasks, self._statistics = tasks, statistics
        return moves


class _RunningEpisode:
    """The rows and videos of the episode that is recorded."""

    def __init__(self, folder: Path, spec: DatasetSpec, facts: EpisodeFacts,
                 live: bool) -> None:
        self.folder, self.facts, self._spec = folder, facts, spec
        self.videos = {name: EpisodeVideo(folder / self.video_name(name), spec.fps, size, live)
                       for name, size in spec.cameras.items()}
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in spec.numbers}
        self._shown: dict[str, tuple[ImageArray, NDArray[Any] | None]] = {}
        self.rows = 0

    @staticmethod
    def video_name(camera: str) -> str:
        return f'{camera}.mp4'

    def add(self, frame: DatasetFrame) -> None:
        _check_names('numbers', frame.numbers, self._spec.numbers)
        _check_names('images', frame.images, self._spec.cameras)
        numbers = {name: self._checked(name, frame.numbers[name]) for name in frame.numbers}
        for name, video in self.videos.items():
            image, column = frame.images[name], STAMP + name.removeprefix(IMAGES)
            shown = self._shown.get(name)
            fresh = shown is None or image is not shown[0]
            if video.add(image if fresh else None):
                self._shown[name] = (image, numbers.get(column))
            elif column in numbers and shown is not None and shown[1] is not None:
                numbers[column] = shown[1]  # the row shows the image before
            if video.failure is not None:
                raise RecordingFailed(f'{name} is not encoded any more: {video.failure}'
                                      ) from video.failure
        for name, values in numbers.items():
            self._columns[name].append(values)
        self.rows += 1

    def finish(self, number: int, first_row: int, task: int
               ) -> tuple[dict[str, NDArray[Any]], dict[str, Statistics]]:
        """Finish the videos; return all columns (rows, *shape) and the statistics."""
        for video in self.videos.values():
            video.close()
        columns = {name: np.stack(values) for name, values in self._columns.items()}
        frames = np.arange(self.rows).reshape(-1, 1)
        columns |= {
            'timestamp': (frames / self._spec.fps).astype(np.float32), 'frame_index': frames,
            'episode_index': np.full_like(frames, number), 'index': first_row + frames,
            'task_index': np.full_like(frames, task)}
        statistics = {name: of_rows(values) for name, values in columns.items()
                      if not name.startswith(TICK)}
        statistics |= {name: of_images(video.statistics.histogram, video.statistics.images)
                       for name, video in self.videos.items()}
        return columns, statistics

    def cancel(self) -> None:
        for video in self.videos.values():
            video.cancel()

    def _checked(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        feature = self._spec.numbers[name]
        if values.shape != feature.shape:
            raise ValueError(f'{name}: expected a row of shape {feature.shape}, got '
                             f'{values.shape}')
        if not np.isfinite(values).all():
            raise ValueError(f'{name}: expected finite numbers, got {values}')
        return values.astype(feature.dtype)


def _check_names(what: str, given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if given.keys() != expected.keys():
        missing = sorted(expected.keys() - given.keys())
        unknown = sorted(given.keys() - expected.keys())
        raise ValueError(f"{what} of a row: missing {', '.join(missing) or 'none'}, unknown "
                         f"{', '.join(unknown) or 'none'}")


def recover(folder: Path) -> list[str]:
    """Finish an interrupted save, set an interrupted episode aside, and say so."""
    notes = []
    if (folder / _SAVING).is_dir():
        roll_forward(folder / _SAVING)
        notes.append('finished a save that was interrupted')
    if (folder / _RECORDING).is_dir():
        notes.append(f'an interrupted episode is set aside in {_set_aside(folder)}')
    return notes


def _set_aside(folder: Path) -> Path:
    """Move the episode that was recorded to a folder of its own."""
    aside = folder / INTERRUPTED
    aside.mkdir(exist_ok=True)
    place_ = aside / f'{sum(1 for _ in aside.iterdir()):03d}'
    (folder / _RECORDING).rename(place_)
    return place_


def _locked(folder: Path) -> Any:
    """Return the open lock file of a data set, which the kernel lets go when we die."""
    file = (folder / _LOCK).open('w')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ValueError(f'{folder}: somebody else records into this data set') from None
    return file


def _counts(folder: Path, spec: DatasetSpec) -> tuple[int, int]:
    """Return the episodes and rows of a data set, whose features must be those of ``spec``."""
    path = folder / INFO
    if not path.is_file():
        return 0, 0
    info, ours = json.loads(path.read_text()), json.loads(info_json(spec, 0, 0, 0))
    for key in ('codebase_version', 'fps', 'robot_type', 'features'):
        if info.get(key) != ours[key]:
            raise ValueError(f'{path}: expected {key} {ours[key]!r} to record into it, got '
                             f'{info.get(key)!r}; record into another folder and merge')
    return int(info['total_episodes']), int(info['total_frames'])


def _read_statistics(folder: Path) -> dict[str, Statistics]:
    path = folder / STATS
    if not path.is_file():
        return {}
    return {feature: {name: np.asarray(values) for name, values in found.items()}
            for feature, found in json.loads(path.read_text()).items()}


def _next_file(folder: Path) -> int:
    """Return a file number that no kind of file uses."""
    used = [int(path.parent.name.removeprefix('chunk-')) * CHUNK
            + int(path.stem.removeprefix('file-'))
            for kind in ('data', 'videos', 'meta/episodes')
            for path in (folder / kind).glob('**/file-*')]
    return max(used, default=-1) + 1
