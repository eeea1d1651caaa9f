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
"""PCA of the whole chunk and product residual k-means: a strong code without any gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.kmeans import kmeans, nearest
from faster_ros.tokenizer.protocol import (
    check_ids,
    IntArray,
    LIMIT,
    refuse_unfitted,
    TokenizerSpec,
)
import numpy as np


@dataclass(frozen=True)
class Pca:
    """``mean``: (H * D,); ``axes``: (components, H * D), orthonormal, strongest first."""

    mean: FloatArray
    axes: FloatArray

    @staticmethod
    def of(flat: FloatArray, components: int) -> Pca:
        """Return the strongest components of rows (N, H * D)."""
        mean = flat.mean(0)
        values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
        strongest = np.argsort(values)[::-1][:components]
        return Pca(mean, np.ascontiguousarray(vectors[:, strongest].T))

    def dealt(self, slots: int) -> Pca:
        """Return the same axes ordered slot by slot, dealt out to and fro: 0 1 2 | 2 1 0 | ..."""
        order = np.arange(len(self.axes)).reshape(-1, slots)
        order[1::2] = order[1::2, ::-1]
        return Pca(self.mean, self.axes[order.T.flatten()])


class PcaResidualKMeans:
    """
    ``slots`` x ``levels`` tokens, coarse level first; any prefix decodes.

    The components are dealt out to slots of equal width, so that these vary alike; each slot and
    level has a codebook of its own. Not published as an action tokenizer; without a fixed choice
    of its own, 8 slots, 4 levels and 256 codes are used.
    """

    def __init__(self, slots: int = 8, levels: int = 4, codebook_size: int = 256,
                 slot_width: int = 12, seed: int = 0) -> None:
        self._slots = slots
        self._levels = levels
        self._size = codebook_size
        self._slot_width = slot_width
        self._seed = seed
        self._shape = (0, 0)
        self._pca: Pca | None = None
        self.books = np.zeros((0, 0, 0, 0))  # levels, slots, V, slot width

    @property
    def spec(self) -> TokenizerSpec:
        """Return slots x levels tokens."""
        tokens = self._slots * self._levels
        return TokenizerSpec(f'PCA k-means {self._slots}x{self._levels}', self._size, tokens,
                             'PCA product residual k-means, no published defaults',
                             levels=self._levels, codebooks=tokens)

    @property
    def pca(self) -> Pca:
        """Return the fitted axes, slot by slot."""
        refuse_unfitted(self.spec, self._pca is not None)
        assert self._pca is not None
        return self._pca

    def fit(self, chunks: FloatArray) -> None:
        """Fit the axes, then every codebook to what the levels above it leave over."""
        self._shape = (chunks.shape[1], chunks.shape[2])
        width = min(self._slot_width, chunks.shape[1] * chunks.shape[2] // self._slots)
        if width == 0:
            raise ValueError(f'{self.spec.name}: chunks of {self._shape} numbers are too small '
                             f'for {self._slots} slots')
        self._pca = Pca.of(chunks.reshape(len(chunks), -1),
                           width * self._slots).dealt(self._slots)
        rng = np.random.default_rng(self._seed)
        residual = self._latent(chunks)
        self.books = np.zeros((self._levels, self._slots, self._size, width))
        for level in range(self._levels):
            for slot in range(self._slots):
                book = kmeans(residual[:, slot], self._size, rng)
                self.books[level, slot] = book
                residual[:, slot] -= book[nearest(residual[:, slot], book)]

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return slots * levels codes for each chunk, level by level."""
        residual = self._latent(chunks)
        codes = np.zeros((len(chunks), self._levels, self._slots), dtype=np.int64)
        for level, slot in np.ndindex(self._levels, self._slots):
            book = self.books[level, slot]
            index = nearest(residual[:, slot], book)
            codes[:, level, slot] = index
            residual[:, slot] -= book[index]
        return list(codes.reshape(len(chunks), -1))

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences or of their beginnings."""
        latent = np.zeros((len(sequences), self._slots, self.books.shape[-1]))
        for row, sequence in zip(latent, sequences):
            check_ids(sequence, self.spec, prefix_decodes=True)
            for position, code in enumerate(sequence):
                level, slot = divmod(position, self._slots)
                row[slot] += self.books[level, slot, code]
        flat = latent.reshape(len(sequences), -1) @ self.pca.axes + self.pca.mean
        chunks: FloatArray = np.clip(flat, -LIMIT, LIMIT).reshape(-1, *self._shape)
        return chunks

    def _latent(self, chunks: FloatArray) -> FloatArray:
        flat = chunks.reshape(len(chunks), -1) - self.pca.mean
        latent: FloatArray = (flat @ self.pca.axes.T).reshape(len(chunks), self._slots, -1)
        return latent
