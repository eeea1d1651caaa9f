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
What every action tokenizer offers: FASTerVQ and the published ones it is compared with.

All of them see chunks (N, H, D) that are normalised by quantiles and clipped at ``LIMIT``; a
tokenizer learns H and D in ``fit``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from faster_ros.interfaces import FloatArray
import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

LIMIT = 1.5  # normalised chunks are clipped here: half a quantile range beyond either end


@dataclass(frozen=True)
class TokenizerSpec:
    """
    What a tokenizer promises.

    ``vocabulary``: ids lie in [0, vocabulary). ``tokens``: the fixed number of tokens of a chunk,
    or None where it varies. ``levels``: residual levels, each a prefix that decodes.
    ``codebooks``: how many codebooks share the tokens, in equal runs from the first token on.
    ``source``: where it is published and with which defaults.
    """

    name: str
    vocabulary: int
    tokens: int | None
    source: str
    levels: int = 1
    codebooks: int = 1


class UndecodableError(ValueError):
    """A sequence of valid ids that stands for no chunk."""


class Tokenizer(Protocol):
    """Turns chunks into sequences of integers and back."""

    @property
    def spec(self) -> TokenizerSpec:
        """Return what the tokenizer promises; complete after ``fit``."""

    def fit(self, chunks: FloatArray) -> None:
        """Learn from training chunks (N, H, D)."""

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return one sequence of ids for each of the chunks (N, H, D)."""

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks (N, H, D); a sequence without a meaning is an UndecodableError."""


def check_ids(sequence: IntArray, spec: TokenizerSpec, prefix_decodes: bool) -> None:
    """Refuse an id outside the vocabulary, naming its place, or a wrong number of tokens."""
    outside = np.flatnonzero((sequence < 0) | (sequence >= spec.vocabulary))
    if len(outside):
        raise ValueError(f'{spec.name}: token {outside[0]} must be in [0, {spec.vocabulary}), '
                         f'got {sequence[outside[0]]}')
    if spec.tokens is None:
        return
    shortest = 1 if prefix_decodes else spec.tokens
    if not shortest <= len(sequence) <= spec.tokens:
        wanted = f'1 to {spec.tokens}' if prefix_decodes else str(spec.tokens)
        raise UndecodableError(f'{spec.name}: expected {wanted} tokens, got {len(sequence)}')


def padded_ids(sequences: Sequence[IntArray], spec: TokenizerSpec,
               prefix_decodes: bool) -> IntArray:
    """Return checked sequences as (N, tokens), -1 where a beginning leaves tokens out."""
    assert spec.tokens is not None
    ids = np.full((len(sequences), spec.tokens), -1)
    for row, sequence in zip(ids, sequences):
        check_ids(sequence, spec, prefix_decodes)
        row[:len(sequence)] = sequence
    return ids


def refuse_unfitted(spec: TokenizerSpec, fitted: bool) -> None:
    """Refuse to work before ``fit``."""
    if not fitted:
        raise ValueError(f'{spec.name} must be fitted to chunks before it encodes or decodes')


class UniformLevels:
    """Uniform quantisation of columns to ``levels`` bins between a low and a high value each."""

    def __init__(self, low: FloatArray, high: FloatArray, levels: int) -> None:
        self.low = low
        self.width = np.maximum(high - low, 1e-9) / levels
        self.levels = levels

    def encode(self, values: FloatArray) -> IntArray:
        """Return the bins of values (..., columns); what lies outside takes the last bin."""
        bins = np.floor((values - self.low) / self.width).astype(np.int64)
        clipped: IntArray = np.clip(bins, 0, self.levels - 1)
        return clipped

    def decode(self, bins: IntArray) -> FloatArray:
        """Return the centres of bins."""
        centres: FloatArray = self.low + (bins + 0.5) * self.width
        return centres
