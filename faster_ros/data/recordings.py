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
Recorded actions for fitting tokenizers: .npz files of episodes, checked before use.

A file holds ``data`` (N, D), the episodes end to end; ``lengths`` (E,), their rows; ``rate_hz``,
one number or one per episode; ``dims`` (D,), the names of the columns. Nothing is repaired: what
cannot be used is left out by episode, with a reason, or is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from faster_ros.data.normalisation import Normaliser
from faster_ros.interfaces import FloatArray
import numpy as np

_KEYS = ('data', 'lengths', 'rate_hz', 'dims')
_QUANTILE = 0.01  # cut off at each end for the normalised range (paper appendix A.2)
_WILD = 1000.0  # usual ranges from the middle at which a value can be no motion of the arm
_USUAL = 0.1  # cut off at each end for the usual range: short logs have their outliers inside 1 %
_SMALLEST_RANGE = 1e-6


@dataclass(frozen=True)
class Exclusion:
    """An episode that is not used: ``episode`` counts from 0 over all files."""

    episode: int
    reason: str


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
        return [column for column, name in enumerate(self.names) if 'gripper' in name.lower()]

    @property
    def groups(self) -> dict[str, list[int]]:
        """Return the physical groups that the names of the columns tell apart."""
        kinds = [_kind(name) for name in self.names]
        return {kind: [column for column, other in enumerate(kinds) if other == kind]
                for kind in dict.fromkeys(kinds)}


def read_recording(paths: Sequence[Path], horizon_s: float) -> Recording:
    """Read .npz files of one robot; episodes shorter than ``horizon_s`` are left out."""
    if not paths:
        raise ValueError('expected at least one .npz file')
    episodes: list[FloatArray] = []
    rates: dict[float, str] = {}
    names: list[str] | None = None
    for path in paths:
        found, file_names, file_rates = _read_file(path)
        if names is not None and names != file_names:
            raise ValueError(f'{path}: expected the columns of {paths[0]}, {names}; '
                             f'got {file_names}')
        names = file_names
        episodes += found
        rates.update(dict.fromkeys(file_rates, path.name))
    if len(rates) > 1:
        text = ', '.join(f'{rate:g} Hz in {name}' for rate, name in rates.items())
        raise ValueError(f'expected episodes of one rate, got {text}; resample them or fit one '
                         'tokenizer for each rate')
    assert names is not None
    (rate_hz,) = rates
    return _checked(episodes, names, rate_hz, horizon_rows(rate_hz, horizon_s))


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


def _read_file(path: Path) -> tuple[list[FloatArray], list[str], list[float]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError(f'{path}: expected an .npz file')
            missing = [key for key in _KEYS if key not in archive.files]
            if missing:
                raise ValueError(f"{path}: expected {', '.join(_KEYS)}; "
                                 f"{', '.join(missing)} is missing")
            data, lengths, rate, dims = (archive[key] for key in _KEYS)
    except BadZipFile as error:
        raise ValueError(f'{path}: expected an .npz file, {error}') from error
    if data.ndim != 2 or not np.issubdtype(data.dtype, np.number):
        raise ValueError(f'{path}: data must be numbers of shape (N, D), got {data.dtype} of '
                         f'shape {data.shape}')
    if lengths.ndim != 1 or (lengths < 1).any() or lengths.sum() != len(data):
        raise ValueError(f'{path}: lengths must be positive and add up to the {len(data)} rows '
                         f'of data, got {lengths.tolist()[:9]} with sum {lengths.sum()}')
    if dims.shape != (data.shape[1],):
        raise ValueError(f'{path}: dims must name the {data.shape[1]} columns, '
                         f'got shape {dims.shape}')
    rates = np.unique(np.asarray(rate, dtype=float))
    if not np.isfinite(rates).all() or (rates <= 0).any():
        raise ValueError(f'{path}: rate_hz must be positive, got {rates.tolist()}')
    episodes = np.split(data.astype(np.float64), np.cumsum(lengths)[:-1])
    return list(episodes), [str(name) for name in dims], rates.tolist()


def _checked(episodes: list[FloatArray], names: list[str], rate_hz: float,
             horizon: int) -> Recording:
    """Leave out what cannot be used, by episode and with a reason."""
    finite = np.concatenate(episodes)
    finite = finite[np.isfinite(finite).all(1)]
    if not len(finite):
        raise ValueError('expected finite data, every row holds NaN or infinity')
    low, middle, high = np.quantile(finite, [_USUAL, 0.5, 1 - _USUAL], axis=0)
    span = np.maximum.reduce([high - low, np.abs(middle), np.full(len(names), 0.1)])
    used, excluded = [], []
    for index, episode in enumerate(episodes):
        reason = _reason(episode, names, horizon, np.abs(episode - middle) > _WILD * span)
        if reason:
            excluded.append(Exclusion(index, reason))
        else:
            used.append(episode)
    if len(used) < 2:
        reasons = '; '.join(f'episode {item.episode}: {item.reason}' for item in excluded[:3])
        raise ValueError(
            'expected at least 2 usable episodes, one to fit and one to test on, got '
            f'{len(used)} of {len(episodes)}{f" ({reasons})" if reasons else ""}')
    rows = np.concatenate(used)
    constant = np.flatnonzero(np.ptp(rows, axis=0) <= _SMALLEST_RANGE)
    if len(constant) == len(names):
        raise ValueError('expected at least one column that moves, all of them are constant')
    notes = [f'{names[column]} is constant ({rows[0, column]:g}) and costs tokens for nothing'
             for column in constant]
    return Recording(used, names, rate_hz, excluded, notes)


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
    text = name.lower()
    side = next((f'{side} ' for side in ('left', 'right') if side in text), '')
    if 'gripper' in text:
        return f'{side}gripper'
    if any(word in text for word in ('hand', 'finger', 'thumb')):
        return f'{side}hand'
    if text.startswith(('q', 'rot')) and text[1:2] in ('w', 'x', 'y', 'z', 'o'):
        return f'{side}rotation'
    if text.startswith(('p', 'pos')) and text[1:2] in ('x', 'y', 'z', 'o'):
        return f'{side}position'
    return f'{side}arm'
