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
"""The size and shape of a FASTerVLA policy (paper section 3.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
import math
from typing import Any

TINY = 'tiny'
FAMILIES = ('paligemma', 'smolvlm', 'qwen2_5_vl', 'qwen3_vl')  # model types of transformers
EXPERTS = ('plain', 'gated', 'none')
STATE_INPUTS = ('text', 'token')
PROMPT_TOKENS = 96  # of a vision-language model's policy, beside those of the images


@dataclass(frozen=True)
class BackboneConfig:
    """
    The backbone that comes with this package and its sizes.

    ``heads``, ``head_dim`` and ``layers`` are shared with the action expert, which attends to the
    backbone's keys and values layer by layer.
    """

    name: str = TINY
    image_width: int = 128
    image_height: int = 96
    channels: int = 24
    keypoints: int = 32
    tokens_per_camera: int = 4
    width: int = 96
    layers: int = 3
    heads: int = 3
    head_dim: int = 32


@dataclass(frozen=True)
class VLMConfig:
    """
    A vision-language model of the library ``transformers`` as backbone.

    ``name`` is one of FAMILIES; ``architecture`` repeats the model's own config.json, so that a
    checkpoint needs no other folder. Camera images are
    averaged down to ``image_width`` x ``image_height`` before the model's image processor.
    ``state_input`` is how joints reach the model: as integers of ``state_bins`` bins over
    [-1, 1] in the text, or as one embedded token.
    """

    name: str
    architecture: dict[str, Any]
    image_width: int = 224
    image_height: int = 168
    state_input: str = 'text'
    state_bins: int = 256

    def __post_init__(self) -> None:
        """Refuse a way of giving the state that does not exist."""
        if self.state_input not in STATE_INPUTS:
            raise ValueError(f"state_input must be one of {', '.join(STATE_INPUTS)}, got "
                             f'{self.state_input!r}')


@dataclass(frozen=True)
class PolicyConfig:
    """
    What defines a policy besides its weights.

    ``levels`` and ``codes_per_level`` repeat the tokenizer's code grid; ``block_size`` is B, the
    codes decoded in one pass. ``train_gap`` is the range of the spacing augmentation: the step
    between the positions of neighbouring action tokens; ``gap`` is the fixed one at inference.
    ``decode_levels`` stops inference after so many residual levels; None decodes all.
    ``mean_latent``: the chunk is made of the mean latent over all codes, each weighed by how
    likely it is, instead of the likeliest codes.
    ``temperature`` 0 takes the likeliest code; above 0 one of the ``top_k`` likeliest is drawn.
    ``committed_rows``: the most committed actions that are given as an input; 0 takes none.

    ``vocabulary`` is for the backbone that has no tokenizer of its own; ``max_words`` bounds the
    tokens of a prompt, those of the images aside. ``expert``: layers with a plain or a gated MLP
    of ``expert_mlp`` units (0: four times the width), or 'none', where the backbone itself
    decodes. ``image_share`` of the image tokens reach the backbone's layers, those alike are
    merged; one observation after another computes only image tokens anew that changed by more
    than ``reuse_tolerance`` (0: all), with ``image_share`` 1; see ``visual_tokens.py``.
    ``text_tokens``: the most tokens of what is said before the blocks (``text_mode.py``); 0 for a
    policy without text mode.
    """

    cameras: tuple[str, ...]
    vocabulary: tuple[str, ...]
    max_words: int
    state_dim: int
    levels: int
    codes_per_level: int
    codebook_size: int
    block_size: int
    backbone: BackboneConfig | VLMConfig = BackboneConfig()
    expert_width: int = 64
    train_gap: tuple[int, int] = (1, 3)
    gap: int = 2
    decode_levels: int | None = None
    mean_latent: bool = False
    committed_rows: int = 0
    expert: str = 'plain'
    expert_mlp: int = 0
    image_share: float = 1.0
    reuse_tolerance: float = 0.0
    temperature: float = 0.0
    top_k: int = 50
    text_tokens: int = 0

    def __post_init__(self) -> None:
        """Refuse a block size that does not divide the number of tokens, or unknown words."""
        if self.block_size < 1 or self.tokens % self.block_size:
            raise ValueError(f'block_size {self.block_size} must divide the {self.tokens} tokens '
                             f'of {self.levels} levels x {self.codes_per_level} codes')
        if self.decode_levels is not None and not 1 <= self.decode_levels <= self.levels:
            raise ValueError(f'decode_levels must be 1 to {self.levels}, got '
                             f'{self.decode_levels}')
        self._check_backbone()
        if not 0.5 <= self.image_share <= 1 or self.reuse_tolerance < 0:
            raise ValueError('expected image_share from 0.5 to 1 and reuse_tolerance at least 0, '
                             f'got {self.image_share} and {self.reuse_tolerance}')
        if self.image_share < 1 and self.reuse_tolerance:
            raise ValueError(f'image_share {self.image_share} and reuse_tolerance '
                             f'{self.reuse_tolerance} exclude each other: which tokens are merged '
                             'differs from frame to frame; expected image_share 1 or '
                             'reuse_tolerance 0')
        if not 0 <= self.temperature < math.inf or self.top_k < 1:
            raise ValueError('expected a finite temperature from 0 and top_k at least 1, got '
                             f'{self.temperature} and {self.top_k}')
        low, high = self.train_gap
        if not 1 <= low <= high or self.gap < 1:
            raise ValueError('expected train_gap [LOW, HIGH] with 1 <= LOW <= HIGH and gap at '
                             f'least 1, got {list(self.train_gap)} and {self.gap}')
        if self.expert not in EXPERTS:
            raise ValueError(f"expert must be one of {', '.join(EXPERTS)}, got {self.expert!r}")

    def _check_backbone(self) -> None:
        tiny = isinstance(self.backbone, BackboneConfig)
        for key in ('committed_rows', 'text_tokens'):
            if getattr(self, key) < 0:
                raise ValueError(f'{key} must be at least 0, got {getattr(self, key)}')
        if self.committed_rows and not tiny:
            raise ValueError("committed_rows needs the backbone 'tiny', the only one that takes "
                             'committed actions')
        if self.text_tokens and tiny:
            raise ValueError('text_tokens needs a vision-language model as backbone; '
                             f"'{TINY}' has no language head")

    @property
    def tokens(self) -> int:
        """Return N, the codes of a chunk."""
        return self.levels * self.codes_per_level

    @property
    def blocks(self) -> int:
        """Return J = N / B, the decoding passes of a chunk."""
        return self.tokens // self.block_size

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> PolicyConfig:
        """Build from ``to_dict``; an unknown key is an error."""
        name = check_backbone_name(data['backbone']['name'])
        kind = BackboneConfig if name == TINY else VLMConfig
        for cls, values in ((PolicyConfig, data), (kind, data['backbone'])):
            unknown = set(values) - {field.name for field in fields(cls)}
            if unknown:
                raise ValueError(f"policy config: unknown key {', '.join(sorted(unknown))}")
        low, high = data['train_gap']
        return PolicyConfig(**{
            **data, 'cameras': tuple(data['cameras']), 'vocabulary': tuple(data['vocabulary']),
            'train_gap': (low, high), 'backbone': kind(**data['backbone'])})


def check_backbone_name(name: str) -> str:
    """Return the name of a known backbone; another one is a ValueError."""
    if name not in (TINY, *FAMILIES):
        raise ValueError(f"backbone '{name}' is unknown; expected one of "
                         f"{', '.join((TINY, *FAMILIES))}")
    return name
