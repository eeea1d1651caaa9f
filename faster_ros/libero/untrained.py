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
A policy for LIBERO that has learned nothing: to try the bridge out, never to be measured.

It has the form of a real one: FASTerVQ over chunks of seven columns, and FASTerVLA on the backbone
that comes with this package.
"""

from __future__ import annotations

from pathlib import Path

from faster_ros.data.libero_columns import COLUMNS, RATE_HZ
from faster_ros.data.normalisation import Normaliser
from faster_ros.policy.checkpoint import PolicyParts
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.embodiment import LIBERO
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.vocabulary import WordVocabulary
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
import numpy as np
import torch

_HORIZON = 16
_EXAMPLES = 256  # random chunks, from which the codebooks begin


def make_untrained(folder: Path, instructions: list[str], seed: int = 0) -> None:
    """Write a checkpoint folder of random weights that knows the words of instructions."""
    torch.manual_seed(seed)
    width = len(COLUMNS)
    grid = TokenizerConfig(_HORIZON, {'arm': list(range(width - 1)), 'gripper': [width - 1]},
                           width=32, layers=1, latent_dim=32, codebook_size=32)
    texts = [WordVocabulary.words_of(text) for text in instructions]
    config = PolicyConfig(
        LIBERO.cameras, tuple(sorted({word for text in texts for word in text})),
        max(map(len, texts)) + 2, width, grid.levels, grid.codes_per_level, grid.codebook_size,
        grid.codes_per_level, BackboneConfig(image_width=64, image_height=64))
    tokenizer = FASTerVQ(grid)
    tokenizer.train()(torch.randn(_EXAMPLES, _HORIZON, width).clamp(-1, 1))
    ends = np.ones(width)
    state = Normaliser(np.append([-1, -1, 0], np.append(-4 * ends[:3], -1.0)),
                       np.append([1, 1, 2], np.append(4 * ends[:3], 1.0)))
    PolicyParts(FASTerVLA(config), tokenizer, Normaliser(-ends, ends), state, LIBERO,
                1 / RATE_HZ).save(folder, {'trained': False, 'seed': seed})
