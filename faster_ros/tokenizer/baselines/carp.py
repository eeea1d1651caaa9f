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
"""CARP (arXiv 2412.06782): one latent sequence, quantised from coarse to fine time scales."""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.tokenizer.baselines.trained import (
    CodedAutoencoder,
    cut,
    Design,
    full_width_codes,
    TrainedTokenizer,
    Training,
    with_plain_projections,
)
from faster_ros.tokenizer.kmeans import kmeans
from faster_ros.tokenizer.protocol import TokenizerSpec
from faster_ros.tokenizer.residual_quantizer import Quantized, ResidualQuantizer
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

_CHANNELS, _LATENT, _BLOCKS = 128, 32, 2
_NAME, _SOURCE = 'CARP', 'CARP: scales 1, 2, 3, 4 of one codebook of 512'


def carp(tokens: int = 10, codes: int = 512, seed: int = 0,
         effort: float = 1.0) -> TrainedTokenizer:
    """
    Return 1 + 2 + 3 + ... tokens, coarsest scale first.

    Published defaults: 16 rows of one column at a time, scales 1, 2, 3, 4 that share 512 codes.
    That takes 10 tokens for each column; here all columns are coded at once, in as many scales as
    the tokens allow, the last one taking what is left over. One convolution cuts the rows into
    steps; ``effort`` 1 is 1000 steps of 2000 rows, for a fit in about a minute.
    """
    def design(rows: int, columns: int) -> Design:
        sizes = scales(min(tokens, rows * (rows + 1) // 2))
        numbers = -(-rows // sizes[-1]) * columns
        return Design(
            TokenizerSpec(f'{_NAME} 1..{sizes[-1]}', codes, sum(sizes), _SOURCE),
            (1, sum(sizes)),
            CodedAutoencoder(_Encoder(sizes[-1], numbers),
                             with_plain_projections(MultiScaleQuantizer(sizes, codes)),
                             _Decoder(numbers, rows, columns)))

    return TrainedTokenizer(TokenizerSpec(_NAME, codes, None, _SOURCE), design,
                            Training(round(1000 * effort), 2000, seed))


def scales(tokens: int) -> list[int]:
    """Return 1, 2, 3, ... that add up to ``tokens``, the last with what is left over."""
    sizes: list[int] = []
    while sum(sizes) + len(sizes) + 1 <= tokens:
        sizes.append(len(sizes) + 1)
    sizes[-1] += tokens - sum(sizes)
    return sizes


class MultiScaleQuantizer(ResidualQuantizer):
    """
    One codebook for what is left of a latent sequence at each time scale.

    Drawn for scales 1, 2 and 4 of a sequence a b c d: the mean of all four, then the means of the
    two halves of what is left, both stretched to four, then each of the four that are left.
    """

    def __init__(self, sizes: Sequence[int], codes: int) -> None:
        super().__init__(full_width_codes(_LATENT, 1, codes))
        self.sizes = list(sizes)

    def forward(self, latent: Tensor) -> Quantized:
        """Quantise (B, steps, latent) to codes (B, 1, tokens); in training the codebook learns."""
        z = self.project_in(latent)
        if self.training and self.updates == 0:
            self._place(z.detach())
        rest, seen, codes = z.detach(), [], []
        for size in self.sizes:
            seen.append(_pooled(rest, size))
            codes.append(self._nearest(0, seen[-1]))
            rest = rest - self._stretched(self.codebooks[0][codes[-1]])
        index = torch.cat(codes, 1)
        if self.training:
            self._learn(0, torch.cat(seen, 1).flatten(0, 1), index.flatten())
            self.updates += 1
        total = z.detach() - rest
        straight = z + (total - z).detach()
        return Quantized(self.project_out(straight), index[:, None],
                         (z - total).square().mean())

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the latent (B, steps, latent) of codes (B, 1, tokens); -1 adds nothing."""
        chosen = self.codebooks[0][codes[:, 0].clamp(min=0)] * (codes[:, 0] >= 0)[..., None]
        parts = [self._stretched(part) for part in chosen.split(self.sizes, 1)]
        return self.project_out(torch.stack(parts).sum(0))

    def _stretched(self, part: Tensor) -> Tensor:
        return functional.interpolate(part.mT, self.sizes[-1], mode='linear').mT

    @torch.no_grad()
    def _place(self, rest: Tensor) -> None:
        """Give each scale an equal share of the codes, by k-means over what is left there."""
        rng = np.random.default_rng(0)
        shares = np.diff(np.linspace(0, self.config.codebook_size, len(self.sizes) + 1).round())
        books = []
        for size, share in zip(self.sizes, shares):
            seen = _pooled(rest, size)
            points = seen.flatten(0, 1).double().numpy()
            books.append(torch.from_numpy(kmeans(points, int(share), rng)).float())
            index = torch.cdist(seen, books[-1]).argmin(-1)
            rest = rest - self._stretched(books[-1][index])
        self.codebooks[0] = self.sums[0] = torch.cat(books)
        self.usage[0] = 1.0


def _pooled(sequence: Tensor, size: int) -> Tensor:
    return functional.adaptive_avg_pool1d(sequence.mT, size).mT


class _Block(nn.Module):
    """A residual convolution over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.SiLU(), nn.Conv1d(_CHANNELS, _CHANNELS, 3, padding=1),
            nn.SiLU(), nn.Conv1d(_CHANNELS, _CHANNELS, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, steps)."""
        return x + self.body(x)


class _Encoder(nn.Module):

    def __init__(self, steps: int, numbers: int) -> None:
        super().__init__()
        self.steps = steps
        self.body = nn.Sequential(nn.Conv1d(numbers, _CHANNELS, 1),
                                  *[_Block() for _ in range(_BLOCKS)],
                                  nn.Conv1d(_CHANNELS, _LATENT, 1))

    def forward(self, chunks: Tensor) -> Tensor:
        """Return (B, steps, latent)."""
        return self.body(cut(chunks, self.steps).flatten(2).mT).mT


class _Decoder(nn.Module):

    def __init__(self, numbers: int, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        self.body = nn.Sequential(nn.Conv1d(_LATENT, _CHANNELS, 1),
                                  *[_Block() for _ in range(_BLOCKS)],
                                  nn.Conv1d(_CHANNELS, numbers, 1))

    def forward(self, latent: Tensor) -> Tensor:
        """Return (B, H, D)."""
        flat = self.body(latent.mT).mT.flatten(1)
        return flat.unflatten(1, (-1, self.columns))[:, :self.rows]
