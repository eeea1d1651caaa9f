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
"""What is measured by encoding and decoding once more: seams, damage, levels, time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from faster_ros.data.recordings import windows
from faster_ros.evaluation import chunk_metrics
from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import IntArray, LIMIT, Tokenizer
import numpy as np
import torch

_DAMAGED = 200  # sequences of each kind that decodability is measured on
_TIMED = 40  # chunks that are encoded and decoded one by one


def border_jump(tokenizer: Tokenizer, episodes: Sequence[FloatArray],
                horizon: int) -> float | None:
    """Return the jump between consecutive decoded chunks of normalised episodes (rows, D)."""
    before, after = [], []
    for episode in episodes:
        if len(episode) < 2 * horizon:
            continue
        decoded = tokenizer.decode(tokenizer.encode(windows([episode], horizon, horizon)))
        before.append(decoded[:-1])
        after.append(decoded[1:])
    if not before:
        return None
    steps = np.concatenate([np.diff(episode, axis=0) for episode in episodes])
    return chunk_metrics.border_jump(np.concatenate(before), np.concatenate(after), steps)


def overlap(tokenizer: Tokenizer, episodes: Sequence[FloatArray], horizon: int) -> float | None:
    """Return the share of equal tokens of chunks and those that begin a row later."""
    pairs = [(windows([episode[:-1]], horizon, horizon), windows([episode[1:]], horizon, horizon))
             for episode in episodes if len(episode) > horizon]
    if not pairs:
        return None
    first, second = (np.concatenate(parts) for parts in zip(*pairs))
    return chunk_metrics.token_overlap(tokenizer.encode(first), tokenizer.encode(second))


def decodability(tokenizer: Tokenizer, sequences: Sequence[IntArray]) -> dict[str, float]:
    """Return the shares of random, one-token-corrupted and cut sequences that give a chunk."""
    rng = np.random.default_rng(0)
    size = tokenizer.spec.vocabulary
    picked = [sequences[index] for index in rng.integers(len(sequences), size=_DAMAGED)]
    damaged: dict[str, list[IntArray]] = {'random': [], 'corrupted': [], 'truncated': []}
    for sequence in picked:
        wrong = sequence.copy()
        place = rng.integers(len(sequence))
        wrong[place] = (wrong[place] + rng.integers(1, size)) % size
        damaged['random'].append(rng.integers(size, size=len(sequence)))
        damaged['corrupted'].append(wrong)
        damaged['truncated'].append(sequence[:rng.integers(1, max(2, len(sequence)))])
    return {f'decodes_{kind}': _decoding(tokenizer, some) / len(picked)
            for kind, some in damaged.items()}


def level_errors(tokenizer: Tokenizer, sequences: Sequence[IntArray],
                 chunks: FloatArray) -> list[float]:
    """Return the MSE of the first level alone, of the first two, ...; none without levels."""
    levels = tokenizer.spec.levels
    if levels < 2:
        return []
    tokens = len(sequences[0]) // levels
    return [float(np.square(tokenizer.decode(
        [sequence[:known * tokens] for sequence in sequences]) - chunks).mean())
        for known in range(1, levels + 1)]


def times(tokenizer: Tokenizer, chunks: FloatArray) -> dict[str, float]:
    """Return the median times of one chunk at a time, with one thread of torch."""
    encoding, decoding = [], []
    with _one_thread():
        for index in range(min(_TIMED, len(chunks))):
            start = perf_counter()
            sequences = tokenizer.encode(chunks[index:index + 1])
            middle = perf_counter()
            tokenizer.decode(sequences)
            encoding.append(middle - start)
            decoding.append(perf_counter() - middle)
    return {'encode_ms': 1e3 * float(np.median(encoding)),
            'decode_ms': 1e3 * float(np.median(decoding))}


def _decoding(tokenizer: Tokenizer, sequences: Sequence[IntArray]) -> int:
    """Return how many sequences decode: all at once where that works, else one by one."""
    try:
        chunks = tokenizer.decode(sequences)
    except ValueError:
        if len(sequences) == 1:
            return 0
        return sum(_decoding(tokenizer, [sequence]) for sequence in sequences)
    return int((np.isfinite(chunks) & (np.abs(chunks) <= LIMIT)).all((1, 2)).sum())


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
