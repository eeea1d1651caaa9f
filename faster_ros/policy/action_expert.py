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
see the prefix's keys and its own, and the prefix never sees them. Without an expert (the paper's
ablation) the backbone's own layers run over the action tokens.
"""

from __future__ import annotations

from faster_ros.policy.backbones.base import Backbone, Context, visible
from faster_ros.policy.config import PolicyConfig
from faster_ros.policy.layers import (
    GatedMLP,
    joint_attention,
    JointAttentionLayer,
    plain_mlp,
    Rotation,
)
import torch
from torch import nn, Tensor

_HEAD_SCALE = 3.0  # of scores at the start of training, beside a standard deviation of 1


class CodeDecoder(nn.Module):
    """
    One id space of K codes for all levels, plus BoBlk and EoBlk; own embedding, own K-way head.

    A learned place per token tells level and cell apart whatever the spacing of positions.
    """

    def __init__(self, config: PolicyConfig, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.codebook_size + 2, width)
        self.place = nn.Parameter(0.02 * torch.randn(config.tokens, width))
        self.level_head = nn.Parameter(
            torch.randn(config.levels, config.codebook_size, width) * width ** -0.5)
        self._codes_per_level = config.codes_per_level

    def forward(self, ids: Tensor, positions: Tensor, context: Context, mask: Tensor) -> Tensor:
        """
        Return logits (B, T, K) for input ids (B, T) at positions (B, T).

        ``mask``: (T, length + T), which action tokens each row sees; the ids are those after the
        context's ``length`` ones.
        """
        first = context.length
        x = self.embed(ids) + self.place[first:first + ids.shape[1]]
        return self._logits(self.trunk(x, positions, context, visible(context, mask)), first)

    @torch.no_grad()
    def start_from_codebooks(self, books: Tensor) -> None:
        """
        Begin with a head in which codes that lie near each other have scores near each other.

        ``books``: the tokenizer's (K, V, C). What is learnt of a code then counts for its
        neighbours, which matters where most codes are seen a few times only.
        """
        columns = books.shape[2]
        away = books - books.mean(1, keepdim=True)
        spread = away.square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-8)
        mixing = torch.randn(columns, self.level_head.shape[2]) * columns ** -0.5
        start = (away / spread) @ mixing.to(books)
        self.level_head.copy_(_HEAD_SCALE * self.level_head.shape[2] ** -0.5 * start)

    def trunk(self, x: Tensor, positions: Tensor, context: Context, see: Tensor) -> Tensor:
        """Run the layers over embedded action tokens (B, T, width)."""
        raise NotImplementedError

    def _logits(self, x: Tensor, first: int) -> Tensor:
        """Apply the head of the level that each output belongs to."""
        size, stop = self._codes_per_level, first + x.shape[1]
        parts = []
        for level in range(first // size, (stop - 1) // size + 1):
            here = slice(max(level * size - first, 0), (level + 1) * size - first)
            parts.append(x[:, here] @ self.level_head[level].T)
        return torch.cat(parts, 1)


class ActionExpert(CodeDecoder):
    """Layers of its own, at a width of its own."""

    def __init__(self, config: PolicyConfig, backbone: Backbone) -> None:
        width, geometry = config.expert_width, backbone.geometry
        super().__init__(config, width)
        make_mlp = GatedMLP if config.expert == 'gated' else plain_mlp
        hidden = config.expert_mlp or 4 * width
        self.layers = nn.ModuleList(
            JointAttentionLayer(width, geometry, make_mlp(width, hidden))
            for _ in range(geometry.layers))
        self.norm = nn.RMSNorm(width)
        self._geometry = geometry

    def trunk(self, x: Tensor, positions: Tensor, context: Context, see: Tensor) -> Tensor:
        """Run the expert's layers; see CodeDecoder."""
        rotation = Rotation.at(positions, self._geometry)
        return self.norm(joint_attention(self.layers, x, rotation, context, see))


class BackboneDecoder(CodeDecoder):
    """No expert: the backbone's own layers decode, with embedding and head of their own."""

    def __init__(self, config: PolicyConfig, backbone: Backbone) -> None:
        super().__init__(config, backbone.geometry.width)
        # A method, not a module: the weights stay the backbone's and are saved once.
        self._extend = backbone.extend

    def trunk(self, x: Tensor, positions: Tensor, context: Context, see: Tensor) -> Tensor:
        """Run the backbone's layers; see CodeDecoder."""
        return self._extend(x, positions, context, see)


def make_decoder(config: PolicyConfig, backbone: Backbone) -> CodeDecoder:
    """Return the expert that the config asks for, or the decoder without one."""
    if config.expert == 'none':
        return BackboneDecoder(config, backbone)
    return ActionExpert(config, backbone)
