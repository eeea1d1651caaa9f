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
"""OmniSAT (arXiv 2510.09667): B-splines, then residual VQ of each part of the body by itself."""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.baselines.bspline import basis
from faster_ros.tokenizer.kmeans import kmeans, nearest
from faster_ros.tokenizer.protocol import (
    IntArray,
    LIMIT,
    padded_ids,
    refuse_unfitted,
    TokenizerSpec,
)
import numpy as np


class OmniSat:
    """
    Parts x levels tokens, coarse level first; any prefix decodes.

    Published: splines bring chunks to one length, then position, rotation and gripper each have
    residual codebooks of their own. Parts here are the physical groups of the recording, which
    share ``tokens`` equally. Codebooks are fitted by k-means, directly to the splines, in axes
    that keep distances between chunks; 10 control points.
    """

    def __init__(self, groups: dict[str, list[int]], tokens: int = 12, codes: int = 256,
                 points: int = 10, seed: int = 0) -> None:
        self._parts = list(groups.values())
        self._levels = tokens // len(self._parts)
        if self._levels < 1:
            raise ValueError(f'OmniSAT: expected a token for each of {len(self._parts)} parts, '
                             f'got {tokens}')
        self._codes = codes
        self._points = points
        self._rng = np.random.default_rng(seed)
        self._basis: FloatArray = np.zeros((0, 0))
        self._books: list[list[FloatArray]] = []  # for each part, for each level: (V, numbers)

    @property
    def spec(self) -> TokenizerSpec:
        """Return parts x levels tokens."""
        tokens = len(self._parts) * self._levels
        return TokenizerSpec(f'OmniSAT {len(self._parts)}x{self._levels}', self._codes, tokens,
                             'OmniSAT: B-spline, residual VQ of each part', levels=self._levels,
                             codebooks=tokens)

    def fit(self, chunks: FloatArray) -> None:
        """Fit the codebooks of each part, each to what the levels above it leave over."""
        rows = chunks.shape[1]
        self._basis = np.linalg.qr(basis(rows, min(self._points, rows)))[0]  # (H, points)
        self._books = [[] for _ in self._parts]
        for books, rest in zip(self._books, self._latents(chunks)):
            for _ in range(self._levels):
                books.append(kmeans(rest, self._codes, self._rng))
                rest -= books[-1][nearest(rest, books[-1])]

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return levels * parts codes for each chunk, level by level."""
        refuse_unfitted(self.spec, bool(self._books))
        codes = np.zeros((len(chunks), self._levels, len(self._parts)), dtype=np.int64)
        for part, rest in enumerate(self._latents(chunks)):
            for level, book in enumerate(self._books[part]):
                codes[:, level, part] = nearest(rest, book)
                rest -= book[codes[:, level, part]]
        return list(codes.reshape(len(chunks), -1))

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences or of their beginnings."""
        refuse_unfitted(self.spec, bool(self._books))
        ids = padded_ids(sequences, self.spec, prefix_decodes=True)
        ids = ids.reshape(len(ids), self._levels, -1)
        splines = np.zeros((len(ids), self._basis.shape[1], sum(map(len, self._parts))))
        for part, columns in enumerate(self._parts):
            for level, book in enumerate(self._books[part]):
                code = ids[:, level, part]
                chosen = np.where((code >= 0)[:, None], book[code], 0.0)
                splines[:, :, columns] += chosen.reshape(len(ids), -1, len(columns))
        chunks: FloatArray = np.clip(self._basis @ splines, -LIMIT, LIMIT)
        return chunks

    def _latents(self, chunks: FloatArray) -> list[FloatArray]:
        """Return for each part its splines, (N, points * columns)."""
        splines = self._basis.T @ chunks
        return [splines[:, :, columns].reshape(len(chunks), -1) for columns in self._parts]
