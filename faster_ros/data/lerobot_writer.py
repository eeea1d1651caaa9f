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

from collections.abc import Mapping, Sequence
from dataclasses import replace
import json
from pathlib import Path
import shutil
from typing import Any

from faster_ros.data.dataset_folder import (
    bag_place,
    counts,
    FACTS,
    free_bytes,
    link_or_copy,
    locked,
    next_aside,
    next_file,
    RAW,
    read_statistics,
    RECORDING,
    recover,
    SAVING,
    set_aside,
)
from faster_ros.data.dataset_spec import (
    DatasetFrame,
    DatasetSpec,
    EpisodeFacts,
    TICK,
)
from faster_ros.data.durable import roll_forward, seal
from faster_ros.data.episode_checks import (
    check_episode,
    EpisodeReport,
)
from faster_ros.data.episode_evidence import EpisodeEvidence, JointFacts
from faster_ros.data.feature_statistics import of_images, of_rows, together
from faster_ros.data.lerobot_format import (
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
    texts_parquet,
    VIDEO,
)
from faster_ros.data.lerobot_reader import read_tasks, SUBTASKS
from faster_ros.data.running_episode import (
    EpisodeContent,
    RecordingFailed,
    RecordingStatus,
    RunningEpisode,
    video_name,
)
import numpy as np
from numpy.typing import NDArray

_MIN_FREE_BYTES = 2**30


class DiskSpaceError(OSError):
    """Too little is left on the disk to go on; what is recorded so far can still be saved."""


class EpisodeRefused(ValueError):
    """The truth checks refuse the episode; ``report`` says why. It can still be saved or not."""

    def __init__(self, report: EpisodeReport) -> None:
        super().__init__('the episode is refused: ' + '; '.join(
            finding.message for finding in report.findings if finding.refuses))
        self.report = report


class LeRobotWriter:
    """Appends episodes to the data set in a folder; one writer at a time, one thread."""

    def __init__(self, folder: Path, spec: DatasetSpec,
                 min_free_bytes: int = _MIN_FREE_BYTES, live: bool = True,
                 joints: JointFacts | None = None) -> None:
        """
        Make the data set, or open it; then its features must be those of ``spec``.

        While it is ``live``, images that the encoders are too slow for are dropped and counted;
        else ``add_frame`` waits. ``joints``: the robot's limits, for the truth checks.
        """
        self.folder, self.spec, self._live, self._joints = folder, spec, live, joints
        self._min_free_bytes = min_free_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = locked(folder)
        # What was put right when the folder was opened or an episode began, or is left to be.
        self.notes: tuple[str, ...] = tuple(recover(folder))
        self.episodes, self._rows = counts(folder, spec)
        self._file = next_file(folder)
        self._tasks = list(read_tasks(folder).values())
        self._statistics = read_statistics(folder)
        self._episode: RunningEpisode | None = None

    def begin_episode(self, facts: EpisodeFacts) -> Path:
        """
        Start an episode; return its folder, in which a raw bag may be written as ``raw``.

        Raises DiskSpaceError where too little is left. After an error no episode runs.
        """
        self._check_disk()
        folder = self._working_folder()
        try:
            # An episode that is interrupted says what it was to be; a whole one has this in meta.
            (folder / FACTS).write_text(json.dumps({'task': facts.task, **facts.facts}))
            self._episode = RunningEpisode(folder, self.spec, facts, self._live)
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
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
        return self._running().status(free_bytes(self.folder))

    def check_episode(self) -> EpisodeReport:
        """End the running episode and judge it; then it can only be saved or discarded."""
        return self._report(self._finished())

    def save_episode(self, outcome: str = '', gate: bool = False,
                     counted: Mapping[str, float] | None = None) -> int:
        """
        Make the running episode part of the data set, on disk; return its number.

        ``counted``: what whoever heard the streams counted, as in EpisodeEvidence.

        With ``gate``, EpisodeRefused is raised for one that the truth checks refuse, and it can be
        saved without or discarded. Raises RecordingFailed where it cannot be saved at all.
        """
        content = self._finished()
        content = replace(content, counted={**content.counted, **(counted or {})})
        if outcome:
            content = replace(content, facts=replace(content.facts, outcome=outcome))
        report = self._report(content)
        if gate and report.refused:
            raise EpisodeRefused(report)
        number = self._commit(content, report)
        self._episode = None
        try:
            roll_forward(self.folder / SAVING)
            self.notes = ()
        except OSError as error:
            self.notes = (f'episode {number} is saved, but its files are not in their places: '
                          f'{error}; that is tried again when the next episode begins',)
        return number

    def append_episode(self, content: EpisodeContent, videos: Mapping[str, Path],
                       raw: Path | None = None) -> int:
        """
        Append an episode that exists already.

        ``videos``, with a frame for each row, are moved; the folder of a ``raw`` bag is not.
        """
        folder = self._working_folder()
        try:
            for name, path in videos.items():
                shutil.move(path, folder / video_name(name))
            if raw is not None:
                shutil.copytree(raw, folder / RAW, copy_function=link_or_copy)
            number = self._commit(content, self._report(content))
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        roll_forward(self.folder / SAVING)
        return number

    def discard_episode(self, keep: bool = False) -> Path | None:
        """
        Forget the running episode; or keep its files, return where, and do not count it.

        A disk that refuses either is no error: what stays in the working folder is set aside when
        the next episode begins.
        """
        episode = self._running()
        self._episode = None
        episode.cancel()
        if not keep:
            shutil.rmtree(episode.folder, ignore_errors=True)
            return None
        try:
            return set_aside(self.folder)
        except OSError:
            return episode.folder

    def save_aside(self, outcome: str = '', counted: Mapping[str, float] | None = None) -> Path:
        """
        Save the running episode as a data set of its own, beside those interrupted; return where.

        ``counted``: as of ``save_episode``. Raises OSError or ValueError where that fails; it can
        then only be discarded.
        """
        self._finished()
        folder = next_aside(self.folder)
        writer = LeRobotWriter(folder, self.spec, joints=self._joints)
        try:
            shutil.copy(self.folder / RECORDING / FACTS, folder)
            (self.folder / RECORDING).rename(folder / RECORDING)
            writer._episode, self._episode = self._episode, None
            writer.save_episode(outcome, counted=counted)
        finally:
            writer.close()
        return folder

    def close(self) -> None:
        """Set a running episode aside and let others write."""
        if self._episode is not None:
            self.discard_episode(keep=True)
        self._lock.close()

    def _running(self) -> RunningEpisode:
        if self._episode is None:
            raise ValueError('no episode runs; begin one first')
        return self._episode

    def _working_folder(self) -> Path:
        """Return a fresh working folder, after clearing up what a failing disk has left."""
        if self._episode is not None:
            raise ValueError('an episode runs already; save or discard it first')
        self.notes = tuple(recover(self.folder))
        folder = self.folder / RECORDING
        folder.mkdir()
        return folder

    def _check_disk(self) -> None:
        free = free_bytes(self.folder)
        if free < self._min_free_bytes:
            raise DiskSpaceError(f'{self.folder}: {free / 1e9:.2f} GB are left on the disk, less '
                                 f'than {self._min_free_bytes / 1e9:.2f} GB')

    def _finished(self) -> EpisodeContent:
        episode = self._running()
        if not episode.rows:
            raise ValueError('the episode has no rows; discard it')
        try:
            return episode.finish()
        except Exception as error:  # whatever an encoder has failed with
            raise RecordingFailed(f'{self.folder}: the episode cannot be saved: {error}'
                                  ) from error

    def _report(self, content: EpisodeContent) -> EpisodeReport:
        return check_episode(EpisodeEvidence(
            self.spec.fps, content.numbers,
            {name: item.names for name, item in self.spec.numbers.items()},
            {name: seen.changes for name, seen in content.images.items()}, content.counted,
            self._joints))

    def _commit(self, content: EpisodeContent, report: EpisodeReport) -> int:
        """Make the episode count; ``roll_forward`` is left to be done."""
        try:
            moves = self._prepare(content, report)
            seal(self.folder / RECORDING, self.folder / SAVING, moves)
        except OSError as error:
            raise RecordingFailed(f'{self.folder}: the episode cannot be saved: {error}'
                                  ) from error
        self.episodes, self._rows, self._tasks, self._statistics = self._next
        self._file += 1
        return self.episodes - 1

    def _prepare(self, content: EpisodeContent, report: EpisodeReport) -> list[tuple[str, str]]:
        """Write all files of the episode; return where they go, in order."""
        working, file = self.folder / RECORDING, self._file
        tasks = list(dict.fromkeys([*self._tasks, *content.row_tasks]))
        columns = {**content.numbers, **self._index_columns(content, tasks)}
        found = {name: of_rows(values) for name, values in columns.items()
                 if not name.startswith(TICK)}
        found |= {name: of_images(seen.histogram, seen.images)
                  for name, seen in content.images.items()}
        statistics = {name: together([self._statistics[name], own])
                      if name in self._statistics else own for name, own in found.items()}
        rows = self._rows + content.rows
        contents = {
            place(DATA, file): rows_parquet(self.spec, columns),
            TASKS: texts_parquet(tasks),
            place(EPISODES, file): episode_parquet(
                (self.episodes, file, self._rows), content, self.spec, found, report.to_json()),
            STATS: stats_json(statistics),
            INFO: info_json(self.spec, self.episodes + 1, rows, len(tasks)),
        }
        if self.spec.subtasks:
            contents[SUBTASKS] = texts_parquet(self.spec.subtasks, 'subtask')
        moves = [(video_name(name), place(VIDEO, file, name)) for name in self.spec.cameras]
        if (working / RAW).exists():
            moves.append((RAW, bag_place(self.episodes)))
        for number, (target, written) in enumerate(contents.items()):
            name = f'{number}{Path(target).suffix}'
            (working / name).write_bytes(written)
            moves.append((name, target))
        self._next = self.episodes + 1, rows, tasks, statistics
        return moves

    def _index_columns(self, content: EpisodeContent, tasks: Sequence[str]
                       ) -> dict[str, NDArray[Any]]:
        """Return the columns that LeRobot wants in every row."""
        frames = np.arange(content.rows).reshape(-1, 1)
        places = {task: index for index, task in enumerate(tasks)}
        return {
            'timestamp': (frames / self.spec.fps).astype(np.float32), 'frame_index': frames,
            'episode_index': np.full_like(frames, self.episodes), 'index': self._rows + frames,
            'task_index': np.array([[places[task]] for task in content.row_tasks])}
