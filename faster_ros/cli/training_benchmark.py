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
``faster_ros benchmark training``: what a step of `faster_ros train policy` takes.

Weights and data are random: the figures are of memory and speed. A large backbone learns by LoRA
in bfloat16, as the preset ``small`` does, the expert in whole; images are preprocessed and losses,
gradients, optimiser and averaged weights are those of a run. Writes training.json.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
import json
from pathlib import Path
from typing import Any

from faster_ros.data.normalisation import Normaliser
from faster_ros.policy.checkpoint import PolicyParts
from faster_ros.policy.config import BackboneConfig
from faster_ros.policy.gpu import chosen_device, room_on_gpu
from faster_ros.policy.sizes import random_policy, random_preprocessor, size_config, SIZES
from faster_ros.robot_spec import load_robot_spec
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.data_parallel import DataParallel
from faster_ros.training.finetune_data import PolicyRows
from faster_ros.training.finetune_policy import PolicyFineTuning
from faster_ros.training.policy_recipe import PRESETS, Recipe
from faster_ros.training.robot_rows import RobotRows
import numpy as np
import torch

_GRID = TokenizerConfig(20, {'arm': list(range(8))}, time_patch=5, time_strides=(2, 2),
                        codebook_size=4096)


class _Steps(PolicyFineTuning):
    """The updates of a run, without what is validated and written on the way."""

    def _validate_and_save(self) -> None:
        """Keep nothing."""

    def measure(self) -> dict[str, Any]:
        """Train to the end; return rows and codes per second and the peak memory."""
        self.run()
        return self._cost()


def main(arguments: list[str]) -> int:
    """Run ``faster_ros benchmark training`` and return its exit code."""
    parser = argparse.ArgumentParser(prog='faster_ros benchmark training', description=__doc__)
    add = parser.add_argument
    add('--size', choices=sorted(SIZES), default='tiny', help='(%(default)s)')
    add('--steps', type=int, default=20, help='updates, the slower first one too (%(default)s)')
    add('--batch', type=int, default=32, help='rows of an update (%(default)s)')
    add('--accumulate', type=int, default=1, help='parts of an update (%(default)s)')
    add('--workers', type=int, default=4, help='processes that read rows (%(default)s)')
    add('--device', default='auto', help='cpu, cuda or auto')
    add('--out', type=Path, default=Path('out/benchmark_training'))
    options = parser.parse_args(arguments)
    device = chosen_device(options.device)
    tiny = isinstance(SIZES[options.size].backbone, BackboneConfig)
    recipe = replace(
        PRESETS['cpu' if tiny else 'small'], steps=options.steps, expert_steps=0, warmup_steps=1,
        batch_size=options.batch, accumulate=options.accumulate, workers=options.workers,
        distance_weight=0.0, validate_every=options.steps)
    torch.manual_seed(0)
    with room_on_gpu('raise --accumulate, or lower --size'):
        figures = _steps(options.size, recipe, device, options.out).measure()
    figures = {'size': options.size, 'device': str(device), 'recipe': asdict(recipe), **figures}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / 'training.json').write_text(json.dumps(figures, indent=2) + '\n')
    memory = figures['peak_memory_gb']
    rows, codes = figures['rows_per_s'], figures['codes_per_s']
    print(f'{options.size}, {recipe.batch_size} rows in {recipe.accumulate} parts, LoRA rank '
          f'{recipe.lora_rank}, {device}: {rows:.1f} rows/s, {codes:.0f} codes/s'
          + (f', peak memory {memory:.1f} GB' if memory else ''))
    return 0


def _steps(size: str, recipe: Recipe, device: torch.device, out: Path) -> _Steps:
    """Return a run over random rows."""
    spec, rng = load_robot_spec('fr3'), np.random.default_rng(0)
    config = size_config(SIZES[size], _GRID.levels, _GRID.codes_per_level, _GRID.codebook_size, 2)
    lora = torch.bfloat16 if recipe.bf16 and recipe.lora_rank else torch.float32
    policy = random_policy(config, device, lora)
    policy.expert.float()
    ones, count = np.ones(8), recipe.batch_size
    shape = (count, 2, config.backbone.image_height, config.backbone.image_width, 3)
    state = rng.uniform(-1, 1, (count, 8))
    words = ' '.join(config.vocabulary[:config.max_words])
    rows = RobotRows(rng.integers(0, 256, shape, np.uint8), state, state, [words] * count,
                     np.zeros(count, np.int64), 0.1, [])
    codes = torch.randint(0, _GRID.codebook_size, (count, _GRID.levels, _GRID.codes_per_level))
    coded = PolicyRows(rows, state, codes, rows.chunks(_GRID.action_horizon), np.arange(count),
                       np.arange(0), random_preprocessor(config))
    parts = PolicyParts(policy, FASTerVQ(_GRID), Normaliser(-ones, ones), Normaliser(-ones, ones),
                        spec, 0.1)
    return _Steps(parts, recipe, coded, out, DataParallel(device=str(device)))
