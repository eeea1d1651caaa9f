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
Recorded actions for fitting tokenizers, from any reader, checked before use.

Nothing is repaired but the signs of quaternions, which say nothing: what cannot be used is left
out by episode, with a reason, or is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from faster_ros.data.bag_reader import bags_in, read_bags
from faster_ros.data.column_groups import groups_of, rotations_of
from faster_ros.data.lerobot_reader import is_lerobot, read_info, read_lerobot
from faster_ros.data.normalisation import full_range_columns, Normaliser, QUANTILE
from faster_ros.data.npz_reader import read_npz
from faster_ros.data.recorded_episodes import (
    at_rate,
    Episode,
    is_gripper,
    RecordedEpisodes,
    SAME_RATE,
)
from faster_ros.data.rotations import steady_signs
from faster_ros.data.value_faults import wide_notes, with_faults
from faster_ros.interfaces import FloatArray
import numpy as np

_SMALLEST_RANGE = 1e-6


@dataclass(frozen=True)
class Exclusion:
    """An episode that is not used: ``episode`` counts from 0 over all, ``where`` names it."""

    episode: int
    reason: str
    where: str = ''


@dataclass(frozen=True)
class Reading:
    """
    What to read where there is a choice, and how much is enough.

    ``rate_hz``: the rate that episodes are resampled to, None for that of the recording;
    ``feature``: of a LeRobotDataset; ``topics``: of bags, empty where there is only one.
    ``rows``: those of a chunk where a tokenizer has fixed them, whatever the rate. ``episodes``:
    the fewest that will do; a fit takes two, one to fit and one to test on.
    """

    rate_hz: float | None = None
    feature: str = 'action'
    topics: tuple[str, ...] = ()
    rows: int | None = None
    episodes: int = 2


@dataclass(frozen=True)
class Recording:
    """
    ``episodes``: (rows, D) each, all finite; ``excluded``: what was left out and why.

    ``source``: the feature or the topics that were read, where there was a choice; ``robot``: the
    name that LeRobotDatasets give it.
    """

    episodes: list[FloatArray]
    names: list[str]
    rate_hz: float
    excluded: list[Exclusion]
    notes: list[str]
    source: str = ''
    robot: str = ''

    @property
    def rows(self) -> int:
        """Return the time steps of all episodes."""
        return sum(len(episode) for episode in self.episodes)

    @property
    def numbers(self) -> list[int]:
        """Return which of all episodes, counted from 0, are used."""
        left_out = {item.episode for item in self.excluded}
        every = range(len(self.episodes) + len(left_out))
        return [number for number in every if number not in left_out]

    @property
    def grippers(self) -> list[int]:
        """Return the columns that are named after a gripper."""
        return [column for column, name in enumerate(self.names) if is_gripper(name)]

    @property
    def binary(self) -> list[int]:
        """Return the columns that open and close: grippers, and those with two values only."""
        rows = np.concatenate(self.episodes)
        low, high = rows.min(0), rows.max(0)
        two = ((rows == low) | (rows == high)).all(0) & (low < high)
        return sorted({*self.grippers, *np.flatnonzero(two).tolist()})

    @property
    def groups(self) -> dict[str, list[int]]:
        """Return the physical groups that the names of the columns tell apart."""
        return groups_of(self.names)

    @property
    def rotations(self) -> dict[str, list[int]]:
        """Return the groups that are quaternions or two axes of a frame."""
        return rotations_of(self.names)


def read_recording(paths: Sequence[Path], horizon_s: float,
                   reading: Reading | None = None) -> Recording:
    """
    Read .npz files, LeRobotDatasets or bags of one robot, whichever ``paths`` are.

    Episodes shorter than ``horizon_s`` are left out.
    """
    reading = reading or Reading()
    if reading.rate_hz is not None and not 0 < reading.rate_hz < np.inf:
        raise ValueError(f'--rate must be positive, got {reading.rate_hz:g}')
    recorded = load_recordings(paths, reading)
    names, notes = recorded.names, list(recorded.notes)
    episodes, turned = _steady(with_faults(recorded.episodes, names), names)
    notes += turned
    if reading.rate_hz is not None:
        given = [item.rate_hz for item in episodes]
        notes += [f'{given.count(rate)} episodes are resampled from {rate:g} to '
                  f'{reading.rate_hz:g} Hz' for rate in dict.fromkeys(given)
                  if not _same(rate, reading.rate_hz)]
        episodes = [at_rate(item, names, reading.rate_hz) for item in episodes]
    rate_hz = episodes[0].rate_hz
    others = {f'{item.rate_hz:g} Hz': item.where for item in episodes
              if not _same(item.rate_hz, rate_hz)}
    if others:
        rates = {f'{rate_hz:g} Hz': episodes[0].where, **others}
        text = ', '.join(f'{rate} in {where}' for rate, where in rates.items())
        raise ValueError(f'expected episodes of one rate, got {text}; choose one with --rate or '
                         'fit one tokenizer for each rate')
    found = _checked(episodes, names, reading.rows or horizon_rows(rate_hz, horizon_s),
                     reading.episodes, notes)
    source, robot = _origin(paths, reading)
    return replace(found, source=source, robot=robot)


def load_recordings(paths: Sequence[Path], reading: Reading) -> RecordedEpisodes:
    """Read all episodes of ``paths`` as they are; all must have the same columns."""
    if not paths:
        raise ValueError('expected at least one recording')
    bags = {path: bags_in(path) for path in paths}
    parts = [_load(path, reading) for path in paths if not bags[path]]
    together = [bag for found in bags.values() for bag in found]
    if together:
        parts.append(read_bags(together, reading.topics, reading.rate_hz))
    for part in parts[1:]:
        if part.names != parts[0].names:
            where = part.episodes[0].where if part.episodes else 'a file'
            raise ValueError(f'{where}: expected the columns {parts[0].names}, got {part.names}')
    episodes = [episode for part in parts for episode in part.episodes]
    if not episodes:
        raise ValueError(f"expected episodes in {', '.join(map(str, paths))}, got none")
    return RecordedEpisodes(parts[0].names, episodes,
                            tuple(note for part in parts for note in part.notes))


def _load(path: Path, reading: Reading) -> RecordedEpisodes:
    """Read what is no bag."""
    if is_lerobot(path):
        return read_lerobot(path, reading.feature)
    if path.is_dir():
        raise ValueError(f'{path}: expected a LeRobotDataset (meta/info.json) or bags (.mcap, '
                         '.db3 or folders with metadata.yaml), got neither')
    return read_npz(path)


def _origin(paths: Sequence[Path], reading: Reading) -> tuple[str, str]:
    """Return what was read where there was a choice, and the robot that data sets name."""
    datasets = [path for path in paths if is_lerobot(path)]
    sources = [f'feature {reading.feature}'] if datasets else []
    if len(datasets) < len(paths) and reading.topics:
        sources.append(f"topics {', '.join(reading.topics)}")
    robots = dict.fromkeys(read_info(path).robot for path in datasets)
    return ' and '.join(sources), ', '.join(robot for robot in robots if robot)


def _same(rate_hz: float, other_hz: float) -> bool:
    return abs(rate_hz / other_hz - 1) < SAME_RATE


def _steady(episodes: Sequence[Episode], names: Sequence[str]) -> tuple[list[Episode], list[str]]:
    """Return the episodes with quaternions of steady sign, and a note where that is a change."""
    rotations = list(rotations_of(names).values())
    steady = [item if item.fault else replace(item, rows=steady_signs(item.rows, rotations))
              for item in episodes]
    turned = sum(not one.fault and bool((one.rows != other.rows).any())
                 for one, other in zip(episodes, steady))
    return steady, [f'the sign of quaternions changes within {turned} episodes and is kept '
                    'steady: q and -q are one rotation'] if turned else []


def horizon_rows(rate_hz: float, horizon_s: float) -> int:
    """Return H, the rows of a chunk of ``horizon_s``."""
    rows = round(rate_hz * horizon_s)
    if rows < 2:
        raise ValueError(f'expected a chunk of at least 2 rows, {horizon_s:g} s at {rate_hz:g} Hz '
                         f'are {rows}')
    return rows


def fit_normaliser(episodes: Sequence[FloatArray], grippers: Sequence[int]) -> Normaliser:
    """Return each column's range: 1 to 99 % quantiles, or full for grippers and their like."""
    rows = np.concatenate(list(episodes))
    low, high = rows.min(0), rows.max(0)
    return Normaliser.from_quantiles(
        rows, QUANTILE, {column: (float(low[column]), float(high[column]))
                         for column in full_range_columns(rows, grippers)})


def windows(episodes: Sequence[FloatArray], horizon: int, stride: int) -> FloatArray:
    """Return all chunks (N, H, D) of the episodes, ``stride`` rows apart."""
    parts = [np.lib.stride_tricks.sliding_window_view(episode, horizon, axis=0)[::stride]
             for episode in episodes]
    chunks: FloatArray = np.concatenate(parts).transpose(0, 2, 1)
    return np.ascontiguousarray(chunks)


def _checked(episodes: Sequence[Episode], names: list[str], horizon: int, fewest: int,
             notes: list[str]) -> Recording:
    """Leave out what cannot be used, by episode and with a reason."""
    used, excluded = [], []
    for index, episode in enumerate(episodes):
        reason = episode.fault
        if not reason and len(episode.rows) < horizon:
            reason = (f'{len(episode.rows)} rows at {episode.rate_hz:g} Hz are shorter than a '
                      f'chunk of {horizon}')
        if reason:
            excluded.append(Exclusion(index, reason, episode.where))
        else:
            used.append(episode)
    if len(used) < fewest:
        reasons = '; '.join(f'episode {item.episode}: {item.reason}' for item in excluded[:3])
        wanted = ('a usable episode' if fewest == 1 else
                  f'at least {fewest} usable episodes, one to fit and one to test on')
        raise ValueError(f'expected {wanted}, got {len(used)} of {len(episodes)}'
                         f'{f" ({reasons})" if reasons else ""}')
    rows = np.concatenate([episode.rows for episode in used])
    constant = np.flatnonzero(np.ptp(rows, axis=0) <= _SMALLEST_RANGE)
    if len(constant) == len(names):
        raise ValueError('expected at least one column that moves, all of them are constant')
    notes = [*notes, *wide_notes(used, names), *(
        f'{names[column]} is constant ({rows[0, column]:g}) and costs tokens for nothing'
        for column in constant)]
    return Recording([episode.rows for episode in used], names, episodes[0].rate_hz, excluded,
                     notes)
