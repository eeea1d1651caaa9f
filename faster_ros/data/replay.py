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
ReplayPlan: a recorded episode as targets in time, after a slow way from where the arm is.

Called by replay_node, which sends it as chunks, so that everything a policy's chunks have to pass
stands between a recording and the arm.
"""

from __future__ import annotations

from pathlib import Path

from faster_ros.data.dataset_spec import ACTION
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.robot_spec import RobotSpec
import numpy as np

_APPROACH_SHARE = 0.2  # of the velocities that the package uses, at most, on the way to the start
_SHORTEST_APPROACH_S = 1.0


def recorded_actions(folder: Path, episode: int, spec: RobotSpec) -> tuple[FloatArray, float]:
    """
    Return the actions (N, D) of an episode and their rate in Hz.

    They must be of this robot, with its columns by name.
    """
    dataset = LeRobotDataset(folder)
    if dataset.info.robot != spec.robot:
        raise ValueError(f'{folder}: recorded with {dataset.info.robot}, expected {spec.robot}')
    names = dataset.spec().numbers[ACTION].names
    if names != spec.action_names:
        raise ValueError(f'{folder}: expected the actions {spec.action_names}, got {names}')
    found = [entry for entry in dataset.episodes if entry.number == episode]
    if not found:
        raise ValueError(f'{folder}: expected an episode from 0 to {len(dataset.episodes) - 1}, '
                         f'got {episode}')
    return dataset.columns(found[0])[ACTION].astype(float), dataset.info.fps


class ReplayPlan:
    """Where the arm shall be at each time, from a pose and a time on."""

    def __init__(self, spec: RobotSpec, recorded: tuple[FloatArray, float], speed: float,
                 start_ns: int, positions: FloatArray) -> None:
        """Take ``recorded_actions``, and the ``positions`` that are measured at ``start_ns``."""
        actions, rate_hz = recorded
        joints = len(spec.joint_names)
        self._spec, self._start_ns, self._speed, self._joints = spec, start_ns, speed, joints
        self._from, self._actions = positions, actions
        self._times = np.arange(len(actions)) / (rate_hz * speed)
        fastest = spec.limit_array('velocity') * spec.velocity_scale * _APPROACH_SHARE
        # The cosine below is at most pi / 2 times as fast as its mean.
        way = np.abs(actions[0, :joints] - positions) / fastest * (np.pi / 2)
        self.approach_s = max(_SHORTEST_APPROACH_S, float(way.max()))

    @property
    def seconds(self) -> float:
        """Return how long it takes, the way to its start included."""
        return self.approach_s + float(self._times[-1])

    def chunk(self, stamp_ns: int, step_ns: int, horizon: int) -> ActionChunk:
        """Return the targets from a time on; after the end the arm stays."""
        times = (stamp_ns - self._start_ns + step_ns * np.arange(horizon)) / 1e9
        return ActionChunk(stamp_ns, step_ns, np.stack([self._row(time) for time in times]),
                           self._spec.action_names)

    def _row(self, time_s: float) -> FloatArray:
        late = time_s - self.approach_s
        row = np.array([np.interp(late, self._times, column) for column in self._actions.T])
        last = int(np.clip(np.searchsorted(self._times, late + 1e-9, side='right') - 1, 0, None))
        for gripper in self._spec.gripper_indices:  # half open was never asked
            row[gripper] = self._actions[last, gripper]
        row[self._joints:] *= self._speed * (0 <= late <= self._times[-1])  # velocities of a base
        if late < 0:
            share = 0.5 - 0.5 * np.cos(np.pi * max(time_s, 0.0) / self.approach_s)
            row[:self._joints] = self._from + share * (row[:self._joints] - self._from)
        return row
