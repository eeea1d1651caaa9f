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
The ablations of FASTerVQ on given data: encoder, K, levels, DCT loss, grouping.

Each variant is the paper's form (grid of codes, EMA codebooks, all of it trained), differs from
the first in one thing, and gets as many steps; seeds differ in the split and the initialisation.
"""

from __future__ import annotations

from dataclasses import replace

from faster_ros.data.recordings import horizon_rows, Recording
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.protocol import LIMIT
from faster_ros.training.compare_tokenizers import Maker, split_episodes
from faster_ros.training.grid_tokenizer import GridFasterVq
from faster_ros.training.small_data import codebook_size
from faster_ros.training.train_tokenizer import TokenizerTraining
import numpy as np

_PATCH_ROWS = 4  # at most; one row of codes for each chunk is left, as in the paper


def variants(config: TokenizerConfig) -> dict[str, TokenizerConfig]:
    """Return the base and what differs from it in one thing, by name."""
    size, levels = config.codebook_size, config.levels
    return {
        'base': config,
        'encoder: CNN': replace(config, encoder='cnn'),
        'encoder: transformer': replace(config, encoder='transformer'),
        f'K {size // 4}': replace(config, codebook_size=size // 4),
        f'K {size * 4}': replace(config, codebook_size=size * 4),
        **{f'levels {count}': replace(config, levels=count) for count in (1, 2, 4, 8)
           if count != levels},
        'no DCT loss': replace(config, dct_weight=0.0),
        'groups: equal widths': replace(config, groups=equal_groups(config)),
        'groups: none': replace(config, group_patches=False),
    }


def equal_groups(config: TokenizerConfig) -> dict[str, list[int]]:
    """Return as many groups of equal width, whatever the columns are."""
    parts = np.array_split(np.arange(config.action_dim), len(config.groups))
    return {f'part {number}': part.tolist() for number, part in enumerate(parts)}


def base_config(recording: Recording, horizon_s: float) -> TokenizerConfig:
    """Return the paper's form at a size that a CPU trains: a row of codes, three levels."""
    horizon = horizon_rows(recording.rate_hz, horizon_s)
    windows = len(split_episodes(recording, horizon, 0).train)
    time_patch = -(-horizon // _PATCH_ROWS)
    rows = -(-horizon // time_patch)
    return TokenizerConfig(
        action_horizon=horizon, groups=recording.groups, group_patches=True,
        time_patch=time_patch, time_strides={4: (2, 2), 3: (3,), 2: (2,)}[rows],
        width=48, layers=1, latent_dim=48, codebook_size=codebook_size(windows),
        output_limit=LIMIT)


def ablation_makers(recording: Recording, horizon_s: float, steps: int) -> list[Maker]:
    """Return a maker for each variant."""
    training = TokenizerTraining(steps)

    def maker(name: str, config: TokenizerConfig) -> Maker:
        return lambda seed: GridFasterVq(name, config, training, seed)

    return [maker(name, config)
            for name, config in variants(base_config(recording, horizon_s)).items()]
