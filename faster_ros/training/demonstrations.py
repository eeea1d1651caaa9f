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
"""Labelled steps of the demo task in memory, collected by several processes, kept as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.pick_episodes import Act, PickCollector, PickSettings
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

_EPISODES_PER_JOB = 10


@dataclass
class Demonstrations:
    """
    N labelled steps.

    ``images``: uint8 (N, cameras, height, width, 3); ``positions``: (N, D); ``actions``: expert
    chunks (N, H, D); ``commanded``: (N, D), the target due at the step, whoever led the arm;
    ``instructions``: (N,) texts; ``episodes``: (N,) seeds.
    """

    images: ImageArray
    positions: FloatArray
    actions: FloatArray
    commanded: FloatArray
    instructions: NDArray[np.str_]
    episodes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)

    def continued(self, delays: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.int64]]:
        """
        Return chunks (N, H, D) for an arm that goes on for ``delays`` (N,) steps as it did.

        They begin with what was commanded in that time, whether it was right or wrong; then
        comes what the expert would do from where that led. With them the delays, shortened to
        what is left of each episode.
        """
        here = np.arange(len(self))
        ends = np.searchsorted(self.episodes, self.episodes, side='right')
        if (np.diff(self.episodes) < 0).any():
            raise ValueError('episodes must be in the order of their seeds')
        delays = np.minimum(delays, ends - 1 - here)
        chunks = self.actions.copy()
        for delay in np.unique(delays[delays > 0]):
            some = np.flatnonzero(delays == delay)
            chunks[some, delay + 1:] = self.actions[some + delay, 1:chunks.shape[1] - delay]
            for row in range(delay + 1):
                chunks[some, row] = self.commanded[some + row]
        return chunks, delays

    @staticmethod
    def concatenate(parts: list[Demonstrations]) -> Demonstrations:
        """Join several sets in their order."""
        return Demonstrations(*(np.concatenate([getattr(part, field.name) for part in parts])
                                for field in fields(Demonstrations)))

    def save(self, folder: Path) -> None:
        """Write one .npy file per array."""
        folder.mkdir(parents=True, exist_ok=True)
        for field in fields(Demonstrations):
            np.save(folder / f'{field.name}.npy', getattr(self, field.name))

    @staticmethod
    def load(folder: Path) -> Demonstrations:
        """Read what ``save`` wrote."""
        return Demonstrations(*(np.load(folder / f'{field.name}.npy', allow_pickle=False)
                                for field in fields(Demonstrations)))


def collect(spec: RobotSpec, settings: PickSettings, seeds: range, title: str,
            checkpoint: Path | None = None, workers: int = 2) -> Demonstrations:
    """
    Collect one episode per seed, shown by a progress bar.

    With a ``checkpoint`` its policy leads the arm and the expert only labels (DAgger).
    """
    starts = range(seeds.start, seeds.stop, _EPISODES_PER_JOB)
    jobs = [(spec, settings, range(start, min(start + _EPISODES_PER_JOB, seeds.stop)), checkpoint)
            for start in starts]
    parts = []
    with get_context('spawn').Pool(workers) as pool, \
            tqdm(total=len(seeds), desc=title, unit='episode') as bar:
        for (_, _, done, _), part in zip(jobs, pool.imap(_collect_job, jobs)):
            parts.append(part)
            bar.update(len(done))
    return Demonstrations.concatenate(parts)


_STATE: dict[Any, Any] = {}  # one collector and policy per worker process


def _collect_job(job: tuple[RobotSpec, PickSettings, range, Path | None]) -> Demonstrations:
    spec, settings, seeds, checkpoint = job
    if 'collector' not in _STATE:
        _STATE['collector'] = PickCollector(spec, settings)
        _STATE['act'] = _policy_act(checkpoint, spec) if checkpoint else None
    rows = [(step.images, step.positions, step.actions, step.commanded, step.instruction, seed)
            for seed in seeds for step in _STATE['collector'].episode(seed, _STATE['act'])]
    images, positions, actions, commanded, instructions, episodes = zip(*rows)
    return Demonstrations(np.stack(images), np.stack(positions), np.stack(actions),
                          np.stack(commanded), np.array(instructions), np.array(episodes))


def _policy_act(checkpoint: Path, spec: RobotSpec) -> Act:
    from faster_ros.policy.checkpoint import load_policy
    import torch

    torch.set_num_threads(1)
    return load_policy(checkpoint, spec).act


def batches(count: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield index batches for ever, each pass over ``count`` rows in a new order."""
    while True:
        order = rng.permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start:start + size]
