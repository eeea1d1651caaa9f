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
"""Chunks in the order of their episodes: which one follows which, and what follows from that."""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
import numpy as np
from numpy.typing import NDArray

_HELD_OUT = 0.1  # share of the training chunks that a fit judges itself by
_LOOKED_AT = 2000  # chunks by which the stride is found
_LARGEST_SHARE = 1 / 3  # of the chunks that whole episodes may take from what is fitted to


def following(chunks: FloatArray) -> tuple[int, NDArray[np.bool_]]:
    """
    Return the stride of chunks (N, H, D) in rows, and which are followed by the next one, (N,).

    A chunk is followed where the next one begins a stride later in the same episode, which is
    seen by the rows that both have. The stride is 0 where chunks share no rows.
    """
    some = chunks[:_LOOKED_AT]
    shares = [_follows(some, stride).sum() for stride in range(1, chunks.shape[1])]
    if not any(shares):
        return 0, np.zeros(len(chunks), bool)
    stride = 1 + int(np.argmax(shares))
    return stride, np.append(_follows(chunks, stride), False)


def held_out_from(chunks: FloatArray, share: float = _HELD_OUT) -> int:
    """
    Return where the last episodes begin, whole ones that hold at least ``share`` of the chunks.

    Where they would hold more than a third, as with one or two episodes, it is that share of the
    chunks, in the middle of an episode.
    """
    begin = len(chunks) - max(1, round(share * len(chunks)))
    _, followed = following(chunks)
    first = np.flatnonzero(~followed) + 1
    whole = first[(first <= begin) & (first >= (1 - _LARGEST_SHARE) * len(chunks))]
    return int(whole[-1]) if len(whole) else begin


def shifted(chunks: FloatArray, picked: NDArray[np.int64], rng: np.random.Generator
            ) -> FloatArray:
    """
    Return the picked chunks (n, H, D), begun up to a stride later where the next one follows.

    The rows are recorded ones, of the chunk and the one after it.
    """
    stride, followed = following(chunks)
    if stride < 2:
        return chunks[picked]
    after = chunks[np.minimum(picked + 1, len(chunks) - 1), -stride:]
    joined = np.concatenate([chunks[picked], after], axis=1)
    begin = rng.integers(stride, size=len(picked)) * followed[picked]
    rows = begin[:, None] + np.arange(chunks.shape[1])
    return np.take_along_axis(joined, rows[:, :, None], axis=1)


def stretches(chunks: FloatArray) -> list[FloatArray]:
    """Return the rows (rows, D) of each stretch of chunks that follow one another."""
    stride, followed = following(chunks)
    runs = np.split(chunks, np.flatnonzero(~followed[:-1]) + 1)
    return [np.concatenate([run[0], *run[1:, chunks.shape[1] - stride:]]) for run in runs]


def _follows(chunks: FloatArray, stride: int) -> NDArray[np.bool_]:
    """Return for all chunks but the last whether the next one begins so many rows later."""
    return np.asarray((chunks[:-1, stride:] == chunks[1:, :-stride]).all((1, 2)))
