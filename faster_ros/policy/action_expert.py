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
The action expert (paper section 3.2): a light transformer that decodes codes.

It has the depth and head geometry of the backbone at a smaller width; in every layer its queries
see the prefix's keys and its own, and the prefix never sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from faster_ros.policy.backbones.base import Prefix
from faster_ros.policy.config import PolicyConfig
from faster_ros.policy.layers import JointAttentionLayer
import torch
from torch import nn, Tensor


@dataclass
class ExpertCache:
    """Keys and values of the action tokens decoded so far, one (B, heads, T, head_dim) a layer."""

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Return the number of tokens in the cache."""
        return self.keys[0].shape[2] if self.keys else 0


class ActionExpert(nn.Module):
    """
    One id space of K codes for all levels, plus BoBlk and EoBlk; own embedding, own K-way head.

    A learned place per token tells level and cell apart whatever the spacing of positions.
    """

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        width, size = config.expert_width, config.backbone
        self.embed = nn.Embedding(config.codebook_size + 2, width)
        self.place = nn.Parameter(0.02 * torch.randn(config.tokens, width))
        self.layers = nn.ModuleList(
            JointAttentionLayer(width, size.heads, size.head_dim) for _ in range(size.layers))
        self.norm = nn.RMSNorm(width)
        self.level_head = nn.Parameter(
            torch.randn(config.levels, config.codebook_size, width) * width ** -0.5)
        self.codes_per_level = config.codes_per_level

    def forward(self, ids: Tensor, positions: Tensor, prefix: Prefix, mask: Tensor,
                cache: ExpertCache | None = None) -> Tensor:
        """
        Return logits (B, T, K) for input ids (B, T) at positions (B, T).

        ``mask``: (T, cached + T), which action tokens each row sees. With a cache, the ids are
        those after the cached ones, and their keys are added to it.
        """
        first = cache.length if cache else 0
        x = self.embed(ids) + self.place[first:first + ids.shape[1]]
        see = torch.cat([prefix.mask[:, None, None, :].expand(-1, -1, ids.shape[1], -1),
                         mask[None, None].expand(len(ids), -1, -1, -1)], 3)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, JointAttentionLayer)
            q, k, v = layer.project(x, positions)
            if cache:
                k, v = _append(cache, index, k, v)
            keys = torch.cat([prefix.keys[index], k], 2)
            values = torch.cat([prefix.values[index], v], 2)
            x = layer.mix(x, q, keys, values, see)
        return self._logits(self.norm(x), first)

    def _logits(self, x: Tensor, first: int) -> Tensor:
        """Apply the head of the level that each output belongs to."""
        level = torch.arange(first, first + x.shape[1]) // self.codes_per_level
        parts = [x[:, level == index] @ self.level_head[index].T
                 for index in level.unique().tolist()]
        return torch.cat(parts, 1)


def _append(cache: ExpertCache, index: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    if index == len(cache.keys):
        cache.keys.append(k)
        cache.values.append(v)
    else:
        cache.keys[index] = torch.cat([cache.keys[index], k], 2)
        cache.values[index] = torch.cat([cache.values[index], v], 2)
    return cache.keys[index], cache.values[index]
