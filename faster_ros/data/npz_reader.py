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
Reads episodes from an .npz file.

It holds ``data`` (N, D), the episodes end to end; ``lengths`` (E,), their rows; ``rate_hz``, one
number or one per episode; ``dims`` (D,), the names of the columns.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile

from faster_ros.data.recorded_episodes import Episode, RecordedEpisodes
import numpy as np

_KEYS = ('data', 'lengths', 'rate_hz', 'dims')


def read_npz(path: Path) -> RecordedEpisodes:
    """Read a file without pickle; what does not fit together is an error that names it."""
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
    rates = np.broadcast_to(np.asarray(rate, dtype=float), lengths.shape)
    if not np.isfinite(rates).all() or (rates <= 0).any():
        raise ValueError(f'{path}: rate_hz must be positive, got {np.unique(rates).tolist()}')
    episodes = np.split(data.astype(np.float64), np.cumsum(lengths)[:-1])
    return RecordedEpisodes([str(name) for name in dims], [
        Episode(rows, float(rate_hz), f'{path.name} episode {number}')
        for number, (rows, rate_hz) in enumerate(zip(episodes, rates))])
