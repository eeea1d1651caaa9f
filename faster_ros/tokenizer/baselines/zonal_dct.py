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
"""Zonal DCT: the first few cosine coefficients of each dimension, uniformly quantised."""

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
from scipy.fft import dct, idct


class ZonalDct:
    """
    N x D tokens, lowest frequency first; any prefix decodes, missing coefficients being zero.

    A textbook transform code, not a published action tokenizer: N = 3 and 256 levels over the
    range each coefficient had in training.
    """

    def __init__(self, coefficients: int = 3, levels: int = 256) -> None:
        self._coefficients = coefficients
        self._bins = levels
        self._levels: UniformLevels | None = None
        self._shape = (0, 0)

    @property
    def spec(self) -> TokenizerSpec:
        """Return N x D tokens."""
        return TokenizerSpec(f'zonal DCT {self._coefficients}', self._bins,
                             self._coefficients * self._shape[1],
                             'transform code: first N DCT coefficients, 256 levels')

    def fit(self, chunks: FloatArray) -> None:
        """Learn the range of each coefficient."""
        self._shape = (chunks.shape[1], chunks.shape[2])
        self._coefficients = min(self._coefficients, chunks.shape[1])
        values = self._transform(chunks)
        self._levels = UniformLevels(values.min(0), values.max(0), self._bins)

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return N * D levels for each chunk, frequency by frequency."""
        refuse_unfitted(self.spec, self._levels is not None)
        assert self._levels is not None
        return list(self._levels.encode(self._transform(chunks)))

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences or of their beginnings."""
        refuse_unfitted(self.spec, self._levels is not None)
        assert self._levels is not None
        values = np.zeros((len(sequences), self._shape[0], self._shape[1]))
        flat = values.reshape(len(sequences), -1)
        for row, sequence in zip(flat, sequences):
            check_ids(sequence, self.spec, prefix_decodes=True)
            known = len(sequence)
            part = UniformLevels(self._levels.low[:known], self._levels.low[:known], self._bins)
            part.width = self._levels.width[:known]
            row[:known] = part.decode(sequence)
        chunks: FloatArray = np.clip(idct(values, axis=1, norm='ortho'), -LIMIT, LIMIT)
        return chunks

    def _transform(self, chunks: FloatArray) -> FloatArray:
        values = dct(chunks, axis=1, norm='ortho')[:, :self._coefficients]
        flat: FloatArray = values.reshape(len(chunks), -1)
        return flat
