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
"""From camera images, joints and words to the tensors a backbone takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.image_size import resize
from faster_ros.policy.vocabulary import WordVocabulary
import numpy as np
import torch
from torch import Tensor


class Preprocessor(Protocol):
    """Turns one observation into a batch of one."""

    @property
    def example_instruction(self) -> str:
        """Return words that the policy knows, not a task."""

    def __call__(self, images: Sequence[ImageArray], state: FloatArray,
                 instruction: str) -> PolicyInput:
        """
        Return the tensors of uint8 RGB images, one a camera, normalised joints (S,) and words.

        What the backbone cannot take is a ValueError.
        """

    def save(self, folder: Path) -> None:
        """Write what it needs besides the policy's config."""


class PixelsAndWords:
    """For the backbone that comes with this package: small images, a vocabulary of its own."""

    def __init__(self, config: PolicyConfig) -> None:
        assert isinstance(config.backbone, BackboneConfig)
        self._size = config.backbone
        self._vocabulary = WordVocabulary(config.vocabulary, config.max_words)
        self._example = ' '.join(config.vocabulary[:config.max_words])

    @property
    def example_instruction(self) -> str:
        """Return words that the policy knows, not a task."""
        return self._example

    def __call__(self, images: Sequence[ImageArray], state: FloatArray,
                 instruction: str) -> PolicyInput:
        """Return the tensors of an observation; see Preprocessor."""
        width, height = self._size.image_width, self._size.image_height
        stack = np.stack([resize(image, width, height) for image in images])
        return PolicyInput(image_tensor(stack)[None],
                           torch.tensor([self._vocabulary.encode(instruction)]),
                           torch.tensor(state[None], dtype=torch.float32))

    def save(self, folder: Path) -> None:
        """Write nothing: the config holds the vocabulary."""


def image_tensor(images: ImageArray) -> Tensor:
    """Return (..., 3, height, width) floats in [-1, 1] of uint8 (..., height, width, 3)."""
    channels_first = torch.from_numpy(images).movedim(-1, -3).contiguous()
    return channels_first.float().div_(127.5).sub_(1.0)
