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
A LeRobotDataset as a policy is trained on it: every row with its images, joints and chunk.

Videos are decoded once, see ``image_cache.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faster_ros.data.dataset_spec import ACTION, IMAGES, STATE
from faster_ros.data.lerobot_dataset import EpisodeEntry, LeRobotDataset
from faster_ros.data.lerobot_reader import frame_fault
from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.policy.embodiment import Embodiment
from faster_ros.robot_parts import CLOSE_BELOW, OPEN_ABOVE
from faster_ros.robot_spec import RobotSpec
from faster_ros.training.image_cache import decoded_images
import numpy as np
from numpy.typing import NDArray

_CORRECTS = 'corrects'  # fact of an episode that ``faster_ros data corrections`` cut out
_CREEP, _CREEP_ROWS = 0.2, 3  # see _begin_of_ramp


@dataclass
class RobotRows:
    """
    N rows of E episodes.

    ``images``: uint8 (N, cameras, height, width, 3), on disk; ``positions``, ``actions``: (N, D);
    ``tasks``: N texts; ``episode``: (N,) increasing numbers; ``notes``: which were left out;
    ``subtasks``: N texts, where they were asked for.
    """

    images: ImageArray
    positions: FloatArray
    actions: FloatArray
    tasks: list[str]
    episode: NDArray[np.int64]
    step_s: float
    notes: list[str]
    subtasks: list[str] | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def chunks(self, horizon: int, stride: int = 1) -> FloatArray:
        """
        Return the actions (N, H, D) from each row on, every ``stride``-th.

        An episode's last is repeated.
        """
        last = np.searchsorted(self.episode, self.episode, side='right') - 1
        index = np.minimum(np.arange(len(self))[:, None] + stride * np.arange(horizon),
                           last[:, None])
        chunks: FloatArray = self.actions[index]
        return chunks


def gripper_decisions(positions: FloatArray, closed: float, open_: float) -> FloatArray:
    """
    Return what each row (T,) of a recorded gripper is on the way to: its closed or its open end.

    What was sent is a ramp, which passes the middle well after the decision. A policy whose chunks
    are replaced before that would put the decision off for ever, so a ramp that leads to the other
    end counts as there from the last row before it begins. Between the ends the last one stays.
    """
    shares = (positions - closed) / (open_ - closed)
    is_open = np.empty(len(shares), bool)
    last = bool(shares[0] >= 0.5)
    for row, share in enumerate(shares):
        if last != (share > OPEN_ABOVE if not last else share >= CLOSE_BELOW):
            last = not last
            is_open[_begin_of_ramp(np.abs(shares - float(last)), row):row] = last
        is_open[row] = last
    return np.where(is_open, open_, closed)


def decided(actions: FloatArray, spec: Embodiment) -> FloatArray:
    """Return the actions (T, D) of an episode with decisions for what is told open or closed."""
    decisions = actions.copy()
    if isinstance(spec, RobotSpec):
        for place, gripper in zip(spec.gripper_indices, spec.grippers):
            if gripper.binary:
                decisions[:, place] = gripper_decisions(actions[:, place], gripper.closed,
                                                        gripper.open)
    return decisions


def _begin_of_ramp(gaps: FloatArray, row: int) -> int:
    """
    Return after which row gaps (T,) shrink up to ``row``; one row may repeat another.

    What crept before it, for over ``_CREEP_ROWS`` rows by less than ``_CREEP`` of its fastest
    step each, is a handle that is not quite still: no decision. Fewer such rows are its soft
    start or a moment's pause.
    """
    fastest, quick = 0.0, row
    while row > 0 and quick - row <= _CREEP_ROWS:
        before = row - 2 if row > 1 and gaps[row] == gaps[row - 1] else row - 1
        step = gaps[before] - gaps[row]
        if step <= 0:
            return row
        fastest, row = max(fastest, step), before
        if step > _CREEP * fastest:
            quick = row
    return row if quick - row <= _CREEP_ROWS else quick


def read_robot_rows(folder: Path, spec: Embodiment, size: tuple[int, int], cache: Path,
                    by_order: bool = False, failed_episodes: bool = False,
                    subtasks: bool = False) -> RobotRows:
    """
    Read a data set for a robot; images become ``size`` (width, height), kept in ``cache``.

    The actions of a gripper that is told open or closed become that (``gripper_decisions``).
    Episodes that were marked as failures are left out unless ``failed_episodes``.
    A missing camera, images of another aspect, other columns, fewer than two usable episodes, or
    a row without its subtask where ``subtasks`` are asked for, are a ValueError.
    """
    dataset = LeRobotDataset(folder)
    if subtasks:
        dataset.check_subtasks()
    _check_columns(dataset, spec, by_order)
    _check_aspect(dataset, spec, size)
    entries, notes = ((dataset.episodes, []) if failed_episodes
                      else _without_failures(dataset.episodes))
    parts, kept = [], []
    for entry in entries:
        columns = dataset.columns(entry)
        fault = _fault(columns, dataset.info.fps)
        if fault:
            notes.append(f'episode {entry.number} is left out: {fault}')
            continue
        parts.append((columns[STATE].astype(float),
                      decided(columns[ACTION].astype(float), spec),
                      dataset.row_tasks(entry, columns),
                      dataset.row_subtasks(entry, columns) if subtasks else []))
        kept.append(entry)
    if len(kept) < 2:
        raise ValueError(f'{folder}: expected at least 2 usable episodes, one to train and one '
                         f"to validate on, got {len(kept)} ({'; '.join(notes[:3])})")
    positions, targets, tasks, steps = zip(*parts)
    lengths = [len(rows) for rows in positions]
    images = decoded_images(dataset, kept, lengths, list(spec.cameras), size, cache)
    return RobotRows(images, np.concatenate(positions), np.concatenate(targets),
                     [task for episode in tasks for task in episode],
                     np.repeat(np.arange(len(kept)), lengths),
                     1 / dataset.info.fps, notes,
                     [step for episode in steps for step in episode] if subtasks else None)


def _without_failures(entries: list[EpisodeEntry]) -> tuple[list[EpisodeEntry], list[str]]:
    """
    Return the episodes that did not fail, and a note of the others.

    A correction keeps the outcome of the episode it was cut from, which says nothing about it.
    """
    failed = {entry.number: entry for entry in entries
              if entry.facts.outcome == 'failure' and _CORRECTS not in entry.facts.facts}
    if not failed:
        return entries, []
    return ([entry for entry in entries if entry.number not in failed],
            [f'{len(failed)} of {len(entries)} episodes are left out, marked as failures '
             f"(failed_episodes: true takes them): {', '.join(map(str, failed))}"])


def _check_columns(dataset: LeRobotDataset, spec: Embodiment, by_order: bool) -> None:
    missing = [name for name in spec.cameras if f'{IMAGES}{name}' not in dataset.cameras]
    if missing:
        raise ValueError(f"{dataset.folder}: camera {', '.join(missing)} of robot "
                         f"'{spec.robot}' is missing; it has "
                         f"{', '.join(dataset.cameras) or 'no cameras'}")
    if spec.base is not None:
        raise ValueError(f"robot '{spec.robot}' has a mobile base; training takes arms only")
    numbers = dataset.spec().numbers
    for column in (STATE, ACTION):
        if column not in numbers:
            raise ValueError(f'{dataset.folder}: column {column} is missing')
        found = numbers[column]
        if found.shape != (len(spec.joint_names),):
            raise ValueError(f'{dataset.folder}: {column} has shape {found.shape}; robot '
                             f"'{spec.robot}' has {len(spec.joint_names)} joints: "
                             f"{', '.join(spec.joint_names)}")
        if found.names != spec.joint_names and not by_order:
            raise ValueError(
                f"{dataset.folder}: the columns of {column} are called {', '.join(found.names)}; "
                f"expected {', '.join(spec.joint_names)} (by_order: true takes them in order)")


def _check_aspect(dataset: LeRobotDataset, spec: Embodiment, size: tuple[int, int]) -> None:
    for name in spec.cameras:
        height, width = dataset.image_size(f'{IMAGES}{name}')
        if width * size[1] != height * size[0]:
            raise ValueError(f'{dataset.folder}: images of camera {name} have {width} x {height} '
                             f'pixels; image_width x image_height of the recipe is {size[0]} x '
                             f'{size[1]}, expected the same aspect, such as {width} x {height}')


def _fault(columns: dict[str, NDArray[np.float64]], fps: float) -> str:
    """Return why an episode cannot be used, or ''."""
    for column in (STATE, ACTION):
        broken = np.argwhere(~np.isfinite(columns[column].astype(float)))
        if len(broken):
            row, place = broken[0]
            return f'{column}[{place}] is {columns[column][row, place]} in row {row}'
    return frame_fault(columns['frame_index'].reshape(-1), columns['timestamp'].reshape(-1), fps)
