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
"""The published tokenizers whose number of tokens can be chosen, all at one size."""

from __future__ import annotations

from collections.abc import Callable

from faster_ros.tokenizer.baselines.carp import carp
from faster_ros.tokenizer.baselines.omnisat import OmniSat
from faster_ros.tokenizer.baselines.quest import quest
from faster_ros.tokenizer.baselines.spatial_grid import describes, SpatialGrid
from faster_ros.tokenizer.baselines.vq_bet import vq_bet
from faster_ros.tokenizer.baselines.vq_vla import vq_vla
from faster_ros.tokenizer.protocol import Tokenizer


def makers(groups: dict[str, list[int]], tokens: int, codes: int,
           effort: float) -> list[Callable[[int], Tokenizer]]:
    """
    Return what makes each tokenizer from a seed: at most ``tokens`` of ``codes`` codes.

    ``effort`` is the share of the training steps of the networks. QueST keeps its 1000 codes and
    SpatialVLA its own number of tokens; the latter is there for poses of an end effector only.
    """
    made: list[Callable[[int], Tokenizer]] = [
        lambda seed: vq_bet(tokens, codes, seed, effort),
        lambda seed: vq_vla(tokens, codes, seed, effort),
        lambda seed: carp(tokens, codes, seed, effort),
        lambda seed: quest(tokens, seed, effort),
    ]
    if len(groups) <= tokens:
        made.append(lambda seed: OmniSat(groups, tokens, codes, seed=seed))
    if describes(groups):
        made.append(lambda _: SpatialGrid(groups))
    return made
