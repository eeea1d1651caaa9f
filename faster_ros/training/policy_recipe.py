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
"""How a policy is trained: the presets of the paper, and a YAML file that changes them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faster_ros.policy.config import TINY
from faster_ros.strict_yaml import build, read_yaml

# Tokenizers of the paper's form (appendix A.2): width, layers of either side, chunks of a batch.
PAPER_SIZES = {'8m': (256, 4, 512), '13m': (320, 4, 2048)}
SMALL = 'small'


@dataclass(frozen=True)
class Recipe:
    """
    Everything that a training run is told, besides data and robot.

    ``backbone``: tiny, or the folder or hub id of a vision-language model. ``horizon``: H, rows
    of a chunk, each ``stride`` rows of the data after the one before, so that a chunk of data at
    30 Hz may last longer than half a second; ``time_patch`` and ``time_strides`` cut them down to
    the code grid. A run has ``steps`` updates, or as many as ``epochs`` passes need where
    ``steps`` is 0; in the first ``expert_steps`` the backbone is frozen, then it learns at
    ``backbone_rate`` times the rate. ``lora_rank`` above 0 trains low-rank additions to the
    backbone's layers instead of these. ``batch_size`` rows make an update, in ``accumulate``
    parts. ``shard`` spreads weights, gradients and optimiser over several processes (FSDP) where
    each would hold all of them (DDP); ``tensorboard`` writes the curves for it as well.
    ``by_order`` takes the columns of the data as the robot's joints whatever they are called;
    ``failed_episodes`` takes those that were marked as failures, too.

    ``expert`` (empty: plain with ``tiny``, gated with others), ``block_size`` (0: the codes of a
    level), ``train_gap``, ``gap``, ``decode_levels`` and ``image_share`` are those of
    PolicyConfig. A ``backbone_rate`` of 0 leaves the backbone as it is.

    The tokenizer is fitted first, for ``tokenizer_steps``. ``tokenizer_size`` is small, the
    demo's form, or the paper's form and optimiser: 8m for one arm, 13m for a whole body.

    ``subtasks`` turns text mode on: the policy learns to say the subtask of a row before it acts;
    ``text_weight`` is how much that text's mean cross-entropy counts, beside that of a level.

    For few recordings: ``codebook_head`` begins with a head that knows where the codes lie
    (``CodeDecoder.start_from_codebooks``); ``mean_latent`` (see PolicyConfig) and
    ``distance_weight``, how much the distances of ``policy/code_distance.py`` count beside the
    cross-entropy; ``image_shift``, ``brightness``, ``state_noise`` and ``state_dropout`` vary
    what is seen (ObservationNoise).
    """

    backbone: str = TINY
    image_width: int = 224
    image_height: int = 168
    state_input: str = 'text'
    expert: str = ''
    expert_width: int = 64
    block_size: int = 0
    train_gap: tuple[int, ...] = (1, 3)
    gap: int = 2
    decode_levels: int | None = None
    image_share: float = 1.0
    horizon: int = 16
    stride: int = 1
    time_patch: int = 4
    time_strides: tuple[int, ...] | None = None
    codebook_size: int = 256
    tokenizer_size: str = SMALL
    tokenizer_steps: int = 1500
    steps: int = 0
    epochs: float = 0.0
    expert_steps: int = 0
    batch_size: int = 32
    accumulate: int = 1
    shard: bool = False
    tensorboard: bool = False
    learning_rate: float = 2.5e-5
    backbone_rate: float = 0.1
    weight_decay: float = 1e-10
    warmup_steps: int = 1000
    lora_rank: int = 0
    bf16: bool = True
    ema_decay: float = 0.999
    validation_share: float = 0.05
    validate_every: int = 1000
    workers: int = 4
    by_order: bool = False
    failed_episodes: bool = False
    subtasks: bool = False
    text_weight: float = 1.0
    codebook_head: bool = False
    mean_latent: bool = False
    distance_weight: float = 0.0
    image_shift: float = 0.0
    brightness: float = 0.0
    state_noise: float = 0.0
    state_dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, naming the key."""
        if (self.steps > 0) == (self.epochs > 0):
            raise ValueError(f'expected either steps or epochs above 0, got steps {self.steps}, '
                             f'epochs {self.epochs}')
        for key in ('batch_size', 'accumulate', 'horizon', 'stride', 'validate_every',
                    'warmup_steps'):
            if getattr(self, key) < 1:
                raise ValueError(f'{key} must be at least 1, got {getattr(self, key)}')
        if len(self.train_gap) != 2:
            raise ValueError(f'train_gap must be LOW and HIGH, got {list(self.train_gap)}')
        _check_tokenizer_size(self.tokenizer_size)
        if self.batch_size % self.accumulate:
            raise ValueError(f'accumulate {self.accumulate} must divide batch_size '
                             f'{self.batch_size}')
        if self.backbone == TINY:
            self._check_tiny()
        for key, most in (('image_shift', 0.5), ('brightness', 1.0), ('state_noise', 1.0),
                          ('state_dropout', 1.0), ('distance_weight', float('inf')),
                          ('backbone_rate', float('inf')), ('text_weight', float('inf'))):
            if not 0 <= getattr(self, key) <= most:
                raise ValueError(f'{key} must be from 0 to {most:g}, got {getattr(self, key)}')
        if not 0 < self.validation_share < 1:
            raise ValueError('validation_share must be between 0 and 1, got '
                             f'{self.validation_share}')

    def _check_tiny(self) -> None:
        if self.lora_rank:
            raise ValueError(f"lora_rank {self.lora_rank} needs a trained backbone; '{TINY}' is "
                             'trained from nothing')
        if self.shard:
            raise ValueError(f"shard is for large backbones; '{TINY}' fits every device")
        if self.subtasks:
            raise ValueError('subtasks needs a vision-language model as backbone; '
                             f"'{TINY}' has no language head to say them with")

    def updates(self, rows: int) -> int:
        """Return the number of updates for so many training rows."""
        return self.steps or max(1, round(self.epochs * rows / self.batch_size))

    def check_phases(self, rows: int) -> None:
        """Refuse phases that so many training rows would never see the end of."""
        updates = self.updates(rows)
        if self.backbone_rate and updates <= self.expert_steps:
            raise ValueError(
                f'expert_steps {self.expert_steps}: the run has {updates} updates with {rows} '
                'training rows, so the backbone would never learn; lower expert_steps, set steps, '
                'or backbone_rate: 0 where it shall stay as it is')
        if self.warmup_steps > updates:
            raise ValueError(
                f'warmup_steps {self.warmup_steps}: the run has {updates} updates with {rows} '
                'training rows, so the rate would never be reached; lower warmup_steps or set '
                'steps')


def _check_tokenizer_size(size: str) -> None:
    sizes = (SMALL, *PAPER_SIZES)
    if size not in sizes:
        raise ValueError(f"tokenizer_size must be one of {', '.join(sizes)}, got {size!r}")


_PALIGEMMA = 'google/paligemma-3b-pt-224'
_SMOLVLM = 'HuggingFaceTB/SmolVLM2-500M-Video-Instruct'
# What keeps a policy from learning tens of episodes by heart; measured with the tiny backbone.
_FEW_RECORDINGS: dict[str, Any] = {
    'codebook_head': True, 'mean_latent': True, 'distance_weight': 5.0, 'image_shift': 0.025,
    'brightness': 0.1, 'state_noise': 0.05, 'state_dropout': 0.3}
# Optimiser, batches and lengths of the paper's appendix; the expert's own phase is our choice.
# Images keep the aspect of the published data: 1:1 of LIBERO and Bridge, 16:9 of DROID.
PRESETS = {
    'libero': Recipe(backbone=_PALIGEMMA, image_height=224, expert_width=1024,
                     codebook_size=4096, horizon=20, time_patch=5, tokenizer_size='8m',
                     tokenizer_steps=300000, steps=30000, expert_steps=5000, batch_size=32),
    'bridge': Recipe(backbone=_PALIGEMMA, image_height=224, expert_width=1024,
                     codebook_size=4096, horizon=5, time_patch=5, time_strides=(),
                     tokenizer_size='8m', tokenizer_steps=300000, epochs=4.0,
                     expert_steps=5000, batch_size=128),
    'droid': Recipe(backbone=_PALIGEMMA, image_height=126, expert_width=1024,
                    codebook_size=4096, horizon=16, tokenizer_size='8m',
                    tokenizer_steps=300000, epochs=3.0, expert_steps=5000, batch_size=1024),
    'small': Recipe(backbone=_SMOLVLM, expert_width=512, tokenizer_steps=3000, steps=10000,
                    expert_steps=2000, lora_rank=16, validate_every=500, learning_rate=2e-4,
                    backbone_rate=0.5, weight_decay=0.01, warmup_steps=500, **_FEW_RECORDINGS),
    'cpu': Recipe(image_width=128, image_height=96, steps=2000, batch_size=32,
                  learning_rate=1e-3, backbone_rate=1.0, weight_decay=0.01, warmup_steps=100,
                  bf16=False, ema_decay=0.998, validate_every=500, workers=0,
                  **_FEW_RECORDINGS),
}


def read_recipe(path: Path | None, preset: str = '') -> Recipe:
    """Return a preset with the changes of a YAML file; the file may name its ``preset``."""
    changes: dict[str, object] = {}
    if path is not None:
        found = read_yaml(path, 'training recipe')
        if not isinstance(found, dict):
            raise ValueError(f'{path}: expected a mapping, got {found!r}')
        changes = found
    name = preset or str(changes.pop('preset', 'cpu'))
    changes.pop('preset', None)
    if name not in PRESETS:
        raise ValueError(f"{path or 'training'}: preset '{name}' is unknown; expected one of "
                         f"{', '.join(PRESETS)}")
    base = {key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(PRESETS[name]).items()}
    if 'epochs' in changes and 'steps' not in changes:
        base['steps'] = 0
    if 'steps' in changes and 'epochs' not in changes:
        base['epochs'] = 0.0
    return build(Recipe, {**base, **changes}, f'training recipe {path or name}')
