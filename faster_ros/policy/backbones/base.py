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
"""What every backbone gives to the action expert: the prefix as keys and values per layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
import torch
from torch import nn, Tensor


@dataclass(frozen=True)
class Geometry:
    """
    What the action expert shares with the backbone, or needs to know of it.

    ``kv_heads`` heads of keys and values serve ``heads`` heads of queries; ``rotary_base`` is that
    of the rotary positions, ``width`` the backbone's own.
    """

    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    rotary_base: float


@dataclass
class PolicyInput:
    """
    A batch of observations as tensors.

    ``images``: (B, cameras, ...) as the backbone's preprocessing makes them; ``words``: (B, L)
    ids, padded on the left; ``state``: (B, S) normalised joints; ``committed``: see
    ``committed_actions.py``, for a policy that takes them; ``tokens``: what ``embed`` makes of
    all this, where it is known already; ``text``: (B, L) ids that a policy with text mode learns
    to say, padded on the right.
    """

    images: Tensor
    words: Tensor
    state: Tensor
    committed: Tensor | None = None
    tokens: PrefixTokens | None = None
    text: Tensor | None = None

    def to(self, device: torch.device) -> PolicyInput:
        """Return the batch on a device."""
        committed, text = (None if tensor is None else tensor.to(device)
                           for tensor in (self.committed, self.text))
        return PolicyInput(self.images.to(device), self.words.to(device), self.state.to(device),
                           committed, text=text)


@dataclass
class PrefixTokens:
    """
    An observation as tokens, before the backbone's layers.

    ``x``: (B, P, width); ``mask``: (B, P), false where a token is padding; ``positions``: (B, P),
    or (3, B, P) where rotary positions have three axes; ``images``: (B, P), true where a token
    is of an image, ``image_count`` a row; ``deep``: what the first layers add to these, one
    (B image_count, width) a layer.
    """

    x: Tensor
    mask: Tensor
    positions: Tensor
    images: Tensor | None = None
    image_count: int = 0
    deep: list[Tensor] | None = None

    def image_places(self) -> Tensor:
        """Return the places (B, image_count) of the image tokens, in order."""
        assert self.images is not None, 'tokens that a backbone embeds say which are of images'
        return self.images.int().argsort(dim=1, descending=True, stable=True)[:, :self.image_count]

    def only(self, rows: NDArray[np.int64]) -> PrefixTokens:
        """Return the tokens of some observations, without ``deep``."""
        images = None if self.images is None else self.images[rows]
        return PrefixTokens(self.x[rows], self.mask[rows], self.positions[..., rows, :], images,
                            self.image_count)

    @staticmethod
    def concatenate(parts: Sequence[PrefixTokens]) -> PrefixTokens:
        """Join batches in their order, as a backbone embeds them without ``deep``."""
        images = [part.images for part in parts if part.images is not None]
        return PrefixTokens(
            torch.cat([part.x for part in parts]), torch.cat([part.mask for part in parts]),
            torch.cat([part.positions for part in parts], -2),
            torch.cat(images) if images else None, parts[0].image_count)

    def next_position(self) -> Tensor:
        """Return the position (B,) after the last token."""
        last = self.positions.masked_fill(~self.mask, 0)
        return (last if last.ndim == 2 else last.amax(0)).amax(1) + 1


@dataclass
class Prefix:
    """
    The cache of one forward pass over the observation (paper section 3.2).

    ``keys`` and ``values``: one (B, kv_heads, P, head_dim) tensor per layer; ``mask``: (B, P),
    false where a token is padding; ``next_position``: (B,), the position after the last token;
    ``last``: (B, width), what the layers make of the last token, for text mode.
    """

    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor
    next_position: Tensor
    last: Tensor | None = None


class Context(Protocol):
    """What action tokens attend to besides themselves; ``length`` action tokens came before."""

    mask: Tensor
    length: int

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the layer's keys and values: the prefix, earlier action tokens, these."""


class TeacherForced:
    """All action tokens in one pass: nothing is kept, gradients flow."""

    length = 0

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self.mask = prefix.mask

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the prefix's keys and values of a layer with those of the action tokens."""
        return (torch.cat([self._prefix.keys[layer], k], 2),
                torch.cat([self._prefix.values[layer], v], 2))


class KeyValueCache:
    """
    Prefix and action keys of every layer in buffers of their final size.

    A pass writes its own keys and sees a view, so that the prefix is copied once and not once per
    pass; ``length`` is set before each pass.
    """

    def __init__(self, prefix: Prefix, tokens: int) -> None:
        self.mask = prefix.mask
        self.length = 0
        self._start = prefix.mask.shape[1]
        self._keys = [self._buffer(keys, tokens) for keys in prefix.keys]
        self._values = [self._buffer(values, tokens) for values in prefix.values]

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the keys and values (B, kv_heads, T, head_dim) of T tokens; see Context."""
        first = self._start + self.length
        stop = first + k.shape[2]
        keys, values = self._keys[layer], self._values[layer]
        keys[:, :, first:stop] = k
        values[:, :, first:stop] = v
        return keys[:, :, :stop], values[:, :, :stop]

    def _buffer(self, prefix: Tensor, tokens: int) -> Tensor:
        buffer = torch.cat([prefix, prefix.new_zeros(
            *prefix.shape[:2], tokens, prefix.shape[3])], 2)
        return buffer


def visible(context: Context, mask: Tensor) -> Tensor:
    """
    Return (B, 1, T, P + S): what T action tokens see of the prefix and of S action tokens.

    ``mask``: (T, S), which action tokens each row sees; padding of the prefix is never seen.
    """
    rows = mask.shape[0]
    prefix = context.mask[:, None, None, :].expand(-1, -1, rows, -1)
    return torch.cat([prefix, mask[None, None].expand(len(prefix), -1, -1, -1)], 3)


class Backbone(nn.Module):
    """
    A vision-language model as the policy sees it: prefix tokens in, keys and values out.

    ``embed`` is the vision part and ``encode`` the layers; the split is what the benchmark
    measures. ``static_vision``: whether ``embed`` asks nothing of the device, so that it can be
    recorded as a CUDA graph; ``encode`` can wherever no ``deep`` is added, ``extend`` always.
    """

    geometry: Geometry
    static_vision = False
    bidirectional = True  # whether the tokens of the prefix all see each other, or earlier ones

    def forward(self, batch: PolicyInput) -> Prefix:
        """Encode the observation once; see Prefix."""
        return self.encode(batch.tokens or self.embed(batch))

    def embed(self, batch: PolicyInput) -> PrefixTokens:
        """Return the observation as tokens."""
        raise NotImplementedError

    def encode(self, tokens: PrefixTokens) -> Prefix:
        """Run the layers over the prefix, which never sees actions."""
        raise NotImplementedError

    def extend(self, x: Tensor, positions: Tensor, context: Context, see: Tensor) -> Tensor:
        """
        Run the layers over action tokens (B, T, width) at positions (B, T), for no-expert.

        ``see``: as ``visible`` returns it.
        """
        raise NotImplementedError

    def embed_text(self, ids: Tensor) -> Tensor:
        """Return the vectors (B, T, width) of words with these ids (B, T), for text mode."""
        raise NotImplementedError

    def text_scores(self, x: Tensor) -> Tensor:
        """Return how likely each word comes after hidden states (..., width), for text mode."""
        raise NotImplementedError
