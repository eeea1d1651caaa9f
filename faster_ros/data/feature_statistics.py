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
Statistics of features as LeRobotDatasets keep them, and how those of episodes become one.

Quantiles of several episodes are averaged by their counts, as LeRobot does; everything else is
exact. Images are counted by sampled image and scaled to [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from faster_ros.interfaces import FloatArray
import numpy as np
from numpy.typing import NDArray

QUANTILES = {'q01': 0.01, 'q10': 0.1, 'q50': 0.5, 'q90': 0.9, 'q99': 0.99}
Statistics = Mapping[str, NDArray[np.float64] | NDArray[np.int64]]


def of_rows(rows: FloatArray) -> Statistics:
    """Return the statistics of (N, ...) rows, each of the shape of a row."""
    values = np.asarray(rows, float)
    found = {name: values.min(0) if name == 'min' else values.max(0) for name in ('min', 'max')}
    found |= {'mean': values.mean(0), 'std': values.std(0)}
    found |= dict(zip(QUANTILES, np.quantile(values, list(QUANTILES.values()), axis=0)))
    return {**found, 'count': np.array([len(values)])}


def of_images(histogram: NDArray[np.int64], images: int) -> Statistics:
    """Return those of images from their histogram (3, 256), each of shape (3, 1, 1)."""
    levels = np.arange(256) / 255
    share = histogram / histogram.sum(1, keepdims=True)
    mean = share @ levels
    std = np.sqrt(np.maximum(share @ levels**2 - mean**2, 0))
    below = np.cumsum(share, 1)
    found = {
        'min': levels[(histogram > 0).argmax(1)],
        'max': levels[255 - (histogram[:, ::-1] > 0).argmax(1)], 'mean': mean, 'std': std,
        **{name: levels[(below >= share_below - 1e-12).argmax(1)]
           for name, share_below in QUANTILES.items()}}
    return {**{name: values.reshape(3, 1, 1) for name, values in found.items()},
            'count': np.array([images])}


def together(parts: Sequence[Statistics]) -> Statistics:
    """Return the statistics of all rows of several parts."""
    counts = np.array([float(part['count'][0]) for part in parts])
    weight = counts / counts.sum()

    def averaged(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.asarray(np.tensordot(weight, np.stack(values), axes=1))

    means = [np.asarray(part['mean'], float) for part in parts]
    mean = averaged(means)
    variance = averaged([np.asarray(part['std'], float)**2 + (own - mean)**2
                         for part, own in zip(parts, means)])
    return {
        'min': np.min([part['min'] for part in parts], axis=0),
        'max': np.max([part['max'] for part in parts], axis=0),
        'mean': mean, 'std': np.sqrt(variance),
        **{name: averaged([np.asarray(part[name], float) for part in parts])
           for name in QUANTILES if all(name in part for part in parts)},
        'count': np.array([int(counts.sum())])}
