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
One data set out of others: conversion from v2.1, merging, splitting, repair, corrections.

Numbers are copied exactly; the names of tasks and subtasks are joined and counted anew. A video is
cut out packet by packet, without a loss, where the new data set's videos are encoded alike and all
of an episode is taken; else its images are encoded anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
import tempfile
from typing import Any

import av
from faster_ros.data.dataset_folder import bag_place
from faster_ros.data.dataset_spec import DatasetSpec, EpisodeFacts, SOURCE, Source
from faster_ros.data.episode_evidence import JointFacts
from faster_ros.data.lerobot_dataset import EpisodeEntry, LeRobotDataset, video_frames
from faster_ros.data.lerobot_reader import SUBTASK, SUBTASKS
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.data.running_episode import EpisodeContent
from faster_ros.data.video_encoder import check_image, CODEC, EpisodeVideo, ImageStatistics
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Piece:
    """An episode, or the rows of it from ``first`` to before ``end``, told by their ``facts``."""

    entry: EpisodeEntry
    first: int
    end: int
    facts: EpisodeFacts

    @property
    def whole(self) -> bool:
        """Return whether it is all of the episode."""
        return self.end - self.first == self.entry.length


@dataclass(frozen=True)
class Selection:
    """Some episodes, or pieces of them, of a data set."""

    dataset: LeRobotDataset
    pieces: Sequence[Piece]


def _whole(entry: EpisodeEntry) -> Piece:
    return Piece(entry, 0, entry.length, entry.facts)


def everything(folder: Path) -> Selection:
    """Return all episodes of a data set."""
    dataset = LeRobotDataset(folder)
    return Selection(dataset, [_whole(entry) for entry in dataset.episodes])


def common_spec(selections: Sequence[Selection], robot: str = '') -> DatasetSpec:
    """Return the features of all data sets, which must be the same but for how videos are made."""
    specs = [selection.dataset.spec() for selection in selections]
    for selection, spec in zip(selections, specs):
        for what in ('fps', 'robot', 'numbers', 'cameras'):
            ours, theirs = getattr(specs[0], what), getattr(spec, what)
            if ours != theirs:
                raise ValueError(f'{selection.dataset.folder}: expected {what} {ours!r} as in '
                                 f'{selections[0].dataset.folder}, got {theirs!r}')
        if bool(spec.subtasks) != bool(specs[0].subtasks):
            unnamed = selections[0] if spec.subtasks else selection
            raise ValueError(f'{unnamed.dataset.folder / SUBTASKS}, which names the subtasks, is '
                             'missing or empty; the other data set has it')
    subtasks = dict.fromkeys(name for spec in specs for name in spec.subtasks)
    return replace(specs[0], robot=robot or specs[0].robot, subtasks=tuple(subtasks))


def write_dataset(folder: Path, selections: Sequence[Selection], spec: DatasetSpec,
                  joints: JointFacts | None = None) -> Iterable[str]:
    """Write the episodes of all selections to a new folder; say what becomes of each."""
    if (folder / 'meta').exists():
        raise ValueError(f'{folder}: a data set is there already')
    writer = LeRobotWriter(folder, spec, live=False, joints=joints)
    try:
        for selection in selections:
            for piece in selection.pieces:
                where = f'{selection.dataset.folder.name} episode {piece.entry.number}'
                if not piece.whole:
                    where += f' rows {piece.first} to {piece.end - 1}'
                try:
                    number = _append(writer, selection.dataset, piece)
                except ValueError as error:
                    yield f'{where}: left out: {error}'
                else:
                    yield f'{where} -> {number}'
    finally:
        writer.close()


def _append(writer: LeRobotWriter, dataset: LeRobotDataset, piece: Piece) -> int:
    entry, taken = piece.entry, slice(piece.first, piece.end)
    columns = dataset.columns(entry)
    tasks = dataset.row_tasks(entry, columns)[taken]
    rows = len(tasks)
    numbers = {name: columns[name][taken] for name in writer.spec.numbers}
    if writer.spec.subtasks:
        numbers[SUBTASK] = _renumbered(numbers[SUBTASK], dataset.subtasks, writer.spec.subtasks)
    with tempfile.TemporaryDirectory(dir=writer.folder) as working:
        videos, images = {}, {}
        for camera in writer.spec.cameras:
            path = Path(working) / f'{camera}.mp4'
            images[camera] = _video(writer.spec, dataset, piece, camera, path)
            videos[camera] = path
            if len(images[camera].changes) + 1 != rows:
                raise ValueError(f'{camera} has {len(images[camera].changes) + 1} frames and the '
                                 f'episode {rows} rows')
        content = EpisodeContent(piece.facts, numbers, tasks, images,
                                 entry.counted if piece.whole else {})
        raw = dataset.folder / bag_place(entry.number)
        return writer.append_episode(content, videos,
                                     raw if piece.whole and raw.is_dir() else None)


def _renumbered(indices: NDArray[Any], names: dict[int, str],
                subtasks: Sequence[str]) -> NDArray[Any]:
    """Return the places (N, 1) in ``subtasks`` of what is named; what is not becomes -1."""
    places = {index: subtasks.index(name) for index, name in names.items()}
    return np.array([[places.get(int(index), -1)] for index in indices.reshape(-1)])


def _video(spec: DatasetSpec, dataset: LeRobotDataset, piece: Piece, camera: str,
           path: Path) -> ImageStatistics:
    """Write the video of an episode; return what was seen in it."""
    entry = piece.entry
    if piece.whole and camera in dataset.video_columns and dataset.codec(camera) == CODEC:
        _cut_out(entry, camera, path, spec.fps)
        seen = ImageStatistics()
        for _, picture in video_frames(path):
            seen.add(picture)
        return seen
    video = EpisodeVideo(path, spec.fps, spec.cameras[camera], live=False)
    try:
        for picture in islice(dataset.images(entry, camera), piece.first, piece.end):
            check_image(camera, picture, spec.cameras[camera])
            video.add(picture)
        video.close()
    except BaseException:
        video.cancel()
        raise
    return video.statistics


def _cut_out(entry: EpisodeEntry, camera: str, path: Path, fps: int) -> None:
    """Copy the packets of an episode, which begin with a key frame, to a file of their own."""
    source, start = entry.videos[camera]
    try:
        with av.open(str(source)) as container, av.open(str(path), 'w') as target:
            stream = container.streams.video[0]
            copy = target.add_stream_from_template(stream)
            tick: Any = stream.time_base
            period = Fraction(1, fps) / tick
            first = round(start / tick)
            last = first + entry.length * period - period / 2
            container.seek(first, stream=stream)
            for packet in container.demux(stream):
                if packet.pts is None or packet.dts is None or packet.pts < first - period / 2:
                    continue
                if packet.pts >= last:
                    break
                packet.pts -= first
                packet.dts -= first
                packet.stream = copy
                target.mux(packet)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise ValueError(f'{source}: expected a video, {error}') from error


def parts(dataset: LeRobotDataset, shares: Sequence[float]) -> list[Selection]:
    """Return the episodes of a data set in as many parts, in order, by their shares."""
    if any(share <= 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f'expected positive shares that add up to 1, got {list(shares)}')
    count, borders, total = len(dataset.episodes), [0], 0.0
    for share in shares:
        total += share
        borders.append(round(total * count))
    found = [Selection(dataset, [_whole(entry) for entry in dataset.episodes[first:last]])
             for first, last in zip(borders, borders[1:])]
    if not all(part.pieces for part in found):
        raise ValueError(f'{count} episodes are too few for the shares {list(shares)}')
    return found


def corrections(folder: Path, shortest_s: float) -> Selection:
    """
    Return the parts of episodes in which a person took over from a policy, each as an episode.

    What comes after a person has handed back is the policy's again and is left out, and so are
    parts shorter than ``shortest_s``.
    """
    dataset = LeRobotDataset(folder)
    if SOURCE not in dataset.info.features:
        raise ValueError(f'{folder}: column {SOURCE}, which tells who led, is missing; '
                         'recorder_node writes it')
    shortest, pieces = shortest_s * dataset.info.fps, []
    for entry in dataset.episodes:
        led = dataset.columns(entry)[SOURCE].reshape(-1) == Source.INTERVENTION
        borders = np.flatnonzero(np.diff(led, prepend=False, append=False)).tolist()
        for first, end in zip(borders[::2], borders[1::2]):
            if end - first >= shortest:
                told = {'corrects': f'{folder.name} episode {entry.number} rows {first} to '
                                    f'{end - 1}'}
                pieces.append(Piece(entry, first, end, replace(
                    entry.facts, facts={**entry.facts.facts, **told})))
    if not pieces:
        raise ValueError(f'{folder}: no person took over from a policy for {shortest_s:g} s or '
                         'longer in any episode')
    return Selection(dataset, pieces)
