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
"""Binning per dimension and step, as in RT-2 and OpenVLA."""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import (
    check_ids,
    IntArray,
    LIMIT,
    refuse_unfitted,
    TokenizerSpec,
    UniformLevels,
)
import numpy as np


class Binning:
    """
    One token per number: H x D uniform bins between -1 and 1, decoded to their centres.

    Published defaults: 256 bins over the 1 to 99 % quantile range. Here the bins span the whole
    clipped range, so that what lies outside the quantiles is not cut off.
    """

    def __init__(self, bins: int = 256) -> None:
        self._levels = UniformLevels(np.array(-LIMIT), np.array(LIMIT), bins)
        self._shape = (0, 0)

    @property
    def spec(self) -> TokenizerSpec:
        """Return H x D tokens of ``bins`` ids."""
        return TokenizerSpec(f'binning {self._levels.levels}', self._levels.levels,
                             self._shape[0] * self._shape[1],
                             'RT-2, OpenVLA: 256 bins per dimension')

    def fit(self, chunks: FloatArray) -> None:
        """Learn the chunk's shape; the bins are fixed."""
        self._shape = (chunks.shape[1], chunks.shape[2])

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return H * D bins for each chunk, row by row."""
        refuse_unfitted(self.spec, self._shape[0] > 0)
        return list(self._levels.encode(chunks).reshape(len(chunks), -1))

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of whole sequences."""
        refuse_unfitted(self.spec, self._shape[0] > 0)
        for sequence in sequences:
            check_ids(sequence, self.spec, prefix_decodes=False)
        return self._levels.decode(np.stack(sequences)).reshape(-1, *self._shape)
