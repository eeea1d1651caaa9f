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

import torch
from torch import nn, Tensor
from torch.nn import functional

_ROTARY_BASE = 1000.0


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Apply rotary position embedding to (B, heads, T, head_dim) at positions (B, T)."""
    half = x.shape[-1] // 2
    rates = _ROTARY_BASE ** (-torch.arange(half, device=x.device) / half)
    angle = positions[:, None, :, None] * rates  # B, 1, T, half
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


class JointAttentionLayer(nn.Module):
    """
    One pre-norm transformer layer whose queries may also see keys made elsewhere.

    The backbone uses it on its own tokens; the action expert adds the backbone's keys and values
    of the same layer, so that action tokens see the prefix while the prefix never sees them.
    """

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.RMSNorm(width)
        self.norm_mlp = nn.RMSNorm(width)
        self.qkv = nn.Linear(width, 3 * heads * head_dim, bias=False)
        self.out = nn.Linear(heads * head_dim, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate='tanh'),
                                 nn.Linear(4 * width, width))

    def project(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return q, k, v of tokens (B, T, width), each (B, heads, T, head_dim)."""
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(
            -1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return rotate(q, positions), rotate(k, positions), v

    def mix(self, x: Tensor, q: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Attend where ``mask`` (B, 1, T, keys) is true and return the layer's tokens."""
        seen = functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        out: Tensor = x + self.mlp(self.norm_mlp(x))
        return out
