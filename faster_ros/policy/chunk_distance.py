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
"""How far the chunk that a policy means is from the right one, beside how likely its codes are."""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.policy.code_distance import code_distances
from faster_ros.tokenizer.faster_vq import FASTerVQ
import torch
from torch import Tensor

_REACH_SHARE = 0.25  # of the sum of the steps beside each step
_CODE_SHARE = 0.25  # of the distances of the mean codes


class ChunkDistance:
    """
    Mean absolute difference of the mean chunk and the right one, through the tokenizer's decoder.

    Cross-entropy takes all wrong codes for equally wrong, and learns from few recordings by heart
    which is which. Here a code counts by the motion that it stands for. Columns that are ``steps``
    from row to row count again summed up, by where they have led the arm: a course whose steps
    are all a little short ends far from where it should. Each level's mean code counts for itself
    as well (``code_distance.py``): the finer levels are told the right coarse codes in training,
    and would make up for a coarse mean that is not what is chosen at run time.
    """

    def __init__(self, tokenizer: FASTerVQ, steps: Sequence[int]) -> None:
        """Freeze the ``tokenizer``."""
        self._tokenizer = tokenizer.requires_grad_(False)
        self._steps = list(steps)

    def __call__(self, logits: Tensor, codes: Tensor) -> Tensor:
        """Return () in normalised units, for scores (B, N, V) of codes (B, K, T)."""
        tokenizer = self._tokenizer
        with torch.autocast(logits.device.type, enabled=False):
            shares = logits.float().softmax(-1).unflatten(1, codes.shape[1:])
            meant = tokenizer.decode_latent(tokenizer.quantizer.mean(shares))
            right = tokenizer.decode_latent(tokenizer.quantizer.lookup(codes))
            gap = meant - right
            apart = code_distances(logits, codes, tokenizer.quantizer.codebooks)
            distance = gap.abs().mean() + _CODE_SHARE * apart.sum()
            if self._steps:
                led = gap[..., self._steps].cumsum(-2)
                distance = distance + _REACH_SHARE * led.abs().mean()
        return distance
