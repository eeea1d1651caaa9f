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
The smallest backbone: instruction-conditioned keypoints and a few transformer layers.

A convolution per camera, modulated by the instruction (FiLM), gives maps whose spatial
soft-argmax are image points worth looking at; points, words and joints become tokens. It trains
from scratch on a CPU in minutes and has the interface of the large ones.
"""

from __future__ import annotations

from faster_ros.policy.backbones.base import (
    Backbone,
    Context,
    Geometry,
    PolicyInput,
    Prefix,
    PrefixTokens,
)
from faster_ros.policy.committed_actions import CommittedToken
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.layers import joint_attention, JointAttentionLayer, Rotation
from faster_ros.policy.vocabulary import PAD
import torch
from torch import nn, Tensor
from torch.nn import functional

_STRIDE = 4  # image pixels per map cell
_ROTARY_BASE = 1000.0


class KeypointEncoder(nn.Module):
    """Images of one camera and the instruction -> (B, 2 * keypoints) coordinates in [-1, 1]."""

    def __init__(self, size: BackboneConfig) -> None:
        super().__init__()
        channels = size.channels
        self.stem = nn.Sequential(
            nn.Conv2d(3, channels, _STRIDE, _STRIDE), nn.ReLU(), nn.Conv2d(channels, channels, 1))
        self.film = nn.Linear(size.width, 2 * channels)
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(),
            nn.Conv2d(channels, size.keypoints, 1))
        rows, columns = size.image_height // _STRIDE, size.image_width // _STRIDE
        grid_y, grid_x = torch.meshgrid(torch.linspace(-1, 1, rows),
                                        torch.linspace(-1, 1, columns), indexing='ij')
        self.register_buffer('grid', torch.stack([grid_x.flatten(), grid_y.flatten()], 1),
                             persistent=False)
        self.sharpness = nn.Parameter(torch.tensor(2.0))
        self.grid: Tensor

    def forward(self, images: Tensor, task: Tensor) -> Tensor:
        """Return the points that matter for ``task`` (B, width) in (B, 3, height, width)."""
        features = self.stem(images)  # B, channels, rows, columns
        scale, shift = self.film(task)[:, :, None, None].chunk(2, 1)
        maps = self.head(features * (1 + scale) + shift).flatten(2)  # B, keypoints, cells
        weights = (maps * self.sharpness).softmax(-1)
        return (weights @ self.grid).flatten(1)


class TinyBackbone(Backbone):
    """Prefix order: image tokens of each camera, words, committed actions, one state token."""

    static_vision = True

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        size = config.backbone
        assert isinstance(size, BackboneConfig)
        self.size = size
        self.geometry = Geometry(size.width, size.layers, size.heads, size.heads, size.head_dim,
                                 _ROTARY_BASE)
        self.words = nn.Embedding(len(config.vocabulary) + 1, size.width, padding_idx=PAD)
        self.cameras = nn.ModuleList(KeypointEncoder(size) for _ in config.cameras)
        self.image_tokens = nn.ModuleList(
            nn.Linear(2 * size.keypoints, size.tokens_per_camera * size.width)
            for _ in config.cameras)
        self.state_token = nn.Sequential(nn.Linear(config.state_dim, size.width), nn.GELU(),
                                         nn.Linear(size.width, size.width))
        self.committed = CommittedToken(config, size.width) if config.committed_rows else None
        self.place = nn.Parameter(
            0.02 * torch.randn(len(config.cameras) * size.tokens_per_camera, size.width))
        self.layers = nn.ModuleList(
            JointAttentionLayer(size.width, self.geometry) for _ in range(size.layers))

    def embed(self, batch: PolicyInput) -> PrefixTokens:
        """Return the observation as tokens."""
        known = batch.words != PAD
        words = self.words(batch.words)  # B, L, width
        task = words.sum(1) / known.sum(1, keepdim=True)
        images = [
            project(encode(batch.images[:, index], task)).unflatten(
                1, (self.size.tokens_per_camera, -1))
            for index, (encode, project) in enumerate(zip(self.cameras, self.image_tokens))]
        state = [self.state_token(batch.state)[:, None]]
        if self.committed is not None:
            state = [self.committed(batch), *state]
        x = torch.cat([torch.cat(images, 1) + self.place, words, *state], 1)  # B, P, width
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        mask[:, len(self.place):len(self.place) + known.shape[1]] = known
        return PrefixTokens(x, mask, mask.cumsum(1) - 1)  # padding takes no position

    def encode(self, tokens: PrefixTokens) -> Prefix:
        """Run the layers over the prefix; all of its tokens see each other."""
        x, attend = tokens.x, tokens.mask[:, None, None, :]
        rotation = Rotation.at(tokens.positions, self.geometry)
        keys, values = [], []
        for layer in self.layers:
            assert isinstance(layer, JointAttentionLayer)
            q, k, v = layer.project(x, rotation)
            keys.append(k)
            values.append(v)
            x = layer.mix(x, q, k, v, attend)
        return Prefix(keys, values, tokens.mask, tokens.positions[:, -1] + 1)

    def extend(self, x: Tensor, positions: Tensor, context: Context, see: Tensor) -> Tensor:
        """Run the layers over action tokens; see Backbone."""
        x = joint_attention(self.layers, x, Rotation.at(positions, self.geometry), context, see)
        return functional.rms_norm(x, (x.shape[-1],))
