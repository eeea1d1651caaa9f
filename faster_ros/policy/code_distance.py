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
"""How far the code that a policy means is from the right one, beside how likely that one is."""

from __future__ import annotations

import torch
from torch import Tensor


def code_distances(logits: Tensor, codes: Tensor, books: Tensor) -> Tensor:
    """
    Return (K,) for scores (B, N, V) of codes (B, K, T), given the codebooks (K, V, C).

    It is the squared distance of the mean code to the right one, as a share of the variance of
    the level's codes. Cross-entropy takes all wrong codes for equally wrong, and learns from few
    recordings by heart which is which; by this distance a code's neighbours count as near.
    """
    levels = torch.arange(codes.shape[1], device=codes.device)[:, None]
    shares = logits.float().softmax(-1).unflatten(1, codes.shape[1:])  # B, K, T, V
    gaps = torch.einsum('bktv,kvc->bktc', shares, books) - books[levels, codes]
    spread = books.var(1, unbiased=False).sum(-1)
    return gaps.square().sum(-1).mean((0, 2)) / spread.clamp(min=1e-8)
