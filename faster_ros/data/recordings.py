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

Nothing is repaired: what cannot be used is left out by episode, with a reason, or is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import re

from faster_ros.data.bag_reader import bags_in, read_bags
from faster_ros.data.lerobot_reader import is_lerobot, read_lerobot
from faster_ros.data.normalisation import Normaliser
from faster_ros.data.npz_reader import read_npz
from faster_ros.data.recorded_episodes import at_rate, Episode, is_gripper, RecordedEpisodes
from faster_ros.data.rotations import WIDTHS
from faster_ros.interfaces import FloatArray
import numpy as np

_QUANTILE = 0.01  # cut off at each end for the normalised range (paper appendix A.2)
_WILD = 1000.0  # usual ranges from the middle at which a value can be no motion of the arm
_USUAL = 0.1  # cut off at each end for the usual range: short logs have their outliers inside 1 %
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
    What to read where there is a choice.

    ``rate_hz``: the rate that episodes are resampled to, None for that of the recording;
    ``feature``: of a LeRobotDataset; ``topics``: of bags, empty where there is only one.
    """

    rate_hz: float | None = None
    feature: str = 'action'
    topics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recording:
    """``episodes``: (rows, D) each, all finite; ``excluded``: what was left out and why."""

    episodes: list[FloatArray]
    names: list[str]
    rate_hz: float
    excluded: list[Exclusion]
    notes: list[str]

    @property
    def rows(self) -> int:
        """Return the time steps of all episodes."""
        return sum(len(episode) for episode in self.episodes)

    @property
    def grippers(self) -> list[int]:
        """Return the columns that are named after a gripper."""
        return [column for column, name in enumerate(self.names) if is_gripper(name)]

    @property
    def groups(self) -> dict[str, list[int]]:
        """Return the physical groups that the names of the columns tell apart."""
        kinds = [_kind(name) for name in self.names]
        return {kind: [column for column, other in enumerate(kinds) if other == kind]
                for kind in dict.fromkeys(kinds)}

    @property
    def rotations(self) -> dict[str, list[int]]:
        """Return the groups that are quaternions or two axes of a frame."""
        return {name: columns for name, columns in self.groups.items()
                if 'rotation' in name and len(columns) in WIDTHS}


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
    names, episodes, notes = recorded.names, recorded.episodes, list(recorded.notes)
    if reading.rate_hz is not None:
        given = [item.rate_hz for item in episodes]
        notes += [f'{given.count(rate)} episodes are resampled from {rate:g} to '
                  f'{reading.rate_hz:g} Hz' for rate in dict.fromkeys(given)
                  if rate != reading.rate_hz]
        episodes = [at_rate(item, names, reading.rate_hz) for item in episodes]
    rates = {item.rate_hz: item.where for item in episodes}
    if len(rates) > 1:
        text = ', '.join(f'{rate:g} Hz in {where}' for rate, where in rates.items())
        raise ValueError(f'expected episodes of one rate, got {text}; choose one with --rate or '
                         'fit one tokenizer for each rate')
    (rate_hz,) = rates
    return _checked(episodes, names, horizon_rows(rate_hz, horizon_s), notes)


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


def horizon_rows(rate_hz: float, horizon_s: float) -> int:
    """Return H, the rows of a chunk of ``horizon_s``."""
    rows = round(rate_hz * horizon_s)
    if rows < 2:
        raise ValueError(f'expected a chunk of at least 2 rows, {horizon_s:g} s at {rate_hz:g} Hz '
                         f'are {rows}')
    return rows


def fit_normaliser(episodes: Sequence[FloatArray], grippers: Sequence[int]) -> Normaliser:
    """
    Return the 1 to 99 % quantile range of each column, and the full range of grippers.

    A column that hardly ever leaves one value, as a rare gripper does, has no quantile range and
    takes its full range as well.
    """
    rows = np.concatenate(list(episodes))
    low, high = rows.min(0), rows.max(0)
    inner_low, inner_high = np.quantile(rows, [_QUANTILE, 1 - _QUANTILE], axis=0)
    rare = (inner_high - inner_low <= _SMALLEST_RANGE) & (high - low > _SMALLEST_RANGE)
    columns = {*grippers, *np.flatnonzero(rare).tolist()}
    return Normaliser.from_quantiles(
        rows, _QUANTILE, {column: (float(low[column]), float(high[column])) for column in columns})


def windows(episodes: Sequence[FloatArray], horizon: int, stride: int) -> FloatArray:
    """Return all chunks (N, H, D) of the episodes, ``stride`` rows apart."""
    parts = [np.lib.stride_tricks.sliding_window_view(episode, horizon, axis=0)[::stride]
             for episode in episodes]
    chunks: FloatArray = np.concatenate(parts).transpose(0, 2, 1)
    return np.ascontiguousarray(chunks)


def _checked(episodes: Sequence[Episode], names: list[str], horizon: int,
             notes: list[str]) -> Recording:
    """Leave out what cannot be used, by episode and with a reason."""
    finite = np.concatenate([episode.rows for episode in episodes])
    finite = finite[np.isfinite(finite).all(1)]
    if not len(finite):
        raise ValueError('expected finite data, every row holds NaN or infinity')
    low, middle, high = np.quantile(finite, [_USUAL, 0.5, 1 - _USUAL], axis=0)
    span = np.maximum.reduce([high - low, np.abs(middle), np.full(len(names), 0.1)])
    used, excluded = [], []
    for index, episode in enumerate(episodes):
        reason = episode.fault or _reason(episode.rows, names, horizon,
                                          np.abs(episode.rows - middle) > _WILD * span)
        if reason:
            excluded.append(Exclusion(index, reason, episode.where))
        else:
            used.append(episode.rows)
    if len(used) < 2:
        reasons = '; '.join(f'episode {item.episode}: {item.reason}' for item in excluded[:3])
        raise ValueError(
            'expected at least 2 usable episodes, one to fit and one to test on, got '
            f'{len(used)} of {len(episodes)}{f" ({reasons})" if reasons else ""}')
    rows = np.concatenate(used)
    constant = np.flatnonzero(np.ptp(rows, axis=0) <= _SMALLEST_RANGE)
    if len(constant) == len(names):
        raise ValueError('expected at least one column that moves, all of them are constant')
    notes = notes + [
        f'{names[column]} is constant ({rows[0, column]:g}) and costs tokens for nothing'
        for column in constant]
    return Recording(used, names, episodes[0].rate_hz, excluded, notes)


def _reason(episode: FloatArray, names: Sequence[str], horizon: int, wild: FloatArray) -> str:
    """Return why an episode cannot be used, or ''."""
    broken = np.argwhere(~np.isfinite(episode))
    if len(broken):
        row, column = broken[0]
        return f'{names[column]} is {episode[row, column]} in row {row}'
    if wild.any():
        row, column = np.argwhere(wild)[0]
        return (f'{names[column]} is {episode[row, column]:g} in row {row}, far outside its '
                'usual range')
    if len(episode) < horizon:
        return f'{len(episode)} rows are shorter than a chunk of {horizon}'
    return ''


def _kind(name: str) -> str:
    """Return the physical group that a column's name tells."""
    text = re.sub(r'(left|right)_(inner_|outer_)?knuckle', 'knuckle', name.lower())  # of a gripper
    side = next((f'{side} ' for side in ('left', 'right') if side in text), '')
    if is_gripper(name):
        return f'{side}gripper'
    if any(word in text for word in ('hand', 'finger', 'thumb')):
        return f'{side}hand'
    if text.startswith(('q', 'rot')) and text[1:2] in ('w', 'x', 'y', 'z', 'o'):
        return f'{side}rotation'
    if text.startswith(('p', 'pos')) and text[1:2] in ('x', 'y', 'z', 'o'):
        return f'{side}position'
    return f'{side}arm'
