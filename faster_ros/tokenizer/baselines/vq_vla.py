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
"""VQ-VLA (arXiv 2507.01016): causal 2-D convolutions and residual VQ, five rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from faster_ros.tokenizer.baselines.trained import (
    CodedAutoencoder,
    cut,
    Design,
    full_width_codes,
    TrainedTokenizer,
    Training,
    with_plain_projections,
)
from faster_ros.tokenizer.protocol import TokenizerSpec
from faster_ros.tokenizer.residual_quantizer import ResidualQuantizer
import torch
from torch import nn, Tensor
from torch.nn import functional

_WINDOW = 5  # rows
_LEVELS = 4
_CHANNELS = (16, 32)
_LATENT = 128
_NAME, _SOURCE = 'VQ-VLA', 'VQ-VLA: causal convolutions, 5 rows to 4 levels of 256 codes'


def vq_vla(tokens: int = _LEVELS, codes: int = 256, seed: int = 0,
           effort: float = 1.0) -> TrainedTokenizer:
    """
    Return windows x levels tokens, at most ``tokens`` of them.

    Published defaults: 5 rows to 4 levels of 256 codes of 128 numbers; channels 128, 256, 256,
    512, time and action-type embeddings; 400 000 steps of 1024 windows at 5e-5. Here a chunk is
    cut into windows of 5 rows, longer ones where there are fewer than 4 tokens for each; the
    action type is one for each column, there are two resolutions of 16 and 32 channels, and
    ``effort`` 1 is 400 steps of 1000 rows, for a fit in about a minute.
    """
    def design(rows: int, columns: int) -> Design:
        windows = max(1, min(-(-rows // _WINDOW), tokens // _LEVELS))
        levels = tokens // windows
        shape = (-(-rows // windows), columns)
        return Design(
            TokenizerSpec(f'{_NAME} {windows}x{levels}', codes, windows * levels, _SOURCE,
                          levels=levels, codebooks=levels),
            (levels, windows),
            CodedAutoencoder(_Encoder(windows, shape),
                             with_plain_projections(ResidualQuantizer(
                                 full_width_codes(_LATENT, levels, codes))),
                             _Decoder(rows, shape)))

    return TrainedTokenizer(TokenizerSpec(_NAME, codes, None, _SOURCE), design,
                            Training(round(400 * effort), 1000, seed))


class _CausalConv(nn.Conv2d):
    """A 3 x 3 convolution over rows and columns that sees no later row."""

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, channels, rows, columns), both divided by the stride, rounded up."""
        return super().forward(functional.pad(image, (1, 1, 2, 0)))


class _Block(nn.Module):

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(4, channels), nn.SiLU(), _CausalConv(channels, channels, 3),
            nn.GroupNorm(4, channels), nn.SiLU(), _CausalConv(channels, channels, 3))

    def forward(self, image: Tensor) -> Tensor:
        """Return an image of the same shape."""
        return image + self.body(image)


class _Places(nn.Module):
    """Adds what a row and what a column stands for."""

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.time = nn.Parameter(0.02 * torch.randn(_CHANNELS[0], shape[0], 1))
        self.kind = nn.Parameter(0.02 * torch.randn(_CHANNELS[0], 1, shape[1]))

    def forward(self, image: Tensor) -> Tensor:
        """Return an image of the same shape."""
        return image + self.time + self.kind


class _Encoder(nn.Module):

    def __init__(self, windows: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.windows = windows
        layers: list[nn.Module] = [_CausalConv(1, _CHANNELS[0], 3), _Places(shape)]
        for fine, coarse in pairwise(_CHANNELS):
            layers += [_Block(fine), _CausalConv(fine, coarse, 3, 2)]
        rows, columns = _pyramid(shape)[-1]
        self.body = nn.Sequential(*layers, nn.SiLU(), nn.Flatten(),
                                  nn.Linear(_CHANNELS[-1] * rows * columns, _LATENT))

    def forward(self, chunks: Tensor) -> Tensor:
        """Return (B, windows, latent)."""
        images = cut(chunks, self.windows).flatten(0, 1)[:, None]
        return self.body(images).unflatten(0, (-1, self.windows))


class _Decoder(nn.Module):

    def __init__(self, rows: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.rows = rows
        sizes = _pyramid(shape)
        layers: list[nn.Module] = [
            nn.Linear(_LATENT, _CHANNELS[-1] * sizes[-1][0] * sizes[-1][1]),
            nn.Unflatten(1, (_CHANNELS[-1], *sizes[-1]))]
        for size, (coarse, fine) in zip(sizes[-2::-1], pairwise(reversed(_CHANNELS))):
            layers += [nn.Upsample(size), _CausalConv(coarse, fine, 3), _Block(fine)]
        self.body = nn.Sequential(*layers, _Places(shape), nn.SiLU(),
                                  _CausalConv(_CHANNELS[0], 1, 3))

    def forward(self, latent: Tensor) -> Tensor:
        """Return (B, H, D)."""
        images = self.body(latent.flatten(0, 1))[:, 0]
        return images.unflatten(0, latent.shape[:2]).flatten(1, 2)[:, :self.rows]


def _pyramid(shape: tuple[int, int]) -> Sequence[tuple[int, int]]:
    """Return the rows and columns of a window at each number of channels, halving rounded up."""
    sizes = [shape]
    for _ in _CHANNELS[1:]:
        rows, columns = sizes[-1]
        sizes.append((-(-rows // 2), -(-columns // 2)))
    return sizes
