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
from faster_ros.tokenizer.baselines.uniform_code import UniformCode
from faster_ros.tokenizer.protocol import IntArray, LIMIT, TokenizerSpec
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
        self._code = UniformCode(levels)
        self._shape = (0, 0)

    @property
    def spec(self) -> TokenizerSpec:
        """Return N x D tokens."""
        return TokenizerSpec(f'zonal DCT {self._coefficients}', self._code.bins,
                             self._coefficients * self._shape[1],
                             'transform code: first N DCT coefficients, 256 levels')

    def fit(self, chunks: FloatArray) -> None:
        """Learn the range of each coefficient."""
        self._shape = (chunks.shape[1], chunks.shape[2])
        self._coefficients = min(self._coefficients, chunks.shape[1])
        self._code.fit(self._transform(chunks))

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return N * D levels for each chunk, frequency by frequency."""
        return self._code.encode(self._transform(chunks), self.spec)

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences or of their beginnings."""
        known = self._code.decode(sequences, self.spec, prefix_decodes=True)
        values = np.zeros((len(known), *self._shape))
        values.reshape(len(known), -1)[:, :known.shape[1]] = known
        chunks: FloatArray = np.clip(idct(values, axis=1, norm='ortho'), -LIMIT, LIMIT)
        return chunks

    def _transform(self, chunks: FloatArray) -> FloatArray:
        values = dct(chunks, axis=1, norm='ortho')[:, :self._coefficients]
        flat: FloatArray = values.reshape(len(chunks), -1)
        return flat
