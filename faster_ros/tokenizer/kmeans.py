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
"""k-means in numpy: the codebooks of the PCA tokenizer and the start of FASTerVQ's."""

from __future__ import annotations

from typing import Any

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import IntArray
import numpy as np
from numpy.typing import NDArray

_ROUNDS = 12


def nearest(points: NDArray[np.floating[Any]], book: NDArray[np.floating[Any]]) -> IntArray:
    """Return the index of the entry of ``book`` (V, d) nearest to each of points (N, d)."""
    # The point's own square is the same for every entry and does not decide.
    distance = np.square(book).sum(-1) - 2 * points @ book.T
    index: IntArray = distance.argmin(-1)
    return index


def kmeans(points: FloatArray, size: int, rng: np.random.Generator,
           rounds: int = _ROUNDS) -> FloatArray:
    """
    Return a codebook (size, d) fitted to points (N, d).

    An entry without points moves onto a random point; entries left over are copies of points.
    """
    book = points[rng.choice(len(points), size, replace=len(points) < size)].copy()
    coarse = points.astype(np.float32)  # twice as fast, and exact enough to choose by
    for step in range(rounds):
        index = nearest(coarse, book.astype(np.float32))
        count = np.bincount(index, minlength=size)
        sums = np.stack([np.bincount(index, column, size) for column in points.T], 1)
        book = sums / np.maximum(count, 1)[:, None]
        empty = np.flatnonzero(count == 0)
        if step < rounds - 1 or len(points) >= size:
            book[empty] = points[rng.integers(len(points), size=len(empty))]
    return book
