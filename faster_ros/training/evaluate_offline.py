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
``faster_ros eval offline``: a checkpoint beside a recording, open loop.

At points of the recorded episodes the policy sees what the recorder saw; its chunk is compared
with what was commanded then. Beside the policy stand its tokenizer, which only encodes and decodes
the recorded chunk, and holding still: the one is the floor of the error, the other its scale.
A gripper that is told open or closed is judged by what it learns, the decision, not by the ramp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from faster_ros.data.dataset_spec import ACTION, IMAGES, STATE
from faster_ros.data.lerobot_dataset import EpisodeEntry, LeRobotDataset
from faster_ros.data.recorded_episodes import sampled
from faster_ros.evaluation.chunk_metrics import group_errors
from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.policy.checkpoint import FASTerPolicy, load_policy
from faster_ros.policy.compatibility import read_config
from faster_ros.robot_spec import RobotSpec
from faster_ros.training.robot_rows import decided
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

PREDICTED, CODED, STILL = 'policy', 'tokenizer alone', 'holding still'


@dataclass(frozen=True)
class Point:
    """One observation of a recording and what was commanded from then on, (H, D)."""

    episode: int
    seconds: float
    images: dict[str, ImageArray]
    positions: FloatArray
    instruction: str
    recorded: FloatArray


@dataclass(frozen=True)
class Answer:
    """What came out at a point: chunks (H, D) by subject, and which codes (K, T) were right."""

    point: Point
    chunks: dict[str, FloatArray]
    right: NDArray[np.bool_]


def evaluate_offline(checkpoint: Path, folder: Path, episodes: Sequence[int],
                     every_s: float) -> tuple[dict[str, Any], list[Answer]]:
    """Return the figures, and the answers, of a checkpoint on episodes of a LeRobotDataset."""
    spec = RobotSpec.from_dict(read_config(checkpoint)['robot'], f'{checkpoint}/config.json')
    policy = load_policy(checkpoint, spec)
    dataset = LeRobotDataset(folder)
    entries = _chosen(dataset, episodes)
    columns = _Columns(dataset, policy)
    answers = [_answer(policy, point) for entry in tqdm(entries, unit='episode')
               for point in columns.points(entry, every_s)]
    if not answers:
        raise ValueError(f'{folder}: no episode is as long as a chunk, '
                         f'{policy.action_horizon * policy.parts.step_s:g} s')
    figures = {'checkpoint': str(checkpoint), 'recording': str(folder), 'robot': spec.robot,
               'names': list(spec.action_names),
               'episodes': [entry.number for entry in entries], 'points': len(answers),
               **summarise(answers, _groups(spec), policy.parts.model.config.block_size)}
    return figures, answers


def summarise(answers: Sequence[Answer], groups: Mapping[str, Sequence[int]],
              block_size: int) -> dict[str, Any]:
    """Return errors in rad and m by subject and group, by time, and the accuracy of each block."""
    recorded = np.stack([answer.point.recorded for answer in answers])
    chunks = {name: np.stack([answer.chunks[name] for answer in answers])
              for name in (PREDICTED, CODED, STILL)}
    right = np.stack([answer.right.reshape(-1, block_size) for answer in answers])
    return {
        'error': {name: group_errors(found, recorded, groups) for name, found in chunks.items()},
        'error_by_step': {group: {
            name: np.abs(found - recorded)[..., list(columns)].mean((0, 2)).tolist()
            for name, found in chunks.items()} for group, columns in groups.items()},
        'block_accuracy': right.mean((0, 2)).tolist()}


def _answer(policy: FASTerPolicy, point: Point) -> Answer:
    seen = (point.images, point.positions, point.instruction)
    codes, coded = policy.codes_of(point.recorded, point.positions)
    still = np.tile(policy.hold(point.positions), (len(point.recorded), 1))
    return Answer(point, {PREDICTED: policy.act(*seen), CODED: coded, STILL: still},
                  (policy.codes(*seen) == codes).cpu().numpy())


def _groups(spec: RobotSpec) -> dict[str, list[int]]:
    joints = len(spec.joint_names)
    grippers = list(spec.gripper_indices)
    groups = {'arm (rad)': [column for column in range(joints) if column not in grippers],
              'gripper (m)': grippers, 'base': list(range(joints, len(spec.action_names)))}
    return {name: columns for name, columns in groups.items() if columns}


def _chosen(dataset: LeRobotDataset, numbers: Sequence[int]) -> list[EpisodeEntry]:
    known = {entry.number: entry for entry in dataset.episodes}
    missing = [str(number) for number in numbers if number not in known]
    if missing:
        raise ValueError(f"{dataset.folder} has no episode {', '.join(missing)}; it has "
                         f'{len(known)}, from 0')
    return [known[number] for number in numbers] if numbers else list(known.values())


class _Columns:
    """Where a data set has what a policy needs; what is missing is an error that names it."""

    def __init__(self, dataset: LeRobotDataset, policy: FASTerPolicy) -> None:
        self._dataset = dataset
        self._policy = policy
        robot = policy.parts.robot
        self._state = self._places(STATE, robot.joint_names)
        self._action = self._places(ACTION, robot.action_names)
        missing = [name for name in policy.cameras if IMAGES + name not in dataset.cameras]
        if missing:
            raise ValueError(f"{dataset.folder}: the policy needs {', '.join(missing)}; expected "
                             f"columns {IMAGES}NAME, got {', '.join(dataset.cameras) or 'none'}")

    def _places(self, column: str, names: Sequence[str]) -> list[int]:
        features = self._dataset.info.features
        given = list((features.get(column) or {}).get('names') or [])
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(f"{self._dataset.folder}: {column} needs {', '.join(missing)} by "
                             f"name, got {', '.join(map(str, given)) or 'none'}")
        return [given.index(name) for name in names]

    def points(self, entry: EpisodeEntry, every_s: float) -> Iterator[Point]:
        """Yield the points of an episode at which a whole chunk lies ahead."""
        dataset, policy = self._dataset, self._policy
        rows = dataset.columns(entry)
        tasks = dataset.row_tasks(entry, rows)
        states = np.asarray(rows[STATE], float)[:, self._state]
        actions = decided(np.asarray(rows[ACTION], float)[:, self._action], policy.parts.robot)
        times = np.arange(len(states)) / dataset.info.fps
        ahead = policy.parts.step_s * np.arange(policy.action_horizon)
        names = policy.parts.robot.action_names
        frames = zip(*(dataset.images(entry, IMAGES + name) for name in policy.cameras))
        due = 0.0
        for row, pictures in enumerate(frames):
            if times[row] + ahead[-1] > times[-1]:
                return
            if times[row] < due - 1e-9:
                continue
            due = times[row] + every_s
            yield Point(entry.number, float(times[row]), dict(zip(policy.cameras, pictures)),
                        states[row], tasks[row],
                        sampled(times, actions, names, times[row] + ahead))


def write(out: Path, figures: dict[str, Any], answers: Sequence[Answer]) -> Path:
    """Write summary.json and report.html; return the report's path."""
    from faster_ros.training.offline_page import render

    out.mkdir(parents=True, exist_ok=True)
    (out / 'summary.json').write_text(json.dumps(figures, indent=2) + '\n')
    path = out / 'report.html'
    path.write_text(render(figures, answers), encoding='utf-8')
    return path
