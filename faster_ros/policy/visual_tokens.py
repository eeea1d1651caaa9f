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
Fewer image tokens for the language model, the dearest part of a call; off by default.

``merge_alike`` (after token merging, ToMe, arXiv 2210.09461) averages the image tokens of one
frame that are most alike. ``FrameReuse`` (after VLA-Cache, arXiv 2502.02175) keeps the keys and
values of image tokens that have hardly changed since they were computed; words and joints are
always computed anew. Either changes the codes: `faster_ros benchmark prefix` says how often.
"""

from __future__ import annotations

from dataclasses import replace

from faster_ros.policy.backbones.base import Backbone, Prefix, PrefixTokens
import torch
from torch import Tensor
from torch.nn import functional

_MOST_ANEW = 0.5  # of the image tokens; beyond it all are computed, so that little is ever stale


def merge_alike(tokens: PrefixTokens, share: float) -> PrefixTokens:
    """
    Return tokens with ``share`` (0.5 to 1) of the image tokens.

    Every second image token may go; those most like one of the others are averaged into it. Each
    observation of the batch has the same number of image tokens.
    """
    if share == 1:
        return tokens
    if tokens.deep is not None:
        raise ValueError('image_share below 1: the first layers of this backbone add to each '
                         'image token of its own; expected image_share 1')
    places = tokens.image_places()  # B, n
    away = places.shape[1] - round(share * places.shape[1])
    if not away:
        return tokens
    stay, go = places[:, ::2], places[:, 1::2]
    directions = functional.normalize(tokens.x.float(), dim=-1)
    alike = _pick(directions, go) @ _pick(directions, stay).transpose(1, 2)
    best, nearest = alike.max(2)
    chosen = best.topk(away, 1).indices
    source, target = go.gather(1, chosen), stay.gather(1, nearest.gather(1, chosen))
    x = tokens.x.scatter_add(1, _wide(target, tokens.x), _pick(tokens.x, source))
    ones = torch.ones_like(tokens.mask, dtype=x.dtype)
    x = x / ones.scatter_add(1, target, torch.ones_like(target, dtype=x.dtype))[..., None]
    gone = torch.zeros_like(tokens.mask).scatter(1, source, True)
    images = torch.zeros_like(gone).scatter(1, places, True)
    left = gone.int().argsort(dim=1, stable=True)[:, :gone.shape[1] - away]
    axes = left if tokens.positions.ndim == 2 else left.expand(3, -1, -1)
    return replace(tokens, x=_pick(x, left), mask=tokens.mask.gather(1, left),
                   positions=tokens.positions.gather(-1, axes),
                   images=images.gather(1, left), image_count=places.shape[1] - away)


class FrameReuse:
    """
    The prefix of one observation after the other, for a robot that looks at nearly the same.

    An image token is computed anew when its vector differs by more than ``tolerance`` (relative
    to its length) from the one that its keys and values come from. ``anew``: the share of them
    that was, in the last call.
    """

    def __init__(self, backbone: Backbone, tolerance: float) -> None:
        self._backbone, self._tolerance = backbone, tolerance
        self._x: Tensor | None = None  # n, width: what the kept keys and values come from
        self._kept: list[tuple[Tensor, Tensor]] = []
        self.anew = 1.0

    def forget(self) -> None:
        """Compute everything in the next call: the instruction is another one."""
        self._x = None

    def __call__(self, tokens: PrefixTokens) -> Prefix:
        """Return the prefix of a batch of one."""
        if tokens.deep is not None or len(tokens.x) != 1:
            raise ValueError('reuse_tolerance needs one observation at a time, of a backbone '
                             'whose layers add nothing to image tokens; expected 0')
        places = tokens.image_places()[0]
        x = tokens.x[0, places]
        moved = self._moved(x)
        self.anew = float(moved.float().mean())
        if self._x is None or self.anew > _MOST_ANEW:
            self.anew = 1.0
            prefix = self._backbone.encode(tokens)
            self._x = x.clone()
        else:
            prefix = self._refresh(tokens, places, moved)
            self._x[moved] = x[moved]
        self._kept = [(keys[:, :, places], values[:, :, places])
                      for keys, values in zip(prefix.keys, prefix.values)]
        return prefix

    def _moved(self, x: Tensor) -> Tensor:
        if self._x is None or self._x.shape != x.shape:
            self.forget()
            return x.new_ones(len(x), dtype=torch.bool)
        return (x - self._x).norm(dim=1) > self._tolerance * self._x.norm(dim=1)

    def _refresh(self, tokens: PrefixTokens, places: Tensor, moved: Tensor) -> Prefix:
        """Run the layers over what is new, with the kept keys and values for the rest."""
        new = tokens.mask[0].clone()
        new[places] = moved
        rows = new.nonzero()[:, 0]
        see = tokens.mask[:, None, None, :].expand(-1, -1, len(rows), -1)
        if not self._backbone.bidirectional:
            see = see & (rows[:, None] >= torch.arange(len(new), device=rows.device))
        context = _Refreshed(self._kept, places, rows, tokens.mask)
        out = self._backbone.extend(tokens.x[:, rows], tokens.positions[..., rows], context, see)
        return Prefix(context.keys, context.values, tokens.mask, tokens.next_position(),
                      out[:, -1])  # the last token is none of an image and always new


class _Refreshed:
    """A Context of kept image tokens, which are at ``places``, and of new tokens at ``rows``."""

    length = 0

    def __init__(self, kept: list[tuple[Tensor, Tensor]], places: Tensor, rows: Tensor,
                 mask: Tensor) -> None:
        self.mask = mask
        self._kept, self._places, self._rows = kept, places, rows
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of the whole prefix; see Context."""
        made = []
        for kept, new in zip(self._kept[layer], (k, v)):
            values = new.new_zeros(*new.shape[:2], self.mask.shape[1], new.shape[3])
            values[:, :, self._places] = kept
            values[:, :, self._rows] = new
            made.append(values)
        self.keys.append(made[0])
        self.values.append(made[1])
        return made[0], made[1]


def _wide(places: Tensor, x: Tensor) -> Tensor:
    return places[..., None].expand(-1, -1, x.shape[-1])


def _pick(x: Tensor, places: Tensor) -> Tensor:
    """Return the tokens (B, T, width) at places (B, T)."""
    return x.gather(1, _wide(places, x))
