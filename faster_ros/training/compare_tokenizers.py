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
from functools import cached_property
from time import perf_counter
from typing import Any

from faster_ros.data.normalisation import Normaliser
from faster_ros.data.recordings import fit_normaliser, horizon_rows, Recording, windows
from faster_ros.data.rotations import angles, valid_rotations
from faster_ros.evaluation import chunk_metrics
from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import IntArray, LIMIT, Tokenizer, TokenizerSpec
from faster_ros.training import tokenizer_probes as probes
import numpy as np
from tqdm import tqdm

_TEST_SHARE = 0.2
_TRAIN_STRIDES = 10  # training chunks begin a tenth of a chunk apart, test chunks half of one
_TEST_STRIDES = 2
_COUNTED = 5000  # training chunks that the use of codes is counted on

Maker = Callable[[int], Tokenizer]


@dataclass(frozen=True)
class Split:
    """
    Chunks of one split of the episodes; ``owner`` numbers the episode of each test chunk.

    ``train``, ``test`` and ``test_episodes`` are normalised and clipped; ``recorded`` are the test
    chunks as they were, in the units of the recording.
    """

    train: FloatArray
    test: FloatArray
    recorded: FloatArray
    owner: IntArray
    test_episodes: list[FloatArray]
    normaliser: Normaliser
    held_out: list[int] = field(default_factory=list)

    @property
    def clipped(self) -> float:
        """Return the share of the test chunks' numbers that are clipped."""
        return float((np.abs(self.test) >= LIMIT).mean())

    @cached_property
    def variances(self) -> FloatArray:
        """Return those of the test chunks along the principal axes of the training chunks."""
        return chunk_metrics.component_variances(self.train, self.test)


@dataclass(frozen=True)
class Measured:
    """
    One tokenizer on one split.

    ``figures`` are plain numbers by name; ``groups`` are errors in the recording's units;
    ``levels`` is the use of codes, and the MSE with the levels up to this one; ``errors`` the MSE
    of each test chunk, of episode ``owner``; ``pictures`` maps 'median' and 'worst' to (original,
    decoded) in the recording's units.
    """

    spec: TokenizerSpec
    figures: dict[str, float | None]
    groups: dict[str, dict[str, float]]
    levels: list[dict[str, float]]
    errors: FloatArray
    owner: IntArray
    pictures: dict[str, tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Comparison:
    """``results``: for each tokenizer its splits; ``failed``: name -> why it has none."""

    results: list[list[Measured]]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> list[str]:
        """Return a line for each tokenizer that failed."""
        return [f'{name} failed: {error}' for name, error in self.failed.items()]


def split_episodes(recording: Recording, horizon: int, seed: int) -> Split:
    """Return the chunks of a split by episode; the normaliser sees training episodes only."""
    order = np.random.default_rng([seed, 1]).permutation(len(recording.episodes))
    held_out = max(1, round(_TEST_SHARE * len(order)))
    train = [recording.episodes[index] for index in order[held_out:]]
    normaliser = fit_normaliser(train, recording.grippers)
    fitted = windows(train, horizon, max(1, horizon // _TRAIN_STRIDES))
    return _split(recording, order[:held_out], horizon, normaliser,
                  normaliser.normalise(fitted, LIMIT))


def everything(recording: Recording, horizon: int, normaliser: Normaliser) -> Split:
    """Return all chunks as test chunks, in the range of another recording."""
    return _split(recording, np.arange(len(recording.episodes)), horizon, normaliser)


def _split(recording: Recording, held_out: IntArray, horizon: int, normaliser: Normaliser,
           train: FloatArray | None = None) -> Split:
    """Return a split with some episodes to test on; without ``train`` they stand for it."""
    episodes = [recording.episodes[index] for index in held_out]
    parts = [windows([episode], horizon, max(1, horizon // _TEST_STRIDES))
             for episode in episodes]
    recorded = np.concatenate(parts)
    test = normaliser.normalise(recorded, LIMIT)
    return Split(test if train is None else train, test, recorded,
                 np.repeat(held_out, [len(part) for part in parts]),
                 [normaliser.normalise(episode, LIMIT) for episode in episodes], normaliser,
                 sorted(held_out.tolist()))


def compare(recording: Recording, makers: Sequence[Maker], horizon_s: float,
            seeds: int) -> Comparison:
    """Measure each tokenizer on ``seeds`` splits; one that fails loses its own results only."""
    horizon = horizon_rows(recording.rate_hz, horizon_s)
    results: list[list[Measured]] = [[] for _ in makers]
    failed: dict[int, str] = {}
    names = [make(0).spec.name for make in makers]
    with tqdm(total=seeds * len(makers), desc='tokenizers', unit='fit') as bar:
        for seed in range(seeds):
            split = split_episodes(recording, horizon, seed)
            for place, make in enumerate(makers):
                bar.set_postfix_str(names[place])
                try:
                    if place not in failed:
                        results[place].append(_fit_and_measure(make(seed), split, recording))
                except Exception as error:  # of any library; it is told by name at the end
                    failed[place] = f'{type(error).__name__}: {error}'
                bar.update()
    comparison = Comparison(
        [result for place, result in enumerate(results) if place not in failed],
        {names[place]: error for place, error in failed.items()})
    if not comparison.results:
        raise ValueError('; '.join(comparison.failures))
    return comparison


def _fit_and_measure(tokenizer: Tokenizer, split: Split, recording: Recording) -> Measured:
    start = perf_counter()
    tokenizer.fit(split.train)
    return measure(tokenizer, split, recording, perf_counter() - start)


def measure(tokenizer: Tokenizer, split: Split, recording: Recording,
            fit_seconds: float) -> Measured:
    """Measure a fitted tokenizer on the test chunks of a split."""
    spec, test = tokenizer.spec, split.test
    sequences = tokenizer.encode(test)
    decoded = tokenizer.decode(sequences)
    rotations = recording.rotations
    # In the units of the recording an error holds what clipping has cost, too.
    recorded, restored = (valid_rotations(chunks, list(rotations.values())) for chunks in (
        split.recorded, split.normaliser.restore(decoded)))
    errors = np.square(decoded - test).mean((1, 2))
    lengths = chunk_metrics.token_lengths(sequences, spec.vocabulary, test[0].size)
    figures: dict[str, float | None] = {
        **lengths,
        'gaussian_mse': chunk_metrics.gaussian_mse(split.variances, lengths['bits']),
        **chunk_metrics.reconstruction(decoded, test),
        'clipped': split.clipped,
        'jerk_ratio': chunk_metrics.jerk_ratio(decoded, test),
        'border_jump': probes.border_jump(tokenizer, split.test_episodes, test.shape[1]),
        **_gripper_figures(decoded, test, recording.binary),
        'overlap': probes.overlap(tokenizer, split.test_episodes, test.shape[1]),
        **probes.decodability(tokenizer, sequences),
        **probes.times(tokenizer, test),
        'fit_s': fit_seconds,
    }
    by_error = np.argsort(errors)
    return Measured(
        spec, figures,
        chunk_metrics.group_errors(restored, recorded, recording.groups)
        | _angle_errors(restored, recorded, rotations),
        _levels(tokenizer, split, sequences), errors, split.owner,
        {name: (recorded[index], restored[index])
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
        'use': _by_level(results, 'use'), 'perplexity': _by_level(results, 'perplexity'),
        'level_mse': _by_level(results, 'mse'),
        'groups': {group: {key: float(np.mean([result.groups[group][key] for result in results]))
                           for key in ('l1', 'p99')} for group in results[0].groups},
    }


def _by_level(results: Sequence[Measured], key: str) -> list[float]:
    """Return the means of a figure of each level; none where it is not known."""
    return [float(np.mean([result.levels[level][key] for result in results]))
            for level, known in enumerate(results[0].levels) if key in known]


def _levels(tokenizer: Tokenizer, split: Split,
            sequences: Sequence[IntArray]) -> list[dict[str, float]]:
    """Return the use of codes by training chunks, and the error of test chunks, level by level."""
    spec = tokenizer.spec
    some = split.train[::-(-len(split.train) // _COUNTED)]
    levels = chunk_metrics.codebook_use(tokenizer.encode(some), spec.vocabulary, spec.codebooks,
                                        spec.levels)
    for level, mse in zip(levels, probes.level_errors(tokenizer, sequences, split.test)):
        level['mse'] = mse
    return levels


def _angle_errors(decoded: FloatArray, target: FloatArray,
                  rotations: Mapping[str, Sequence[int]]) -> dict[str, dict[str, float]]:
    """Return mean and p99 of the angle in degrees that each rotation is off."""
    errors = {f'{name} (deg)': angles(decoded[..., list(columns)], target[..., list(columns)])
              for name, columns in rotations.items()}
    return {name: {'l1': float(error.mean()), 'p99': float(np.quantile(error, 0.99))}
            for name, error in errors.items()}


def _gripper_figures(decoded: FloatArray, test: FloatArray,
                     grippers: Sequence[int]) -> dict[str, float | None]:
    if not grippers:
        return {}
    columns = [chunks[..., list(grippers)].transpose(0, 2, 1).reshape(-1, test.shape[1])
               for chunks in (decoded, test)]
    return {f'gripper_{name}': value
            for name, value in chunk_metrics.gripper_events(*columns).items()}
