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
Text mode (paper section 3.2): a short text before the blocks, from the backbone's language head.

The policy says token after token, such as "grasp the red cube", until it says BoBlk, which
switches to block mode. A token sees the prefix and the text before it. The actions see both, as
the keys and values of the text join the prefix. Drawn for a prefix P P and the text "a b" (``*`` =
may look at), where the output of the last P is a, of a is b, and of b is BoBlk:

    input   P P | a b | blocks
    P       * *
    P       * *
    a       * * | *
    b       * * | * *
    blocks  * * | * * | as in block_decoding.py

In a batch, shorter texts are padded on the right; padding is never seen and takes no position.
"""

from __future__ import annotations

from faster_ros.policy.backbones.base import Backbone, Prefix, TeacherForced, visible
from faster_ros.policy.backbones.pretrained import PADDING
import torch
from torch import nn, Tensor
from torch.nn import functional


class TextMode(nn.Module):
    """
    BoBlk beside the words of a backbone, and what is said with it.

    BoBlk is a vector of the backbone's ``width``: its product with a hidden state is a score as
    the words have, after theirs. The blocks begin with the expert's own BoBlk. A text has at most
    ``most`` tokens; then BoBlk is taken. ``said``: the ids (B, L) of the last texts, PADDING after
    the end of each.
    """

    def __init__(self, most: int, width: int) -> None:
        super().__init__()
        self.boblk = nn.Parameter(torch.zeros(width))
        self.said = torch.empty(0, 0, dtype=torch.long)
        self._most = most

    def scores(self, backbone: Backbone, x: Tensor) -> Tensor:
        """Return (..., words + 1): how likely is what comes after hidden states (..., width)."""
        boblk = x @ self.boblk.to(x.dtype)
        return torch.cat([backbone.text_scores(x), boblk[..., None]], -1)

    def follow(self, backbone: Backbone, prefix: Prefix, ids: Tensor) -> tuple[Prefix, Tensor]:
        """
        Return the prefix with a text (B, L) behind it, and the scores (B, L + 1, words + 1).

        Teacher-forced: the scores at place i are those of token i, given the ones before it.
        """
        assert prefix.last is not None, 'a backbone that speaks says what its last token became'
        longer, x = read(backbone, prefix, ids)
        return longer, self.scores(backbone, torch.cat([prefix.last[:, None], x], 1))

    @torch.no_grad()
    def say(self, backbone: Backbone, prefix: Prefix) -> Prefix:
        """Return the prefix with the likeliest text behind it; ``said`` is that text."""
        going = prefix.mask.any(1)
        said = [going.new_empty(len(going), 0, dtype=torch.long)]
        while len(said) <= self._most:
            assert prefix.last is not None
            scores = self.scores(backbone, prefix.last)
            chosen = scores.argmax(-1)  # B
            going = going & (chosen < scores.shape[-1] - 1)
            if not going.any():
                break
            said.append(chosen.where(going, PADDING)[:, None])
            prefix, _ = read(backbone, prefix, said[-1])
        self.said = torch.cat(said, 1)
        return prefix


def read(backbone: Backbone, prefix: Prefix, ids: Tensor) -> tuple[Prefix, Tensor]:
    """Return the prefix with tokens (B, T) behind it, and their hidden states (B, T, width)."""
    known, context = ids != PADDING, _Growing(prefix)
    places = torch.arange(ids.shape[1], device=ids.device)
    see = visible(context, places[:, None] >= places)
    x = backbone.extend(backbone.embed_text(ids.clamp(min=0)),
                        prefix.next_position[:, None] + places, context, see)
    return Prefix(context.keys, context.values, torch.cat([prefix.mask, known], 1),
                  prefix.next_position + known.sum(1), x[:, -1]), x


def text_loss(scores: Tensor, ids: Tensor) -> Tensor:
    """
    Return the mean cross-entropy of texts (B, L), of each over its tokens and BoBlk after them.

    A text counts the same whatever its length, so that parts of a batch train as the whole does.
    """
    wanted = functional.pad(ids, (0, 1), value=PADDING)
    ends = (ids != PADDING).sum(1)
    wanted = wanted.scatter(1, ends[:, None], scores.shape[-1] - 1)
    loss = functional.cross_entropy(scores.transpose(1, 2).float(), wanted, reduction='none',
                                    ignore_index=PADDING)
    return (loss.sum(1) / (ends + 1)).mean()


class _Growing(TeacherForced):
    """Keeps, layer by layer, the keys and values of the prefix with those of the new tokens."""

    def __init__(self, prefix: Prefix) -> None:
        super().__init__(prefix)
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and values of a layer; see Context."""
        keys, values = super().extend(layer, k, v)
        self.keys.append(keys)
        self.values.append(values)
        return keys, values
