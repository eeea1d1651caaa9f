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
"""VQ-BeT (arXiv 2403.03181) and MiniVLA: residual VQ behind a small MLP, window by window."""

from __future__ import annotations

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
from torch import nn, Tensor

_WINDOW = 8  # rows
_LEVELS = 7
_HIDDEN = 128
_LATENT = 64
_NAME, _SOURCE = 'VQ-BeT', 'VQ-BeT, MiniVLA: MLP of 128, 8 rows to 7 levels of 128 codes'


def vq_bet(tokens: int = _LEVELS, codes: int = 128, seed: int = 0,
           effort: float = 1.0) -> TrainedTokenizer:
    """
    Return windows x levels tokens, at most ``tokens`` of them.

    Published defaults: one hidden layer of 128, latent 512, L1 and commitment; VQ-BeT windows of
    10 rows to 4 levels of 32 codes, MiniVLA 8 rows to 7 levels of 128 codes. Here a chunk is cut
    into windows of about 8 rows, longer ones where the tokens allow fewer than 7 for each. The
    latent has 64 numbers, and ``effort`` 1 is 2000 steps of 4000 rows, for a fit in about a
    minute.
    """
    def design(rows: int, columns: int) -> Design:
        windows = max(1, min(-(-rows // _WINDOW), round(tokens / _LEVELS)))
        levels = tokens // windows
        numbers = -(-rows // windows) * columns
        return Design(
            TokenizerSpec(f'{_NAME} {windows}x{levels}', codes, windows * levels, _SOURCE,
                          levels=levels, codebooks=levels),
            (levels, windows),
            CodedAutoencoder(_Encoder(windows, numbers),
                             with_plain_projections(ResidualQuantizer(
                                 full_width_codes(_LATENT, levels, codes))),
                             _Decoder(numbers, rows, columns)))

    return TrainedTokenizer(TokenizerSpec(_NAME, codes, None, _SOURCE), design,
                            Training(round(2000 * effort), 4000, seed))


class _Encoder(nn.Module):

    def __init__(self, windows: int, numbers: int) -> None:
        super().__init__()
        self.windows = windows
        self.body = _mlp(numbers, _LATENT)

    def forward(self, chunks: Tensor) -> Tensor:
        """Return (B, windows, latent)."""
        return self.body(cut(chunks, self.windows).flatten(2))


class _Decoder(nn.Module):

    def __init__(self, numbers: int, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns
        self.body = _mlp(_LATENT, numbers)

    def forward(self, latent: Tensor) -> Tensor:
        """Return (B, H, D)."""
        return self.body(latent).flatten(1).unflatten(1, (-1, self.columns))[:, :self.rows]


def _mlp(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, outputs))
