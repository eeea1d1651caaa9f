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
The rows of the paper's benchmark: on one trunk, how a chunk is told and decoded.

Every row has the backbone and the expert's layers of the demo's policy; it differs in what the
last layer names (codes, bins, pieces, numbers) and in how many passes it takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from faster_ros.interfaces import FloatArray
from faster_ros.policy.backbones.base import Prefix
from faster_ros.policy.chunk_decoding import generated_chunks
from faster_ros.policy.config import PolicyConfig
from faster_ros.policy.continuous_heads import ContinuousHead, FlowHead, RegressionHead
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.open_ended import OpenEndedVLA
from faster_ros.tokenizer.baselines.binning import Binning
from faster_ros.tokenizer.baselines.bspline import BSplines
from faster_ros.tokenizer.baselines.fast import Fast
from faster_ros.tokenizer.protocol import IntArray, Tokenizer, UndecodableError
from faster_ros.training.grid_tokenizer import GridFasterVq
import numpy as np
import torch
from torch import Tensor

TOKENIZERS = {'fast': Fast, 'binning': Binning, 'bspline': BSplines}
HEADS = {'l1': RegressionHead, 'flow': FlowHead}
FASTER_VQ = 'faster_vq'


@dataclass(frozen=True)
class Row:
    """
    One line of the table.

    ``told``: a tokenizer or a head. ``block``: tokens of a pass, 0 for all of them; ``levels``:
    residual levels that are decoded; ``mean_latent``: whether codes of FASTerVQ are decoded as
    the mean over all of them, as the shipped policy does; ``codebook_head``: whether its head
    begins from the codebooks. ``weights``: the row whose trained weights it takes, '' for its
    own; ``variant``: the world of its trials.
    """

    name: str
    text: str
    told: str = FASTER_VQ
    block: int = 8
    expert: str = 'plain'
    levels: int | None = None
    mean_latent: bool = True
    codebook_head: bool = False
    weights: str = ''
    variant: str = 'trained'

    @property
    def trained_as(self) -> str:
        """Return the row whose weights these are."""
        return self.weights or self.name


BAR = Row('bar', 'FASTerVLA: blocks of a level, expert')
ROWS = {row.name: row for row in (
    BAR,
    Row('ar', 'FASTerVQ, token by token', block=1),
    Row('fast', 'FAST: DCT and byte pairs, token by token', 'fast', 1),
    Row('binning', 'a bin for each number, token by token', 'binning', 1),
    Row('bspline', 'B-spline control points, one pass', 'bspline', 0),
    Row('l1', 'regression of the numbers, one pass', 'l1'),
    Row('flow', 'flow matching, 10 steps', 'flow'),
    Row('bar_codebook_head', 'FASTerVLA, its head begins from the codebooks', codebook_head=True),
    Row('no_expert', 'FASTerVLA without expert', expert='none'),
    Row('block_4', 'FASTerVLA, blocks of 4', block=4),
    Row('block_24', 'FASTerVLA, all in one pass', block=0),
    Row('bar_likeliest', 'FASTerVLA, only the likeliest codes', mean_latent=False,
        weights=BAR.name),
    Row('levels_1', 'FASTerVLA, 1 level decoded', levels=1, weights=BAR.name),
    Row('levels_2', 'FASTerVLA, 2 levels decoded', levels=2, weights=BAR.name),
    *(Row(f'bar@{variant}', f'FASTerVLA, {text}', weights=BAR.name, variant=variant)
      for variant, text in (
          ('shades', 'other shades'), ('positions', 'cubes outside the area'),
          ('distractors', 'two more cubes'), ('camera', 'the front camera moved'))),
)}


def row_named(name: str) -> Row:
    """Return a row; ``row@variant`` is any row in another world."""
    plain, _, variant = name.partition('@')
    if name in ROWS:
        return ROWS[name]
    if plain not in ROWS:
        raise ValueError(f"row '{name}' is unknown; expected some of {', '.join(ROWS)}, or "
                         'row@variant')
    row = ROWS[plain]
    return replace(row, name=name, text=f'{row.text}, {variant}', weights=row.trained_as,
                   variant=variant)


@dataclass(frozen=True)
class Answer:
    """
    Decoded chunks.

    ``chunks``: (B, H, D), normalised; NaN where tokens stood for none; ``tokens``: of each, (B,);
    ``passes``: of the batch.
    """

    chunks: FloatArray
    tokens: IntArray
    passes: int


class Subject(Protocol):
    """What a row trains, and what it answers."""

    @property
    def model(self) -> FASTerVLA | ContinuousHead:
        """Return what is trained."""

    def targets(self, chunks: FloatArray) -> Tensor:
        """Return what the model learns of chunks (N, H, D), as (N, 1, ...)."""

    def answer(self, prefix: Prefix) -> Answer:
        """Return the chunks that follow a prefix."""

    def reconstruct(self, chunks: FloatArray) -> FloatArray:
        """Return what remains of chunks (N, H, D) when they are told as the row tells them."""


class Codes:
    """A policy that names tokens of a fitted tokenizer."""

    def __init__(self, row: Row, tokenizer: Tokenizer, config: PolicyConfig,
                 chunks: FloatArray) -> None:
        self._tokenizer = tokenizer
        spec = tokenizer.spec
        self._shape = chunks.shape[1:]
        self._open = spec.tokens is None
        tokens = spec.tokens or 1 + max(map(len, tokenizer.encode(chunks)))
        codebook = spec.vocabulary + int(self._open)
        config = replace(
            config, levels=spec.levels, codes_per_level=tokens // spec.levels,
            codebook_size=codebook, block_size=row.block or tokens, expert=row.expert)
        self.model: FASTerVLA = (OpenEndedVLA if self._open else FASTerVLA)(config)

    def targets(self, chunks: FloatArray) -> Tensor:
        """Return codes (N, 1, K, T); an open sequence is filled with its end."""
        config = self.model.config
        codes = np.full((len(chunks), config.tokens), config.codebook_size - 1)
        for row, sequence in zip(codes, self._tokenizer.encode(chunks)):
            row[:len(sequence)] = sequence[:config.tokens - int(self._open)]
        return torch.from_numpy(codes).view(-1, 1, config.levels, config.codes_per_level)

    def answer(self, prefix: Prefix) -> Answer:
        """Return the chunks of the decoded codes."""
        codes: IntArray = self.model.decode(prefix).flatten(1).numpy()
        lengths = np.full(len(codes), codes.shape[1])
        if self._open:
            ends = codes == self.model.config.codebook_size - 1
            lengths = np.where(ends.any(1), ends.argmax(1), codes.shape[1])
        chunks = np.stack([self._chunk(row[:length]) for row, length in zip(codes, lengths)])
        return Answer(chunks, lengths, -(-codes.shape[1] // self.model.config.block_size))

    def reconstruct(self, chunks: FloatArray) -> FloatArray:
        """Return chunks that were encoded and decoded."""
        return self._tokenizer.decode(self._tokenizer.encode(chunks))

    def _chunk(self, sequence: IntArray) -> FloatArray:
        try:
            chunk: FloatArray = self._tokenizer.decode([sequence])[0]
            return chunk
        except UndecodableError:
            return np.full(self._shape, np.nan)


class GridCodes(Codes):
    """A policy that names codes of FASTerVQ, which decodes them as the shipped policy does."""

    def __init__(self, row: Row, tokenizer: GridFasterVq, config: PolicyConfig,
                 chunks: FloatArray) -> None:
        assert tokenizer.model is not None
        super().__init__(row, tokenizer, replace(config, mean_latent=row.mean_latent), chunks)
        if row.codebook_head:
            self.model.expert.start_from_codebooks(tokenizer.model.quantizer.codebooks)
        self._faster_vq, self._levels = tokenizer.model, row.levels or config.levels
        self._kept = self._levels * config.codes_per_level

    def answer(self, prefix: Prefix) -> Answer:
        """Return the chunks of the decoded levels."""
        config = self.model.config
        chunks = generated_chunks(partial(self.model.decode, prefix), self._faster_vq, config,
                                  levels=self._levels)
        return Answer(chunks.double().numpy(), np.full(len(chunks), self._kept),
                      -(-self._kept // config.block_size))

    def reconstruct(self, chunks: FloatArray) -> FloatArray:
        """Return chunks that were encoded and decoded, with the levels of the row."""
        return self._tokenizer.decode([
            sequence[:self._kept] for sequence in self._tokenizer.encode(chunks)])


class Numbers:
    """A policy whose head gives the numbers of a chunk."""

    def __init__(self, row: Row, config: PolicyConfig, chunks: FloatArray) -> None:
        horizon, columns = chunks.shape[1:]
        config = replace(config, levels=1, codes_per_level=horizon, codebook_size=1,
                         block_size=horizon, expert=row.expert)
        self.model: ContinuousHead = HEADS[row.told](config, columns)

    def targets(self, chunks: FloatArray) -> Tensor:
        """Return the chunks as (N, 1, H, D)."""
        return torch.from_numpy(chunks[:, None]).float()

    def answer(self, prefix: Prefix) -> Answer:
        """Return the chunks that the head gives; a row of them is one token."""
        chunks = self.model.decode(prefix).double().numpy()
        return Answer(chunks, np.full(len(chunks), chunks.shape[1]), self.model.passes)

    def reconstruct(self, chunks: FloatArray) -> FloatArray:
        """Return the chunks: nothing is lost."""
        return chunks


def make_subject(row: Row, faster_vq: GridFasterVq, config: PolicyConfig,
                 chunks: FloatArray) -> Subject:
    """Return the untrained policy of a row, its tokenizer fitted to chunks (N, H, D)."""
    if row.told in HEADS:
        return Numbers(row, config, chunks)
    if row.told == FASTER_VQ:
        return GridCodes(row, faster_vq, config, chunks)
    tokenizer: Tokenizer = TOKENIZERS[row.told]()
    tokenizer.fit(chunks)
    return Codes(row, tokenizer, config, chunks)
