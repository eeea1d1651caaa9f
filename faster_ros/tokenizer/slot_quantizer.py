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
Residual quantisation for small data: a codebook for each slot and level, found by beam search.

Where ResidualQuantizer shares a level's codebook between all places, here every slot has its own,
and encoding keeps the ``beam`` best sums of codes so far instead of the nearest code of each level
alone. Drawn for one slot, 2 levels and beam 2: the second-best first code wins by its remainder.

    z = 5    level 1: 6 (rest -1), 3 (rest 2)    level 2: 2, -4    3 + 2 = 5 beats 6 - 4 = 2
"""

from __future__ import annotations

from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.residual_quantizer import Quantized
import torch
from torch import nn, Tensor

_SEARCHED = 512  # sums of codes that are held at once: more do not fit into the caches of a CPU
_REFIT_PULL = 1.0  # chunks' worth by which a refitted code is held to where it was


class SlotQuantizer(nn.Module):
    """N_c codebooks for each of the slots; codes are (B, K, slots)."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.levels, config.slots, config.codebook_size)
        self.register_buffer('codebooks', torch.zeros(*shape, config.latent_dim))
        self.register_buffer('place', torch.arange(config.slots), persistent=False)
        self.codebooks: Tensor
        self.place: Tensor

    def forward(self, latent: Tensor) -> Quantized:
        """Quantise (B, slots, latent_dim), in training with quantizer dropout."""
        codes = self.search(latent.detach())
        kept = self.kept_levels(len(latent))
        total = (self._chosen(codes) * kept.to(latent)[..., None, None]).sum(1)
        commitment = (latent - total).square().mean()
        return Quantized(latent + (total - latent).detach(), codes, commitment)

    def kept_levels(self, count: int) -> Tensor:
        """Draw which levels of ``count`` chunks are kept, (count, K); all but in training."""
        levels = self.config.levels
        depth = torch.full((count,), levels)
        if self.training:
            dropped = torch.rand(count) < self.config.quantizer_dropout
            depth = torch.where(dropped, torch.randint(1, levels + 1, depth.shape), depth)
        return torch.arange(levels) < depth[:, None]

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the latent (B, slots, latent_dim) of codes (B, k, slots); -1 adds nothing."""
        known = (codes >= 0)[..., None]
        return (self._chosen(codes.clamp(min=0)) * known).sum(1)

    def mean(self, shares: Tensor) -> Tensor:
        """Return the mean latent (B, slots, latent_dim) of codes with shares (B, k, slots, V)."""
        return torch.einsum('bktv,ktvc->btc', shares, self.codebooks[:shares.shape[1]])

    @torch.no_grad()
    def search(self, latent: Tensor) -> Tensor:
        """Return the codes (B, K, slots) of the best sums that the beam finds."""
        at_once = max(1, _SEARCHED // self.config.beam)
        return torch.cat([self.best_sums(part, 1)[0][:, :, 0].permute(1, 2, 0)
                          for part in latent.split(at_once)])

    @torch.no_grad()
    def best_sums(self, latent: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """
        Return the ``count`` best sums that the beam finds for each slot, the best one first.

        Their codes are (slots, B, count, K), what they leave of the latents is
        (slots, B, count, latent_dim); fewer where there are not so many sums.
        """
        size, levels = self.config.codebook_size, self.config.levels
        rest = latent.transpose(0, 1)[:, :, None]  # slots, B, beam, latent_dim
        codes = latent.new_zeros((*rest.shape[:3], 0), dtype=torch.long)
        for level in range(levels):
            book = self.codebooks[level]  # slots, V, latent_dim
            distance = (rest.flatten(1, 2) @ (-2 * book.mT)).unflatten(1, rest.shape[1:3])
            distance += rest.square().sum(-1, keepdim=True)
            distance += book.square().sum(-1)[:, None, None]
            sums = distance.flatten(2)  # slots, B, beam * V
            wanted = self.config.beam if level < levels - 1 else count
            best = (sums.argmin(-1, keepdim=True) if wanted == 1 else
                    sums.topk(min(wanted, sums.shape[2]), largest=False).indices)
            parent, code = best // size, best % size
            rest = rest.gather(2, parent[..., None].expand(-1, -1, -1, rest.shape[-1]))
            rest = rest - book[self.place[:, None, None], code]
            codes = codes.gather(2, parent[..., None].expand(-1, -1, -1, level))
            codes = torch.cat([codes, code[..., None]], -1)
        return codes, rest

    @torch.no_grad()
    def refit(self, latent: Tensor) -> None:
        """Move all codes of each slot together to the least squares of latents (N, slots, .)."""
        levels, slots, size, width = self.codebooks.shape
        index = self.search(latent) + size * torch.arange(levels)[:, None]  # N, K, slots
        for slot in range(slots):
            used = index[:, :, slot]
            pairs = used[:, :, None] * (levels * size) + used[:, None, :]
            gram = torch.bincount(pairs.flatten(), minlength=(levels * size) ** 2).to(
                latent).view(levels * size, -1)
            target = torch.zeros(levels * size, width)
            for level in range(levels):
                target.index_add_(0, used[:, level], latent[:, slot])
            old = self.codebooks[:, slot].reshape(-1, width)
            gram.diagonal().add_(_REFIT_PULL)
            self.codebooks[:, slot] = torch.linalg.solve(
                gram, target + _REFIT_PULL * old).view(levels, size, width)

    def _chosen(self, codes: Tensor) -> Tensor:
        levels = torch.arange(codes.shape[1])[:, None]
        return self.codebooks[levels, self.place, codes]  # B, k, slots, latent_dim
