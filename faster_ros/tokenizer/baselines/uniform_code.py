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
"""Numbers of a linear transform as tokens: each quantised over the range it had in training."""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import (
    IntArray,
    padded_ids,
    refuse_unfitted,
    TokenizerSpec,
    UniformLevels,
)
import numpy as np


class UniformCode:
    """One token for each column of values (N, columns), of ``bins`` uniform levels."""

    def __init__(self, bins: int) -> None:
        self.bins = bins
        self._levels: UniformLevels | None = None

    def fit(self, values: FloatArray) -> None:
        """Learn the range of each column."""
        self._levels = UniformLevels(values.min(0), values.max(0), self.bins)

    def encode(self, values: FloatArray, spec: TokenizerSpec) -> list[IntArray]:
        """Return the levels of each row of values."""
        return list(self._fitted(spec).encode(values))

    def decode(self, sequences: Sequence[IntArray], spec: TokenizerSpec,
               prefix_decodes: bool) -> FloatArray:
        """Return values (N, columns); those that a beginning leaves out are zero."""
        levels = self._fitted(spec)
        ids = padded_ids(sequences, spec, prefix_decodes)
        values: FloatArray = np.where(ids >= 0, levels.decode(ids), 0.0)
        return values

    def _fitted(self, spec: TokenizerSpec) -> UniformLevels:
        refuse_unfitted(spec, self._levels is not None)
        assert self._levels is not None
        return self._levels
