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
"""What a policy learns from demonstrations: deltas, normalisation, words and sizes."""

from __future__ import annotations

from dataclasses import dataclass

from faster_ros.data.normalisation import Normaliser
from faster_ros.interfaces import FloatArray
from faster_ros.policy.action_representation import to_deltas
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.vocabulary import WordVocabulary
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.pick_episodes import PickSettings
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.training.demonstrations import Demonstrations
import numpy as np
import torch
from torch import Tensor

ACTION_QUANTILE = 0.002  # share of the largest and smallest deltas that is clipped
STATE_QUANTILE = 0.001


@dataclass(frozen=True)
class Normalisers:
    """Ranges of the actions, as deltas, and of the joints."""

    actions: Normaliser
    state: Normaliser


def fit_normalisers(spec: RobotSpec, demonstrations: Demonstrations) -> Normalisers:
    """Return the ranges of the demonstrations; a gripper takes that of the robot."""
    gripper = spec.gripper_index
    ends = {gripper: (spec.gripper.closed, spec.gripper.open)}
    deltas = to_deltas(demonstrations.actions, demonstrations.positions, gripper)
    return Normalisers(
        Normaliser.from_quantiles(deltas.reshape(-1, deltas.shape[-1]), ACTION_QUANTILE, ends),
        Normaliser.from_quantiles(demonstrations.positions, STATE_QUANTILE, ends))


def code_grid(spec: RobotSpec, horizon: int) -> TokenizerConfig:
    """Return the sizes of the demo's tokenizer."""
    return TokenizerConfig(
        action_horizon=horizon,
        groups={'arm': list(range(spec.gripper_index)), 'gripper': [spec.gripper_index]})


def policy_config(spec: RobotSpec, settings: PickSettings, demonstrations: Demonstrations,
                  grid: TokenizerConfig) -> PolicyConfig:
    """Return a policy whose blocks are levels, with the words of the demonstrations."""
    words = [WordVocabulary.words_of(str(text))
             for text in np.unique(demonstrations.instructions)]
    return PolicyConfig(
        cameras=tuple(spec.cameras), vocabulary=tuple(sorted({w for text in words for w in text})),
        max_words=max(map(len, words)) + 2, state_dim=len(spec.joint_names),
        levels=grid.levels, codes_per_level=grid.codes_per_level,
        codebook_size=grid.codebook_size, block_size=grid.codes_per_level,
        backbone=BackboneConfig(image_width=settings.image_width,
                                image_height=settings.image_height))


def words_and_state(config: PolicyConfig, normaliser: Normaliser,
                    demonstrations: Demonstrations) -> tuple[Tensor, Tensor]:
    """Return instructions as ids (N, L) and normalised joints (N, S)."""
    vocabulary = WordVocabulary(config.vocabulary, config.max_words)
    texts, which = np.unique(demonstrations.instructions, return_inverse=True)
    words = torch.tensor([vocabulary.encode(str(text)) for text in texts])[which]
    state: FloatArray = normaliser.normalise(demonstrations.positions)
    return words, torch.from_numpy(state).float()
