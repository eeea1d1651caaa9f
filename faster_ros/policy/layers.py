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
"""Layers that the backbone and the action expert share: rotary positions, attention, MLP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from faster_ros.policy.backbones.base import Context, Geometry
import torch
from torch import nn, Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Rotation:
    """Rotary position embedding at positions (B, T): one for all layers of a forward pass."""

    cos: Tensor  # B, 1, T, head_dim / 2
    sin: Tensor

    @classmethod
    def at(cls, positions: Tensor, geometry: Geometry) -> Rotation:
        """Return the rotation of tokens at ``positions`` (B, T)."""
        half = geometry.head_dim // 2
        rates = geometry.rotary_base ** (-torch.arange(half, device=positions.device) / half)
        angle = positions[:, None, :, None] * rates
        return cls(angle.cos(), angle.sin())

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate heads x (B, heads, T, head_dim)."""
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        first, second = x.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


class GatedMLP(nn.Module):
    """GELU-gated MLP as in Gemma, with gate and value in one projection."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_and_value = nn.Linear(width, 2 * hidden, bias=False)
        self.out = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., width) of (..., width)."""
        gate, value = self.gate_and_value(x).chunk(2, -1)
        return self.out(functional.gelu(gate, approximate='tanh') * value)


def plain_mlp(width: int, hidden: int) -> nn.Module:
    """Return an MLP of two layers with GELU."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(approximate='tanh'),
                         nn.Linear(hidden, width))


class JointAttentionLayer(nn.Module):
    """
    One pre-norm transformer layer whose queries may also see keys made elsewhere.

    The backbone uses it on its own tokens; the action expert adds the backbone's keys and values
    of the same layer, so that action tokens see the prefix while the prefix never sees them.
    Queries, keys and values are one projection; heads of keys may be fewer than those of queries.
    """

    def __init__(self, width: int, geometry: Geometry, mlp: nn.Module | None = None) -> None:
        super().__init__()
        self._counts = (geometry.heads, geometry.kv_heads, geometry.kv_heads)
        self._rotated = geometry.heads + geometry.kv_heads
        head_dim = geometry.head_dim
        self.norm_attention = nn.RMSNorm(width)
        self.norm_mlp = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, sum(self._counts) * head_dim, bias=False)
        self.out = nn.Linear(geometry.heads * head_dim, width, bias=False)
        self.mlp = mlp or plain_mlp(width, 4 * width)

    def project(self, x: Tensor, rotation: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Return q (B, heads, T, head_dim), k and v (B, kv_heads, ...) of tokens (B, T, width)."""
        heads = self.qkv(self.norm_attention(x)).unflatten(-1, (sum(self._counts), -1))
        heads = heads.transpose(1, 2)
        q, k = rotation(heads[:, :self._rotated]).split(self._counts[:2], 1)
        return q, k, heads[:, self._rotated:]

    def mix(self, x: Tensor, q: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """
        Attend where ``mask`` (B, 1, T, keys) is true and return the layer's tokens.

        Query heads that share keys are rows of one head, so that every kernel takes them.
        """
        shared = q.shape[1] // keys.shape[1]
        rows = q.unflatten(1, (-1, shared)).flatten(2, 3)  # B, kv_heads, shared T, head_dim
        seen = functional.scaled_dot_product_attention(
            rows, keys, values, attn_mask=mask.repeat(1, 1, shared, 1) if shared > 1 else mask)
        seen = seen.unflatten(2, (shared, -1)).flatten(1, 2)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        out: Tensor = x + self.mlp(self.norm_mlp(x))
        return out


def joint_attention(layers: Iterable[nn.Module], x: Tensor, rotation: Rotation, context: Context,
                    see: Tensor) -> Tensor:
    """
    Run layers over action tokens x (B, T, width) that see a prefix as well.

    ``see``: (B, 1, T, P + S), what each token attends to of the prefix and the action tokens.
    """
    for index, layer in enumerate(layers):
        assert isinstance(layer, JointAttentionLayer)
        q, k, v = layer.project(x, rotation)
        keys, values = context.extend(index, k, v)
        x = layer.mix(x, q, keys, values, see)
    return x
