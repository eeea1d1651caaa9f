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
"""Quantile normalisation of actions and states to [-1, 1] (paper appendix A.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faster_ros.interfaces import FloatArray
import numpy as np

QUANTILE = 0.01  # cut off at each end for the normalised range (paper appendix A.2)
_SMALLEST_RANGE = 1e-6


@dataclass(frozen=True)
class Normaliser:
    """Maps [low, high] of each column to [-1, 1]; a constant column maps to 0."""

    low: FloatArray
    high: FloatArray

    @staticmethod
    def from_quantiles(rows: FloatArray, share: float,
                       fixed: dict[int, tuple[float, float]] | None = None) -> Normaliser:
        """
        Fit to (N, columns) rows; ``share`` is the quantile that is cut off at each end.

        ``fixed`` gives a column's range outright, as for a gripper, whose two values are not a
        distribution. Rows that are not finite are an error.
        """
        if not np.isfinite(rows).all():
            raise ValueError('normalisation data must be finite, got NaN or infinity in column '
                             f'{np.argwhere(~np.isfinite(rows))[0][1]}')
        low, high = np.quantile(rows, [share, 1 - share], axis=0)
        for column, (lower, upper) in (fixed or {}).items():
            low[column], high[column] = lower, upper
        return Normaliser(low, high)

    @property
    def _half_range(self) -> FloatArray:
        half = (self.high - self.low) / 2
        return np.where(half > _SMALLEST_RANGE, half, np.inf)

    def normalise(self, values: FloatArray, limit: float = 1.0) -> FloatArray:
        """Return values (..., columns) as [-1, 1]; what lies outside +-limit is clipped."""
        centred = (values - (self.high + self.low) / 2) / self._half_range
        clipped: FloatArray = np.clip(centred, -limit, limit)
        return clipped

    def restore(self, values: FloatArray) -> FloatArray:
        """Return the inverse of ``normalise``."""
        half = np.where(np.isinf(self._half_range), 0.0, self._half_range)
        restored: FloatArray = values * half + (self.high + self.low) / 2
        return restored

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists for JSON."""
        return {'low': self.low.tolist(), 'high': self.high.tolist()}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Normaliser:
        """Build from ``to_dict``."""
        return Normaliser(np.array(data['low']), np.array(data['high']))


def full_range_columns(rows: FloatArray, grippers: Sequence[int]) -> list[int]:
    """
    Return the columns of rows (N, D) that are normalised by their full range.

    Grippers, and columns that hardly ever leave one value, as a rare gripper does: these have no
    quantile range.
    """
    low, high = np.quantile(rows, [QUANTILE, 1 - QUANTILE], axis=0)
    rare = (high - low <= _SMALLEST_RANGE) & (np.ptp(rows, axis=0) > _SMALLEST_RANGE)
    return sorted({*grippers, *np.flatnonzero(rare).tolist()})
