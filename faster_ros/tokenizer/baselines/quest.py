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
"""QueST (arXiv 2407.15840): causal convolutions and transformer, finite scalar quantisation."""

from __future__ import annotations

from faster_ros.tokenizer.baselines.trained import (
    CodedAutoencoder,
    Design,
    TrainedTokenizer,
    Training,
)
from faster_ros.tokenizer.protocol import TokenizerSpec
from faster_ros.tokenizer.residual_quantizer import Quantized
import torch
from torch import nn, Tensor
from torch.nn import functional

_LEVELS = (8, 5, 5, 5)
_CODES = 1000
_STRIDE = 2  # of the first convolution; the second takes the rest of the way
_DOWNSAMPLING = 4
_WIDTH, _HEADS, _DECODER_LAYERS = 64, 4, 2
_NAME, _SOURCE = 'QueST', 'QueST: FSQ of 8, 5, 5, 5, one token for 4 rows'


def quest(tokens: int = 8, seed: int = 0, effort: float = 1.0) -> TrainedTokenizer:
    """
    Return groups x steps tokens, at most ``tokens`` of them.

    Published defaults: 32 rows to 8 tokens of 1000 codes; kernels of 5 and 3, a causal encoder
    of 2 layers and a decoder of 4, 256 wide with 4 heads, L1. Here each step of 4 rows gets as
    many tokens as there are for each; only where there is none for each, steps span more rows.
    Width 64, 1 and 2 layers and, at ``effort`` 1, 800 steps of 1600 rows, for a fit in about a
    minute.
    """
    def design(rows: int, columns: int) -> Design:
        stride, steps, groups = layout(rows, tokens)
        return Design(
            TokenizerSpec(f'{_NAME} {groups}x{steps}', _CODES, groups * steps, _SOURCE),
            (groups, steps),
            CodedAutoencoder(_Encoder(stride, steps, groups, columns),
                             FiniteScalarQuantizer(groups),
                             _Decoder(rows, steps, groups, columns)))

    return TrainedTokenizer(TokenizerSpec(_NAME, _CODES, None, _SOURCE), design,
                            Training(round(800 * effort), 1600, seed))


def layout(rows: int, tokens: int) -> tuple[int, int, int]:
    """
    Return the second stride, steps and tokens of a step.

    Steps of 4 rows where there are tokens for them; else most tokens, then most steps.
    """
    shortest = _DOWNSAMPLING // _STRIDE
    steps = -(-rows // _DOWNSAMPLING)
    if steps <= tokens:
        return shortest, steps, tokens // steps
    choices = []
    for stride in range(shortest + 1, -(-rows // _STRIDE) + 1):
        steps = -(-rows // (_STRIDE * stride))
        choices.append((tokens // steps * steps, steps, -stride))
    _, steps, stride = max(choices)
    return -stride, steps, tokens // steps


class FiniteScalarQuantizer(nn.Module):
    """Rounds each of 4 numbers of a code to its own few levels; there is no codebook to learn."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        levels = torch.tensor(_LEVELS)
        self.groups = groups
        self.register_buffer('levels', levels, persistent=False)
        self.register_buffer('basis', torch.tensor([1, *_LEVELS[:-1]]).cumprod(0),
                             persistent=False)
        self.levels: Tensor
        self.basis: Tensor

    def forward(self, latent: Tensor) -> Quantized:
        """Quantise (B, steps, groups * 4), straight through, to codes (B, groups, steps)."""
        z = latent.unflatten(2, (self.groups, -1))
        half = (self.levels - 1) * 0.4995  # a little less, so that rounding stays inside
        offset = 0.5 * (self.levels % 2 == 0)
        bounded = (z + (offset / half).atanh()).tanh() * half - offset
        whole = bounded.round()
        codes = ((whole + self.levels // 2) * self.basis).sum(-1).long().mT
        straight = (bounded + (whole - bounded).detach()) / (self.levels // 2)
        return Quantized(straight.flatten(2), codes, latent.new_zeros(()))

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the latent (B, steps, groups * 4) of codes; -1 is the middle of all levels."""
        digits = codes.mT[..., None] // self.basis % self.levels
        values = (digits - self.levels // 2) / (self.levels // 2)
        return (values * (codes.mT >= 0)[..., None]).flatten(2)


class _Encoder(nn.Module):

    def __init__(self, stride: int, steps: int, groups: int, columns: int) -> None:
        super().__init__()
        self.rows = _STRIDE * stride * steps
        self.first = nn.Conv1d(columns, _WIDTH, 5, _STRIDE)
        self.second = nn.Conv1d(_WIDTH, _WIDTH, max(3, stride), stride)
        self.place = nn.Parameter(0.02 * torch.randn(steps, _WIDTH))
        self.layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, 2 * _WIDTH, 0.0, 'gelu',
                                                batch_first=True, norm_first=True)
        self.out = nn.Linear(_WIDTH, len(_LEVELS) * groups)
        self.register_buffer('later', _later(steps, steps), persistent=False)
        self.later: Tensor

    def forward(self, chunks: Tensor) -> Tensor:
        """Return (B, steps, groups * 4)."""
        extra = self.rows - chunks.shape[1]
        x = torch.cat([chunks, chunks[:, -1:].expand(-1, extra, -1)], 1).mT
        for conv in (self.first, self.second):
            # Ends each kernel on the last row of its stride, so that no step sees a later one.
            before = conv.kernel_size[0] - conv.stride[0]
            x = functional.gelu(conv(functional.pad(x, (before, 0))))
        return self.out(self.layer(x.mT + self.place, src_mask=self.later))


class _Decoder(nn.Module):

    def __init__(self, rows: int, steps: int, groups: int, columns: int) -> None:
        super().__init__()
        self.inside = nn.Linear(len(_LEVELS) * groups, _WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(steps, _WIDTH))
        self.query = nn.Parameter(0.02 * torch.randn(rows, _WIDTH))
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(_WIDTH, _HEADS, 2 * _WIDTH, 0.0, 'gelu',
                                       batch_first=True, norm_first=True)
            for _ in range(_DECODER_LAYERS))
        self.out = nn.Sequential(nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, columns))
        self.register_buffer('later', _later(rows, rows), persistent=False)
        self.later: Tensor

    def forward(self, latent: Tensor) -> Tensor:
        """Return (B, H, D); each row looks at earlier rows and at all codes."""
        memory = self.inside(latent) + self.place
        x = self.query.expand(len(latent), -1, -1)
        for layer in self.layers:
            x = layer(x, memory, tgt_mask=self.later)
        return self.out(x)


def _later(rows: int, columns: int) -> Tensor:
    """Return the mask that is True where a row would see a later column."""
    return torch.ones(rows, columns, dtype=torch.bool).triu(1)
