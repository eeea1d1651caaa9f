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
What the codes are compared with: heads that give the numbers of a chunk themselves.

They stand on the backbone and the layers of the action expert that the codes stand on, with one
token for each row of a chunk, all of which see each other.
"""

from __future__ import annotations

import math

from faster_ros.policy.action_expert import make_decoder
from faster_ros.policy.backbones.base import (
    Context,
    KeyValueCache,
    PolicyInput,
    Prefix,
    TeacherForced,
    visible,
)
from faster_ros.policy.backbones.registry import make_backbone
from faster_ros.policy.config import PolicyConfig
from faster_ros.policy.visual_tokens import merge_alike
import torch
from torch import nn, Tensor
from torch.nn import functional

FLOW_STEPS = 10  # as pi0 integrates
_TIME_FREQUENCIES = 16
_NOISE_SEED = 0  # equal input gives equal output, as greedy decoding does


class ContinuousHead(nn.Module):
    """
    Normalised chunks (B, H, D) from an observation.

    ``config`` describes H tokens of one level: one for each row of a chunk.
    """

    passes = 1

    def __init__(self, config: PolicyConfig, action_dim: int) -> None:
        super().__init__()
        self.config = config
        self.action_dim = action_dim
        self.backbone = make_backbone(config)
        self.expert = make_decoder(config, self.backbone)
        self.out = nn.Linear(config.expert_width, action_dim)

    def prefix(self, batch: PolicyInput) -> Prefix:
        """Encode the observation once, image tokens merged if the config says so."""
        tokens = batch.tokens or self.backbone.embed(batch)
        return self.backbone.encode(merge_alike(tokens, self.config.image_share))

    def forward(self, batch: PolicyInput, chunks: Tensor) -> Tensor:
        """Return the loss (1,) for chunks (B, H, D)."""
        return self.loss(self.prefix(batch), chunks)[None]

    def loss(self, prefix: Prefix, chunks: Tensor) -> Tensor:
        """Return the loss for chunks (B, H, D) after a prefix."""
        raise NotImplementedError

    def decode(self, prefix: Prefix) -> Tensor:
        """Return the chunks (B, H, D) that follow a prefix."""
        raise NotImplementedError

    def _trunk(self, x: Tensor, prefix: Prefix, context: Context) -> Tensor:
        """Run the expert over row tokens (B, H, width); returns (B, H, D)."""
        rows = torch.arange(x.shape[1])
        mask = torch.ones(len(rows), len(rows), dtype=torch.bool)
        seen = self.expert.trunk(x + self.expert.place, prefix.next_position[:, None] + rows,
                                 context, visible(context, mask))
        out: Tensor = self.out(seen)
        return out


class RegressionHead(ContinuousHead):
    """All rows in one pass, by the absolute error (as OpenVLA-OFT)."""

    def loss(self, prefix: Prefix, chunks: Tensor) -> Tensor:
        """Return the mean absolute error."""
        return functional.l1_loss(self.decode(prefix), chunks)

    def decode(self, prefix: Prefix) -> Tensor:
        """Return the chunks (B, H, D) that follow a prefix."""
        x = self.out.weight.new_zeros(
            len(prefix.mask), self.config.tokens, self.config.expert_width)
        return self._trunk(x, prefix, TeacherForced(prefix))


class FlowHead(ContinuousHead):
    """Flow matching (as pi0): from noise at time 0 along learned velocities to a chunk at 1."""

    passes = FLOW_STEPS

    def __init__(self, config: PolicyConfig, action_dim: int) -> None:
        super().__init__(config, action_dim)
        width = config.expert_width
        self.rows = nn.Linear(action_dim, width)
        self.time = nn.Sequential(nn.Linear(2 * _TIME_FREQUENCIES, width), nn.GELU(),
                                  nn.Linear(width, width))

    def loss(self, prefix: Prefix, chunks: Tensor) -> Tensor:
        """Return the squared error of the velocity at a random time of each chunk."""
        noise, time = torch.randn_like(chunks), torch.rand(len(chunks), 1, 1)
        mixed = noise + time * (chunks - noise)
        velocity = self._velocity(mixed, time, prefix, TeacherForced(prefix))
        return functional.mse_loss(velocity, chunks - noise)

    @torch.no_grad()
    def decode(self, prefix: Prefix) -> Tensor:
        """Return the chunks (B, H, D) that follow a prefix."""
        shape = (1, self.config.tokens, self.action_dim)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(_NOISE_SEED))
        x = noise.expand(len(prefix.mask), -1, -1)
        context = KeyValueCache(prefix, self.config.tokens)
        for step in range(FLOW_STEPS):
            time = x.new_full((len(x), 1, 1), step / FLOW_STEPS)
            x = x + self._velocity(x, time, prefix, context) / FLOW_STEPS
        return x

    def _velocity(self, x: Tensor, time: Tensor, prefix: Prefix, context: Context) -> Tensor:
        angle = time * math.pi * torch.arange(1, _TIME_FREQUENCIES + 1) / 2
        moment = self.time(torch.cat([angle.sin(), angle.cos()], -1))
        return self._trunk(self.rows(x) + moment, prefix, context)
