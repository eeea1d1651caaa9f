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

    Columns are not convolved over: neighbouring columns are different joints, in no order. Only
    a pure CNN, which has no other way to relate them, takes ``columns`` of 3 and more.
    """

    def __init__(self, width: int, columns: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, (3, columns), padding=(1, columns // 2)), nn.GELU(),
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


class GroupMixing(nn.Module):
    """
    Adds to each patch (h steps of one group of columns) a linear map of all its numbers.

    Groups are padded with zeros to the widest; what the map puts into the padding is dropped.
    """

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        sizes = [len(group) for group in config.groups.values()]
        self.groups, self.widest = len(sizes), max(sizes)
        self.mix = nn.Linear(config.time_patch * self.widest, config.time_patch * self.widest)
        places = torch.arange(self.widest) < torch.tensor(sizes)[:, None]  # n, d
        self.register_buffer('valid', places.flatten(), persistent=False)
        self.valid: Tensor

    def forward(self, cells: Tensor) -> Tensor:
        """Return cells of the same shape (B, h, m, C_a), columns in the order of the groups."""
        padded = cells.new_zeros((*cells.shape[:3], len(self.valid)))
        padded[..., self.valid] = cells
        patches = padded.unflatten(3, (self.groups, self.widest)).permute(0, 2, 3, 1, 4)
        mixed = self.mix(patches.flatten(3)).unflatten(3, (-1, self.widest))  # B, m, n, h, d
        return cells + mixed.permute(0, 3, 1, 2, 4).flatten(3)[..., self.valid]


def _coarsest(config: TokenizerConfig) -> nn.Module:
    """Return what relates the cells of the coarsest grid."""
    if config.encoder == 'cnn':
        return nn.Sequential(*(LocalBlock(config.width, 3) for _ in range(2 * config.layers)))
    return GlobalBlocks(config)


def _local(config: TokenizerConfig) -> list[nn.Module]:
    """Return what relates neighbours in time before the grid gets coarser."""
    if config.encoder == 'transformer':
        return []
    return [LocalBlock(config.width, 3 if config.encoder == 'cnn' else 1)]


def _mixing(config: TokenizerConfig) -> list[nn.Module]:
    return [GroupMixing(config)] if config.group_patches else []


class GridEncoder(nn.Module):
    """Cells (B, h, m, C_a) -> latent grid (B, latent_dim, C_h, C_a)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width = config.width
        layers = [*_mixing(config), nn.Conv2d(config.time_patch, width, 1)]
        for stride in config.time_strides:
            layers += [*_local(config), nn.Conv2d(width, width, (stride, 1), (stride, 1))]
        self.layers = nn.Sequential(*layers, _coarsest(config),
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
        layers: list[nn.Module] = [nn.Conv2d(config.latent_dim, width, 1), _coarsest(config)]
        for stride in reversed(config.time_strides):
            layers += [nn.ConvTranspose2d(width, width, (stride, 1), (stride, 1)),
                       *_local(config)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, config.time_patch, 1),
                                    *_mixing(config))

    def forward(self, latent: Tensor) -> Tensor:
        """Return the cells of a latent grid."""
        out: Tensor = self.layers(latent)
        return out
