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
Residual vector quantisation with EMA codebooks (paper section 3.1).

r_1 = z, r_{i+1} = r_i - Q_i(r_i), z_q = sum of Q_i(r_i); nearest neighbour in L2. Codebooks follow
their codes by an exponential moving average and are never reached by a gradient; a code that is
hardly used is moved onto a residual of the present batch. Where several processes share a batch,
their codebooks learn from all of it and stay equal; seeded alike, they draw alike, each for the
whole batch, and train what one process would.
"""

from __future__ import annotations

from dataclasses import dataclass

from faster_ros.tokenizer.config import TokenizerConfig
import torch
from torch import distributed, nn, Tensor

_KMEANS_ROUNDS = 10
_DEAD_CHECK_PERIOD = 10  # training steps between looks for dead codes


@dataclass
class Quantized:
    """``latent``: (B, T, latent_dim), straight-through; ``codes``: (B, K, T); a scalar loss."""

    latent: Tensor
    codes: Tensor
    commitment: Tensor


class ResidualQuantizer(nn.Module):
    """N_c codebooks of ``codebook_size`` entries behind projections to ``code_dim``."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.levels, config.codebook_size)
        self.project_in = nn.Linear(config.latent_dim, config.code_dim)
        self.project_out = nn.Linear(config.code_dim, config.latent_dim)
        self.register_buffer('codebooks', torch.zeros(*shape, config.code_dim))
        self.register_buffer('usage', torch.zeros(shape))
        self.register_buffer('sums', torch.zeros(*shape, config.code_dim))
        self.register_buffer('updates', torch.zeros((), dtype=torch.long))
        self.codebooks: Tensor
        self.usage: Tensor
        self.sums: Tensor
        self.updates: Tensor

    def forward(self, latent: Tensor) -> Quantized:
        """Quantise (B, T, latent_dim); in training mode the codebooks learn as well."""
        z = self.project_in(latent)  # B, T, code_dim
        if self.training and self.updates == 0:
            self._initialise(z.detach().flatten(0, 1))
        depth = self._depths(len(z))
        residual, total, codes = z, torch.zeros_like(z), []
        for level in range(self.config.levels):
            index = self._nearest(level, residual.detach())
            chosen = self.codebooks[level][index]
            if self.training:
                self._learn(level, residual.detach().flatten(0, 1), index.flatten())
            active = (level < depth).to(z)[:, None, None]
            total = total + active * chosen
            residual = residual - chosen
            codes.append(index)
        if self.training:
            self.updates += 1
        commitment = (z - total.detach()).square().mean()
        straight = z + (total - z).detach()
        return Quantized(self.project_out(straight), torch.stack(codes, 1), commitment)

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the latent (B, T, latent_dim) of codes (B, k, T), k <= N_c; -1 adds nothing."""
        levels = torch.arange(codes.shape[1], device=codes.device)[:, None]
        known = (codes >= 0)[..., None]
        total = (self.codebooks[levels, codes.clamp(min=0)] * known).sum(1)
        out: Tensor = self.project_out(total)
        return out

    def mean(self, shares: Tensor) -> Tensor:
        """Return the mean latent (B, T, latent_dim) of codes with shares (B, k, T, V)."""
        total = torch.einsum('bktv,kvc->btc', shares, self.codebooks[:shares.shape[1]])
        out: Tensor = self.project_out(total)
        return out

    def _depths(self, count: int) -> Tensor:
        """Return how many levels each of so many chunks keeps: all, or in training some."""
        levels = self.config.levels
        if not self.training:
            return torch.full((count,), levels)
        rank, size = ((distributed.get_rank(), distributed.get_world_size()) if _shared()
                      else (0, 1))
        dropped = torch.rand(size * count) < self.config.quantizer_dropout
        drawn = torch.randint(1, levels + 1, dropped.shape)
        return drawn.masked_fill(~dropped, levels).view(size, count)[rank]

    def _nearest(self, level: int, residual: Tensor) -> Tensor:
        book = self.codebooks[level]
        # The residual's own square is the same for every code and does not decide.
        distance = book.square().sum(-1) - 2 * residual @ book.T
        return distance.argmin(-1)

    @torch.no_grad()
    def _initialise(self, z: Tensor) -> None:
        """Place each level's codebook by a few rounds of k-means over the first batch."""
        size = self.config.codebook_size
        residual = _of_all(z)
        for level in range(self.config.levels):
            pick = torch.randint(len(residual), (size,))
            book = residual[pick] + 1e-4 * torch.randn_like(residual[pick])
            for _ in range(_KMEANS_ROUNDS):
                self.codebooks[level] = book
                index = self._nearest(level, residual)
                count = torch.bincount(index, minlength=size).to(residual)
                mean = torch.zeros_like(book).index_add_(0, index, residual)
                book = torch.where(count[:, None] > 0, mean / count.clamp(min=1)[:, None], book)
            _take_from_first(book)
            self.codebooks[level] = book
            self.usage[level] = 1.0
            self.sums[level] = book
            residual = residual - book[self._nearest(level, residual)]

    @torch.no_grad()
    def _learn(self, level: int, residual: Tensor, index: Tensor) -> None:
        """Move the codes of one level by EMA; put dead ones onto random residuals."""
        config, size = self.config, self.config.codebook_size
        count = torch.bincount(index, minlength=size).to(residual)
        total = torch.zeros_like(self.sums[level]).index_add_(0, index, residual)
        if _shared():
            distributed.all_reduce(count)
            distributed.all_reduce(total)
        # Usage is kept relative to its mean, so that the threshold is free of the batch size.
        share = size / float(count.sum())
        self.usage[level].lerp_(count * share, 1 - config.ema_decay)
        self.sums[level].lerp_(total * share, 1 - config.ema_decay)
        self.codebooks[level] = self.sums[level] / self.usage[level].clamp(min=1e-5)[:, None]
        if self.updates % _DEAD_CHECK_PERIOD:
            return
        dead = self.usage[level] < config.dead_threshold
        residual = _of_all(residual)
        fresh = residual[torch.randint(len(residual), (int(dead.sum()),))]
        _take_from_first(fresh)
        self.codebooks[level][dead] = fresh
        self.sums[level][dead] = fresh
        self.usage[level][dead] = 1.0


def _shared() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _of_all(rows: Tensor) -> Tensor:
    """Return the rows (N, D) of all processes, in their order."""
    if not _shared():
        return rows
    parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def _take_from_first(tensor: Tensor) -> None:
    """Overwrite a tensor by that of the first process, whose random draws count."""
    if _shared():
        distributed.broadcast(tensor, 0)
