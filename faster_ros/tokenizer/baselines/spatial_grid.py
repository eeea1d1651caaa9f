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
"""SpatialVLA (arXiv 2501.15830): motions of the end effector in a grid fitted to their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import (
    IntArray,
    LIMIT,
    padded_ids,
    refuse_unfitted,
    TokenizerSpec,
    UniformLevels,
)
import numpy as np
from scipy.stats import norm

_VOCABULARY = 4096
_SPHERE = (16, 32, 8)  # cells of the polar angle, the azimuth and the distance
_SMALLEST_SPREAD = 1e-6


class GaussianGrid:
    """Cells of equal probability under a Gaussian fitted to each column of values (N, columns)."""

    def __init__(self, values: FloatArray, cells: Sequence[int]) -> None:
        self._mean = values.mean(0)
        self._spread = np.maximum(values.std(0), _SMALLEST_SPREAD)
        self._cells = tuple(cells)

    def encode(self, values: FloatArray) -> IntArray:
        """Return one number for the cells of each row of values."""
        share = norm.cdf((values - self._mean) / self._spread)
        places = np.minimum((share * self._cells).astype(np.int64), np.array(self._cells) - 1)
        cell: IntArray = np.ravel_multi_index(tuple(places.T), self._cells)
        return cell

    def decode(self, cells: IntArray) -> FloatArray:
        """Return the median of each cell."""
        places = np.stack(np.unravel_index(cells % np.prod(self._cells), self._cells), -1)
        values: FloatArray = self._mean + self._spread * norm.ppf((places + 0.5) / self._cells)
        return values


class _Motion:
    """A part that is coded by its step from one row to the next."""

    def __init__(self, columns: Sequence[int], spherical: bool) -> None:
        self.columns = list(columns)
        self._spherical = spherical
        self._cells = _SPHERE if spherical else (
            (round(_VOCABULARY ** (1 / len(columns))),) * len(columns))
        self._grid: GaussianGrid | None = None

    def fit(self, chunks: FloatArray) -> None:
        """Fit the grid to the steps in chunks of this part."""
        steps = np.diff(chunks, axis=1).reshape(-1, len(self.columns))
        self._grid = GaussianGrid(to_sphere(steps) if self._spherical else steps, self._cells)

    def encode(self, target: FloatArray, before: FloatArray) -> IntArray:
        """Return the cells of the steps from what was decoded before to the target."""
        assert self._grid is not None
        step = target - before
        return self._grid.encode(to_sphere(step) if self._spherical else step)

    def decode(self, cells: IntArray, before: FloatArray) -> FloatArray:
        """Return the values after the steps of cells."""
        assert self._grid is not None
        step = self._grid.decode(cells)
        moved = before + (from_sphere(step) if self._spherical else step)
        values: FloatArray = np.clip(moved, -LIMIT, LIMIT)
        return values


class _OpenOrClosed:
    """A gripper: one of two values, whatever it was before; ids alternate between them."""

    def __init__(self, columns: Sequence[int]) -> None:
        self.columns = list(columns)
        self._values: FloatArray = np.zeros((2, 0))

    def fit(self, chunks: FloatArray) -> None:
        """Learn the two ends of the range."""
        self._values = np.stack([chunks.min((0, 1)), chunks.max((0, 1))])

    def encode(self, target: FloatArray, before: FloatArray) -> IntArray:
        """Return which end the target is nearer to."""
        middle = self._values.mean(0)
        ids: IntArray = (target > middle).any(-1).astype(np.int64)
        return ids

    def decode(self, cells: IntArray, before: FloatArray) -> FloatArray:
        """Return the values of the ends."""
        values: FloatArray = self._values[cells % 2]
        return values


class SpatialGrid:
    """
    D tokens for the first row, then one for each part and step.

    Published defaults: a position's step in spherical coordinates, 16 x 32 x 8 cells; a
    rotation's in 16 cells for each of three angles; a gripper open or closed; cells of equal
    probability under a Gaussian. Published for deltas; here each step leads from the row decoded
    before, so that errors do not add up, and the first row takes 4096 uniform levels for each
    column. Columns are taken for poses whatever they are: of a recording of deltas the changes
    from one delta to the next are coded, not the published deltas themselves. Steps are taken in
    normalised units; four columns of a quaternion have 8 cells each. An id beyond a part's own
    cells begins at its first one again.
    """

    def __init__(self, groups: Mapping[str, Sequence[int]]) -> None:
        if not describes(groups):
            raise ValueError('SpatialVLA: expected position of 3 columns, rotation and gripper, '
                             f'got {dict(groups)}')
        self._parts = [
            _OpenOrClosed(columns) if name.endswith('gripper')
            else _Motion(columns, name.endswith('position')) for name, columns in groups.items()]
        self._first = UniformLevels(np.array(-LIMIT), np.array(LIMIT), _VOCABULARY)
        self._shape = (0, 0)

    @property
    def spec(self) -> TokenizerSpec:
        """Return D + parts x (H - 1) tokens."""
        tokens = self._shape[1] + len(self._parts) * (self._shape[0] - 1)
        return TokenizerSpec('SpatialVLA', _VOCABULARY, tokens if self._shape[0] else None,
                             'SpatialVLA: 4096 cells of translation, 4096 of rotation, gripper')

    def fit(self, chunks: FloatArray) -> None:
        """Fit the grid of each part."""
        self._shape = (chunks.shape[1], chunks.shape[2])
        for part in self._parts:
            part.fit(chunks[:, :, part.columns])

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return the levels of the first row, then the cells of each step, part by part."""
        refuse_unfitted(self.spec, self._shape[0] > 0)
        first = self._first.encode(chunks[:, 0])
        row, ids = self._first.decode(first), [*first.T]
        for target in chunks.transpose(1, 0, 2)[1:]:
            for part in self._parts:
                before = row[:, part.columns]
                ids.append(part.encode(target[:, part.columns], before))
                row[:, part.columns] = part.decode(ids[-1], before)
        return list(np.stack(ids, 1))

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of whole sequences."""
        refuse_unfitted(self.spec, self._shape[0] > 0)
        columns = self._shape[1]
        ids = padded_ids(sequences, self.spec, prefix_decodes=False)
        row = self._first.decode(ids[:, :columns])
        rows = [row]
        for cells in ids[:, columns:].reshape(len(ids), -1, len(self._parts)).transpose(1, 2, 0):
            row = row.copy()
            for part, cell in zip(self._parts, cells):
                row[:, part.columns] = part.decode(cell, row[:, part.columns])
            rows.append(row)
        return np.stack(rows, 1)


def describes(groups: Mapping[str, Sequence[int]]) -> bool:
    """Say whether the groups of columns are those of an end effector's pose."""
    return any(name.endswith('position') for name in groups) and all(
        len(columns) == 3 if name.endswith('position') else name.endswith(('rotation', 'gripper'))
        for name, columns in groups.items())


def to_sphere(steps: FloatArray) -> FloatArray:
    """Return polar angle, azimuth and distance of steps (N, 3)."""
    distance = np.linalg.norm(steps, axis=-1)
    polar = np.arccos(np.clip(steps[:, 2] / np.maximum(distance, 1e-12), -1, 1))
    return np.stack([polar, np.arctan2(steps[:, 1], steps[:, 0]), distance], -1)


def from_sphere(points: FloatArray) -> FloatArray:
    """Return the steps (N, 3) of polar angle, azimuth and distance; below zero stands for zero."""
    polar, azimuth, distance = points.T
    level = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth)
    return np.maximum(distance, 0)[:, None] * np.stack([*level, np.cos(polar)], -1)
