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

Each variant of the paper's form (grid of codes, EMA codebooks, all of it trained) differs from the
first in one thing and gets as many steps. Those of the form for small data vary the width of
slots, the augmentation, the codes and what seams and ends weigh, beside PCA k-means of the same
tokens and codes. Seeds differ in the split and the initialisation.
"""

from __future__ import annotations

from dataclasses import replace

from faster_ros.data.recordings import horizon_rows, Recording
from faster_ros.tokenizer.baselines.pca_rvq import PcaResidualKMeans
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.protocol import LIMIT, Tokenizer, TokenizerSpec
from faster_ros.training.code_sizes import codebook_size
from faster_ros.training.compare_tokenizers import Maker, split_episodes
from faster_ros.training.compared_tokenizers import QUICK_CHUNKS, QUICK_SECONDS, sizes
from faster_ros.training.data_parallel import ALONE, DataParallel
from faster_ros.training.grid_tokenizer import GridFasterVq, time_grid
from faster_ros.training.small_data import SmallDataFasterVq, SmallDataSettings
from faster_ros.training.train_tokenizer import TokenizerTraining
import numpy as np

_PCA_WIDTHS = (12, 16, 24)
_SLOT_WIDTHS = (8, 12, 16, 24, 32, 48)
_AUGMENTED = (0, 1, 10)  # for each recorded chunk; the variants above have three
_CODES = (2, 4)  # times as many
_MORE_SLOTS = (7 / 6, 3 / 2)  # times as many, rounded down
_SEAM_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)
_END_WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)


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


def small_data_makers(recording: Recording, horizon_s: float) -> list[Maker]:
    """Return a maker for each variant of what ``compare --quick`` fits."""
    slots, levels, size = sizes(recording, horizon_s)
    base = SmallDataSettings(slots, levels, size, QUICK_SECONDS, QUICK_CHUNKS, False)
    layouts = [(slots, levels + 1),
               *((more, levels) for times in _MORE_SLOTS if (more := int(times * slots)) > slots)]

    def pca(width: int) -> Maker:
        return lambda seed: _Named(f'PCA k-means, slots of {width}', PcaResidualKMeans(
            slots, levels, size, width, seed))

    def faster(name: str, settings: SmallDataSettings) -> Maker:
        return lambda seed: _Named(name, SmallDataFasterVq(replace(settings, seed=seed),
                                                           recording.groups))

    return [*(pca(width) for width in _PCA_WIDTHS),
            *(faster(f'FASTerVQ, slots of {width}', replace(base, slot_width=width))
              for width in _SLOT_WIDTHS),
            *(faster(f'FASTerVQ, {count} augmented', replace(base, augmented=count))
              for count in _AUGMENTED),
            *(faster(f'FASTerVQ, {times} times the codes', replace(
                base, codebook_size=times * size)) for times in _CODES),
            *(faster(f'FASTerVQ, {many * deep} tokens', replace(base, slots=many, levels=deep))
              for many, deep in layouts),
            *(faster(f'FASTerVQ, seams {weight:g}', replace(base, seam_weight=weight))
              for weight in _SEAM_WEIGHTS),
            *(faster(f'FASTerVQ, ends {weight:g}', replace(base, end_weight=weight))
              for weight in _END_WEIGHTS)]


class _Named:
    """A tokenizer under another name."""

    def __init__(self, name: str, tokenizer: Tokenizer) -> None:
        self._name, self._tokenizer = name, tokenizer
        self.fit, self.encode, self.decode = tokenizer.fit, tokenizer.encode, tokenizer.decode

    @property
    def spec(self) -> TokenizerSpec:
        """Return that of the tokenizer, renamed."""
        return replace(self._tokenizer.spec, name=self._name)


def equal_groups(config: TokenizerConfig) -> dict[str, list[int]]:
    """Return as many groups of equal width, whatever the columns are."""
    parts = np.array_split(np.arange(config.action_dim), len(config.groups))
    return {f'part {number}': part.tolist() for number, part in enumerate(parts)}


def base_config(recording: Recording, horizon_s: float) -> TokenizerConfig:
    """Return the paper's form at a size that a CPU trains: a row of codes, three levels."""
    horizon = horizon_rows(recording.rate_hz, horizon_s)
    windows = len(split_episodes(recording, horizon, 0).train)
    time_patch, time_strides = time_grid(horizon, rows=1)
    return TokenizerConfig(
        action_horizon=horizon, groups=recording.groups, group_patches=True,
        time_patch=time_patch, time_strides=time_strides, width=48, layers=1, latent_dim=48,
        codebook_size=codebook_size(windows), output_limit=LIMIT)


def ablation_makers(recording: Recording, horizon_s: float, steps: int,
                    processes: DataParallel = ALONE) -> list[Maker]:
    """Return a maker for each variant, trained where ``processes`` compute."""
    training = TokenizerTraining(steps)

    def maker(name: str, config: TokenizerConfig) -> Maker:
        return lambda seed: GridFasterVq(name, config, training, seed, processes)

    return [maker(name, config)
            for name, config in variants(base_config(recording, horizon_s)).items()]
