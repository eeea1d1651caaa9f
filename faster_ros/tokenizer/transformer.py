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
"""The conv-transformer autoencoder, TAAE (paper section 3.1): grid encoder and its mirror."""

from __future__ import annotations

from faster_ros.tokenizer.config import TokenizerConfig
import torch
from torch import nn, Tensor
from torch.nn import functional


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and MLP over (B, T, width) cells, full view."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.norm_mlp = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(),
                                 nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return cells of the same shape."""
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(
            -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each B, heads, T, head_dim
        mixed = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        out: Tensor = x + self.mlp(self.norm_mlp(x))
        return out


class LocalBlock(nn.Module):
    """
    A residual convolution over time at one resolution of the grid.

    Columns are not convolved over: neighbouring columns are different joints, in no order.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, (3, 1), padding=(1, 0)), nn.GELU(),
            nn.Conv2d(width, width, 1))

    def forward(self, grid: Tensor) -> Tensor:
        """Return a grid of the same shape (B, width, rows, C_a)."""
        out: Tensor = grid + self.body(grid)
        return out


class GlobalBlocks(nn.Module):
    """Transformer blocks over all cells of the code grid, with learned places."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.place = nn.Parameter(0.02 * torch.randn(1, config.grid_cells, config.width))
        self.blocks = nn.ModuleList(
            TransformerBlock(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, grid: Tensor) -> Tensor:
        """Return a grid of the same shape (B, width, C_h, C_a)."""
        x = grid.flatten(2).transpose(1, 2) + self.place  # B, C_h*C_a, width
        for block in self.blocks:
            x = block(x)
        return self.norm(x).transpose(1, 2).unflatten(2, grid.shape[2:])


class GridEncoder(nn.Module):
    """Cells (B, h, m, C_a) -> latent grid (B, latent_dim, C_h, C_a)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width = config.width
        layers: list[nn.Module] = [nn.Conv2d(config.time_patch, width, 1)]
        for stride in config.time_strides:
            layers += [LocalBlock(width), nn.Conv2d(width, width, (stride, 1), (stride, 1))]
        self.layers = nn.Sequential(*layers, GlobalBlocks(config),
                                    nn.Conv2d(width, config.latent_dim, 1))

    def forward(self, cells: Tensor) -> Tensor:
        """Return the latent grid z."""
        out: Tensor = self.layers(cells)
        return out


class GridDecoder(nn.Module):
    """The mirror of GridEncoder: latent grid -> cells (B, h, m, C_a)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width = config.width
        layers: list[nn.Module] = [nn.Conv2d(config.latent_dim, width, 1), GlobalBlocks(config)]
        for stride in reversed(config.time_strides):
            layers += [nn.ConvTranspose2d(width, width, (stride, 1), (stride, 1)),
                       LocalBlock(width)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, config.time_patch, 1))

    def forward(self, latent: Tensor) -> Tensor:
        """Return the cells of a latent grid."""
        out: Tensor = self.layers(latent)
        return out
