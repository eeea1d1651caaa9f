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
Encoder and decoder of FASTerVQ for small data: linear, plus the conv-transformer in the decoder.

A linear path, which PCA sets before training, carries the whole chunk to ``slots`` latents and
back; the conv-transformer of the paper adds to what is decoded and starts at zero, so that
training begins at what PCA reaches.
"""

from __future__ import annotations

from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.patchify import Patchifier
from faster_ros.tokenizer.transformer import GridDecoder
import torch
from torch import nn, Tensor


class SlotEncoder(nn.Module):
    """Chunks (B, H, D) -> latents (B, slots, latent_dim)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        numbers = config.action_horizon * config.action_dim
        self.config = config
        self.linear = nn.Linear(numbers, config.slots * config.latent_dim)

    def forward(self, chunks: Tensor) -> Tensor:
        """Return the latents."""
        latent: Tensor = self.linear(chunks.flatten(1))
        return latent.unflatten(1, (self.config.slots, -1))


class SlotDecoder(nn.Module):
    """Latents (B, slots, latent_dim) -> chunks (B, H, D)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        numbers = config.action_horizon * config.action_dim
        self.config = config
        self.patchifier = Patchifier(config)
        self.linear = nn.Linear(config.slots * config.latent_dim, numbers)
        self.spread = nn.Parameter(
            torch.randn(config.grid_cells, config.slots) / config.slots ** 0.5)
        self.grid = GridDecoder(config)
        self.gate = nn.Parameter(torch.zeros(config.action_dim))

    def forward(self, latent: Tensor) -> Tensor:
        """Return the chunks."""
        config, straight = self.config, self.straight(latent)
        if not config.conv_transformer:
            return straight
        grid = (self.spread @ latent).mT.unflatten(2, (config.code_rows, -1))
        return straight + self.gate * self.patchifier.unpatchify(self.grid(grid))

    def straight(self, latent: Tensor) -> Tensor:
        """Return what the linear path gives."""
        flat: Tensor = self.linear(latent.flatten(1))
        return flat.unflatten(1, (self.config.action_horizon, -1))
