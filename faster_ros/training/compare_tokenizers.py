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
"""
Fits tokenizers to a recording and measures them on episodes they have not seen.

`faster_ros tokenizer compare` and `faster_ros tokenizer fit` call it. Each seed is another split
of the episodes, 80 % to fit and 20 % to test; all tokenizers of a seed see the same chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from faster_ros.data.normalisation import Normaliser
from faster_ros.data.recordings import fit_normaliser, horizon_rows, Recording, windows
from faster_ros.data.rotations import angles, valid_rotations
from faster_ros.evaluation import chunk_metrics
from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import IntArray, LIMIT, Tokenizer, TokenizerSpec
import numpy as np
from tqdm import tqdm

_TEST_SHARE = 0.2
_TRAIN_STRIDES = 10  # training chunks begin a tenth of a chunk apart, test chunks half of one
_TEST_STRIDES = 2
_DAMAGED = 200  # sequences of each kind that decodability is measured on
_COUNTED = 5000  # training chunks that the use of codes is counted on
_TIMED = 40  # chunks that are encoded and decoded one by one

Maker = Callable[[int], Tokenizer]


@dataclass(frozen=True)
class Split:
    """
    Chunks of one split of the episodes; ``owner`` numbers the episode of each test chunk.

    ``variances``: of the test chunks along the principal axes of the training chunks.
    """

    train: FloatArray
    test: FloatArray
    owner: IntArray
    test_episodes: list[FloatArray]
    normaliser: Normaliser
    clipped: float
    variances: FloatArray
    held_out: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """
    One tokenizer on one split.

    ``figures`` are plain numbers by name; ``groups`` are errors in the recording's units;
    ``levels`` is the use of codes; ``errors`` the MSE of each test chunk, of episode ``owner``;
    ``pictures`` maps 'median' and 'worst' to (original, decoded) in the recording's units.
    """

    spec: TokenizerSpec
    figures: dict[str, float | None]
    groups: dict[str, dict[str, float]]
    levels: list[dict[str, float]]
    errors: FloatArray
    owner: IntArray
    pictures: dict[str, tuple[FloatArray, FloatArray]]


def split_episodes(recording: Recording, horizon: int, seed: int) -> Split:
    """Return the chunks of a split by episode; the normaliser sees training episodes only."""
    order = np.random.default_rng([seed, 1]).permutation(len(recording.episodes))
    held_out = max(1, round(_TEST_SHARE * len(order)))
    test = [recording.episodes[index] for index in order[:held_out]]
    train = [recording.episodes[index] for index in order[held_out:]]
    normaliser = fit_normaliser(train, recording.grippers)
    stride = max(1, horizon // _TEST_STRIDES)
    raw = windows(test, horizon, stride)
    chunks = normaliser.normalise(raw, LIMIT)
    owner = np.repeat(order[:held_out],
                      [len(windows([episode], horizon, stride)) for episode in test])
    fitted = normaliser.normalise(windows(train, horizon, max(1, horizon // _TRAIN_STRIDES)),
                                  LIMIT)
    return Split(
        fitted, chunks, owner, [normaliser.normalise(episode, LIMIT) for episode in test],
        normaliser, float((np.abs(chunks) >= LIMIT).mean()),
        chunk_metrics.component_variances(fitted, chunks), sorted(order[:held_out].tolist()))


def everything(recording: Recording, horizon: int, normaliser: Normaliser) -> Split:
    """Return all chunks as test chunks, in the range of another recording."""
    chunks = normaliser.normalise(
        windows(recording.episodes, horizon, max(1, horizon // _TEST_STRIDES)), LIMIT)
    counts = [len(windows([episode], horizon, max(1, horizon // _TEST_STRIDES)))
              for episode in recording.episodes]
    numbers = np.arange(len(recording.episodes))
    return Split(chunks, chunks, np.repeat(numbers, counts),
                 [normaliser.normalise(episode, LIMIT) for episode in recording.episodes],
                 normaliser, float((np.abs(chunks) >= LIMIT).mean()),
                 chunk_metrics.component_variances(chunks, chunks), numbers.tolist())


def compare(recording: Recording, makers: Sequence[Maker], horizon_s: float,
            seeds: int) -> list[list[Measured]]:
    """Return for each tokenizer its measurements on ``seeds`` splits."""
    horizon = horizon_rows(recording.rate_hz, horizon_s)
    results: list[list[Measured]] = [[] for _ in makers]
    with tqdm(total=seeds * len(makers), desc='tokenizers', unit='fit') as bar:
        for seed in range(seeds):
            split = split_episodes(recording, horizon, seed)
            for result, make in zip(results, makers):
                tokenizer = make(seed)
                bar.set_postfix_str(tokenizer.spec.name)
                start = perf_counter()
                tokenizer.fit(split.train)
                seconds = perf_counter() - start
                result.append(measure(tokenizer, split, recording, seconds))
                bar.update()
    return results


def measure(tokenizer: Tokenizer, split: Split, recording: Recording,
            fit_seconds: float) -> Measured:
    """Measure a fitted tokenizer on the test chunks of a split."""
    spec, test = tokenizer.spec, split.test
    sequences = tokenizer.encode(test)
    decoded = tokenizer.decode(sequences)
    rotations = recording.rotations
    restored = [valid_rotations(split.normaliser.restore(chunks), list(rotations.values()))
                for chunks in (test, decoded)]
    errors = np.square(decoded - test).mean((1, 2))
    lengths = chunk_metrics.token_lengths(sequences, spec.vocabulary, test[0].size)
    figures: dict[str, float | None] = {
        **lengths,
        'gaussian_mse': chunk_metrics.gaussian_mse(split.variances, lengths['bits']),
        **chunk_metrics.reconstruction(decoded, test),
        'jerk_ratio': chunk_metrics.jerk_ratio(decoded, test),
        'border_jump': _border_jump(tokenizer, split.test_episodes, test.shape[1]),
        **_gripper_figures(decoded, test, recording.grippers),
        'overlap': _overlap(tokenizer, split.test_episodes, test.shape[1]),
        **_decodability(tokenizer, sequences),
        **_times(tokenizer, test),
        'fit_s': fit_seconds,
    }
    by_error = np.argsort(errors)
    return Measured(
        spec, figures,
        chunk_metrics.group_errors(restored[1], restored[0], recording.groups)
        | _angle_errors(restored[1], restored[0], rotations),
        chunk_metrics.codebook_use(
            tokenizer.encode(split.train[::-(-len(split.train) // _COUNTED)]), spec.vocabulary,
            spec.codebooks, spec.levels),
        errors, split.owner,
        {name: (restored[0][index], restored[1][index])
         for name, index in (('median', by_error[len(errors) // 2]), ('worst', by_error[-1]))})


def summarise(results: Sequence[Measured]) -> dict[str, Any]:
    """Return one tokenizer's means over its splits, and an interval of its MSE over episodes."""
    figures = {}
    for name in results[0].figures:
        known = [value for result in results if (value := result.figures[name]) is not None]
        figures[name] = float(np.mean(known)) if known else None
    low, high = chunk_metrics.bootstrap_interval(
        np.concatenate([result.errors for result in results]),
        np.concatenate([result.owner for result in results]))
    spec = results[0].spec
    return {
        'name': spec.name, 'source': spec.source, 'vocabulary': spec.vocabulary,
        'fixed_length': spec.tokens is not None, 'levels': spec.levels, 'seeds': len(results),
        **figures, 'mse_low': low, 'mse_high': high,
        'use': [float(np.mean([result.levels[level]['use'] for result in results]))
                for level in range(len(results[0].levels))],
        'perplexity': [float(np.mean([result.levels[level]['perplexity'] for result in results]))
                       for level in range(len(results[0].levels))],
        'groups': {group: {key: float(np.mean([result.groups[group][key] for result in results]))
                           for key in ('l1', 'p99')} for group in results[0].groups},
    }


def _angle_errors(decoded: FloatArray, target: FloatArray,
                  rotations: Mapping[str, Sequence[int]]) -> dict[str, dict[str, float]]:
    """Return mean and p99 of the angle in degrees that each rotation is off."""
    errors = {f'{name} (deg)': angles(decoded[..., list(columns)], target[..., list(columns)])
              for name, columns in rotations.items()}
    return {name: {'l1': float(error.mean()), 'p99': float(np.quantile(error, 0.99))}
            for name, error in errors.items()}


def _border_jump(tokenizer: Tokenizer, episodes: Sequence[FloatArray],
                 horizon: int) -> float | None:
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


def _overlap(tokenizer: Tokenizer, episodes: Sequence[FloatArray], horizon: int) -> float | None:
    pairs = [(windows([episode[:-1]], horizon, horizon), windows([episode[1:]], horizon, horizon))
             for episode in episodes if len(episode) > horizon]
    if not pairs:
        return None
    first, second = (np.concatenate(parts) for parts in zip(*pairs))
    return chunk_metrics.token_overlap(tokenizer.encode(first), tokenizer.encode(second))


def _gripper_figures(decoded: FloatArray, test: FloatArray,
                     grippers: Sequence[int]) -> dict[str, float | None]:
    if not grippers:
        return {}
    columns = [chunks[..., list(grippers)].transpose(0, 2, 1).reshape(-1, test.shape[1])
               for chunks in (decoded, test)]
    events = chunk_metrics.gripper_events(*columns)
    return {f'gripper_{name}': events[name] if events else None
            for name in ('error_steps', 'missed', 'extra')}


def _decodability(tokenizer: Tokenizer, sequences: Sequence[IntArray]) -> dict[str, float]:
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


def _decoding(tokenizer: Tokenizer, sequences: Sequence[IntArray]) -> int:
    """Return how many sequences decode: all at once where that works, else one by one."""
    try:
        chunks = tokenizer.decode(sequences)
    except ValueError:
        if len(sequences) == 1:
            return 0
        return sum(_decoding(tokenizer, [sequence]) for sequence in sequences)
    return int((np.isfinite(chunks) & (np.abs(chunks) <= LIMIT)).all((1, 2)).sum())


def _times(tokenizer: Tokenizer, chunks: FloatArray) -> dict[str, float]:
    """Return the median times of one chunk at a time."""
    encoding, decoding = [], []
    for index in range(min(_TIMED, len(chunks))):
        start = perf_counter()
        sequences = tokenizer.encode(chunks[index:index + 1])
        middle = perf_counter()
        tokenizer.decode(sequences)
        encoding.append(middle - start)
        decoding.append(perf_counter() - middle)
    return {'encode_ms': 1e3 * float(np.median(encoding)),
            'decode_ms': 1e3 * float(np.median(decoding))}
