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

from dataclasses import dataclass

from torch import Tensor


@dataclass
class PolicyInput:
    """
    A batch of observations as tensors.

    ``images``: (B, cameras, 3, height, width) in [-1, 1]; ``words``: (B, L) ids, padded on the
    left with 0; ``state``: (B, S) normalised joints; ``committed``: see ``committed_actions.py``,
    for a policy that takes them.
    """

    images: Tensor
    words: Tensor
    state: Tensor
    committed: Tensor | None = None


@dataclass
class Prefix:
    """
    The cache of one forward pass over the observation (paper section 3.2).

    ``keys`` and ``values``: one (B, heads, P, head_dim) tensor per layer; ``mask``: (B, P), false
    where a token is padding; ``next_position``: (B,), the position after the last token.
    """

    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor
    next_position: Tensor
