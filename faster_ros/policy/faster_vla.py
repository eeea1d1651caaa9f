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
"""FASTerVLA (paper section 3.2): observation in, the codes of an action chunk out."""

from __future__ import annotations

from faster_ros.policy.action_expert import ActionExpert, ExpertCache
from faster_ros.policy.backbones.base import PolicyInput, Prefix
from faster_ros.policy.backbones.tiny import TinyBackbone
from faster_ros.policy.block_decoding import (
    action_positions,
    block_mask,
    boblk_id,
    choose,
    expert_input,
)
from faster_ros.policy.config import PolicyConfig
from faster_ros.policy.decode_deadline import DecodeDeadline
import torch
from torch import nn, Tensor
from torch.nn import functional

_BACKBONES = {'tiny': TinyBackbone}


class FASTerVLA(nn.Module):
    """Codes are (B, K, T) as FASTerVQ gives them; inside they are flat, coarse level first."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        if config.backbone.name not in _BACKBONES:
            raise ValueError(f"backbone '{config.backbone.name}' is unknown; expected one of "
                             f"{', '.join(_BACKBONES)}")
        self.config = config
        self.backbone = _BACKBONES[config.backbone.name](config)
        self.expert = ActionExpert(config)
        self.register_buffer('mask', block_mask(config.tokens, config.block_size),
                             persistent=False)
        self.mask: Tensor

    def logits(self, batch: PolicyInput, codes: Tensor, prefix: Prefix | None = None) -> Tensor:
        """Return the teacher-forced scores (B, N, V) of codes (B, K, T)."""
        prefix = prefix or self.backbone(batch)
        flat = codes.flatten(1)
        ids = expert_input(flat, self.config.block_size, self.config.codebook_size)
        positions = action_positions(prefix.next_position, self._gaps(flat))
        out: Tensor = self.expert(ids, positions, prefix, self.mask)
        return out

    def forward(self, batch: PolicyInput, codes: Tensor) -> Tensor:
        """Return the cross-entropy (K,) of each residual level for codes (B, K, T)."""
        logits = self.logits(batch, codes)
        loss = functional.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction='none')
        return loss.unflatten(0, codes.shape).mean((0, 2))

    @torch.no_grad()
    def generate(self, batch: PolicyInput, levels: int | None = None, top_k: int = 50,
                 temperature: float = 0.0, deadline: DecodeDeadline | None = None) -> Tensor:
        """
        Return codes (B, k, T) decoded block by block with the prefix computed once.

        ``levels`` below N_c stops early with the coarse levels, as ``decode_levels`` of the
        config does; a ``deadline`` ends with the whole levels that are ready, one at least.
        Temperature 0 is greedy.
        """
        config = self.config
        prefix = self.backbone(batch)
        wanted = (levels or config.decode_levels or config.levels) * config.codes_per_level
        ids = torch.full((len(batch.state), config.block_size), boblk_id(config.codebook_size),
                         device=batch.state.device)
        positions = action_positions(
            prefix.next_position, torch.full((len(ids), config.tokens), config.gap,
                                             device=ids.device))
        cache = ExpertCache()
        decoded: list[Tensor] = []
        if deadline:
            deadline.begin()
        while len(decoded) * config.block_size < wanted:
            here = slice(cache.length, cache.length + config.block_size)
            logits = self.expert(ids, positions[:, here], prefix,
                                 self.mask[here, :here.stop], cache)
            ids = choose(logits, top_k, temperature)
            decoded.append(ids)
            ready = len(decoded) * config.block_size
            if deadline and ready % config.codes_per_level == 0 and deadline.passed():
                wanted = min(wanted, ready)
        return torch.cat(decoded, 1)[:, :wanted].unflatten(1, (-1, config.codes_per_level))

    def _gaps(self, flat: Tensor) -> Tensor:
        """Return position gaps (B, N): drawn in training, fixed otherwise."""
        if not self.training:
            return torch.full_like(flat, self.config.gap)
        low, high = self.config.train_gap
        return torch.randint_like(flat, low, high + 1)
