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
"""What a policy is trained on, and the untrained parts that fit it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from faster_ros.data.normalisation import Normaliser
from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.policy.action_representation import to_deltas
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.backbones.pretrained import PADDING
from faster_ros.policy.checkpoint import PolicyParts
from faster_ros.policy.config import BackboneConfig, PolicyConfig, PROMPT_TOKENS, TINY, VLMConfig
from faster_ros.policy.embodiment import absolute_columns, Embodiment, gripper_ranges
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.preprocess import PixelsAndWords, Preprocessor
from faster_ros.policy.vlm_preprocess import ImagesAndPrompt
from faster_ros.policy.vocabulary import WordVocabulary
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.data_parallel import DataParallel
from faster_ros.training.observation_noise import ObservationNoise
from faster_ros.training.policy_recipe import PAPER_SIZES, Recipe, SMALL
from faster_ros.training.robot_rows import RobotRows
from faster_ros.training.tokenizer_folder import (
    FittedTokenizer,
    load_tokenizer,
    save_tokenizer,
)
from faster_ros.training.train_tokenizer import TokenizerTraining, train_tokenizer
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

_ACTION_QUANTILE = 0.002  # share of the largest and smallest deltas that is clipped
_STATE_QUANTILE = 0.001
_CODE_BATCH = 1000
_PROMPT_STEP = 16  # to which the room for a prompt, beside the tokens of images, is rounded up
_TEXT_STEP = 4  # to which the most tokens of a text are


@dataclass
class PolicyRows:
    """
    Rows as the policy takes them.

    ``state``: (N, S) normalised; ``codes``: (N, K, T); ``training``, ``validation``: row numbers,
    of different episodes; ``targets``: chunks (N, H, D) in rad and m. ``texts``: (N, L) ids of
    what a policy with text mode is to say, padded on the right.
    """

    rows: RobotRows
    state: FloatArray
    codes: Tensor
    targets: FloatArray
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    preprocess: Preprocessor
    texts: Tensor | None = None

    @property
    def notes(self) -> dict[str, object]:
        """Return what the record of a run says about its data."""
        return {'rows': len(self.rows), 'training_rows': len(self.training),
                'validation_rows': len(self.validation), 'left_out': self.rows.notes}


class CodedRows(Dataset[tuple[PolicyInput, Tensor]]):
    """One row at a time, preprocessed as at run time, in the loader's processes."""

    def __init__(self, rows: PolicyRows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows.rows)

    def __getitem__(self, row: int) -> tuple[PolicyInput, Tensor]:
        """Return a batch of one and its codes (1, K, T)."""
        rows = self._rows
        return self.seen(row, np.asarray(rows.rows.images[row]), rows.state[row])

    def seen(self, row: int, images: ImageArray,
             state: FloatArray) -> tuple[PolicyInput, Tensor]:
        """Return a row with other images (cameras, height, width, 3) and joints (S,)."""
        rows = self._rows
        batch = rows.preprocess(list(images), state, rows.rows.tasks[row])
        batch.text = None if rows.texts is None else rows.texts[row:row + 1]
        return batch, rows.codes[row:row + 1]


class VariedRows(Dataset[tuple[PolicyInput, Tensor]]):
    """Rows as a policy learns from them; asked for by row and number of the draw."""

    def __init__(self, rows: PolicyRows, noise: ObservationNoise, seed: int) -> None:
        self._rows, self._noise, self._seed = rows, noise, seed
        self._plain = CodedRows(rows)

    def __getitem__(self, asked: tuple[int, int]) -> tuple[PolicyInput, Tensor]:
        """Return a batch of one and its codes; the same draw is always varied the same."""
        row, draw = asked
        rng = np.random.default_rng([self._seed, draw])
        images = self._noise.images(np.asarray(self._rows.rows.images[row]), rng)
        return self._plain.seen(row, images, self._noise.state(self._rows.state[row], rng))


def collate(rows: list[tuple[PolicyInput, Tensor]]) -> tuple[PolicyInput, Tensor]:
    """Join batches of one."""
    joined: dict[str, Any] = {
        field.name: torch.cat([getattr(batch, field.name) for batch, _ in rows])
        for field in fields(PolicyInput) if getattr(rows[0][0], field.name) is not None}
    return PolicyInput(**joined), torch.cat([codes for _, codes in rows])


def make_parts(recipe: Recipe, rows: RobotRows, spec: Embodiment, out: Path,
               processes: DataParallel) -> tuple[PolicyParts, PolicyRows]:
    """Fit normalisation and tokenizer, and make the policy as it begins; the same on resuming."""
    grippers = gripper_ranges(spec)
    grid = _grid(recipe, spec)
    described, preprocess = _description(recipe, rows, spec, grid)
    training, validation = _split(rows, recipe.validation_share)
    recipe.check_phases(len(training))
    targets = rows.chunks(recipe.horizon, recipe.stride)
    step_s = rows.step_s * recipe.stride
    deltas = to_deltas(targets, rows.positions, absolute_columns(spec))
    actions = Normaliser.from_quantiles(
        deltas[training].reshape(-1, deltas.shape[-1]), _ACTION_QUANTILE, grippers)
    states = Normaliser.from_quantiles(rows.positions[training], _STATE_QUANTILE, grippers)
    chunks = torch.from_numpy(actions.normalise(deltas)).float()
    folder = out / 'tokenizer'
    if (folder / 'config.json').exists():
        tokenizer = _tokenizer_of(folder, grid).to(processes.device)
    else:
        tokenizer = _fitted(recipe, grid, chunks[training], processes)
        if processes.first:
            save_tokenizer(folder, FittedTokenizer(tokenizer, actions, list(spec.joint_names),
                                                   1 / step_s))
    codes = torch.cat([tokenizer.encode(part.to(processes.device)).cpu()
                       for part in chunks.split(_CODE_BATCH)])
    torch.manual_seed(recipe.seed)  # the same weights with a tokenizer that was there already
    model = _model(recipe, described)
    if recipe.codebook_head:
        model.expert.start_from_codebooks(tokenizer.quantizer.codebooks.cpu())
    parts = PolicyParts(model, tokenizer, actions, states, spec, step_s,
                        None if recipe.backbone == TINY else preprocess)
    texts = _texts(rows, preprocess) if described.text_tokens else None
    return parts, PolicyRows(rows, states.normalise(rows.positions), codes, targets, training,
                             validation, preprocess, texts)


def _texts(rows: RobotRows, preprocess: Preprocessor) -> Tensor:
    """Return the subtasks of all rows as ids (N, L), padded on the right."""
    assert isinstance(preprocess, ImagesAndPrompt) and rows.subtasks is not None
    known = {text: torch.tensor(preprocess.text_ids(text)) for text in set(rows.subtasks)}
    return pad_sequence([known[text] for text in rows.subtasks], batch_first=True,
                        padding_value=PADDING)


def _split(rows: RobotRows, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training and validation rows; the last episodes validate, one at least."""
    numbers = np.unique(rows.episode)
    held_out = numbers[-max(1, round(share * len(numbers))):]
    validates = np.isin(rows.episode, held_out)
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def _grid(recipe: Recipe, spec: Embodiment) -> TokenizerConfig:
    """Return the form of the tokenizer."""
    grippers = spec.gripper_indices
    arm = [place for place in range(len(spec.joint_names)) if place not in grippers]
    strides = (2, 2) if recipe.time_strides is None else recipe.time_strides
    config = TokenizerConfig(recipe.horizon, {'arm': arm, 'gripper': grippers},
                             time_patch=recipe.time_patch, time_strides=strides,
                             codebook_size=recipe.codebook_size)
    if recipe.tokenizer_size == SMALL:
        return config
    width, layers, _ = PAPER_SIZES[recipe.tokenizer_size]
    return replace(config, width=width, layers=layers, heads=8, group_patches=True)


def _tokenizer_of(folder: Path, grid: TokenizerConfig) -> FASTerVQ:
    """Return the tokenizer that an interrupted run has fitted."""
    model = load_tokenizer(folder).model
    if model.config != grid:
        raise ValueError(f'{folder} is of a run with another recipe: expected {grid}, got '
                         f'{model.config}; go on with that recipe, or begin anew in another --out')
    return model


def _fitted(recipe: Recipe, grid: TokenizerConfig, chunks: Tensor,
            processes: DataParallel) -> FASTerVQ:
    training = TokenizerTraining(recipe.tokenizer_steps)
    if recipe.tokenizer_size != SMALL:
        batch = PAPER_SIZES[recipe.tokenizer_size][2]
        training = TokenizerTraining(recipe.tokenizer_steps, batch, 1e-4, weight_decay=0.1,
                                     warmup_steps=1000)
    return train_tokenizer(grid, chunks, training, recipe.seed, processes)[0]


def _description(recipe: Recipe, rows: RobotRows, spec: Embodiment,
                 grid: TokenizerConfig) -> tuple[PolicyConfig, Preprocessor]:
    """Return what the policy is, and how it takes the rows."""
    tiny = recipe.backbone == TINY
    low, high = recipe.train_gap

    def config(backbone: BackboneConfig | VLMConfig, words: tuple[str, ...],
               max_words: int) -> PolicyConfig:
        return PolicyConfig(
            tuple(spec.cameras), words, max_words, len(spec.joint_names), grid.levels,
            grid.codes_per_level, grid.codebook_size, recipe.block_size or grid.codes_per_level,
            backbone, recipe.expert_width, (low, high), recipe.gap, recipe.decode_levels,
            recipe.mean_latent, expert=recipe.expert or ('plain' if tiny else 'gated'),
            image_share=recipe.image_share)

    tasks, size = sorted(set(rows.tasks)), (recipe.image_width, recipe.image_height)
    if tiny:
        texts = [WordVocabulary.words_of(task) for task in tasks]
        described = config(BackboneConfig(TINY, *size),
                           tuple(sorted({word for text in texts for word in text})),
                           max(map(len, texts)) + 2)
        return described, PixelsAndWords(described)
    from faster_ros.policy.backbones.weights import read_vlm_config
    from faster_ros.policy.vlm_preprocess import load_processor

    described = config(read_vlm_config(recipe.backbone, size, recipe.state_input), (),
                       PROMPT_TOKENS)
    loaded = load_processor(recipe.backbone, described)
    longest = max((len(loaded.text_ids(text)) for text in set(rows.subtasks or ())), default=0)
    described = replace(described, text_tokens=_room(longest, _TEXT_STEP))
    processor = ImagesAndPrompt(described, loaded.image_processor, loaded.tokenizer)
    described = replace(described, max_words=max(
        PROMPT_TOKENS, _room(processor.longest_prompt(tasks), _PROMPT_STEP)))
    return described, ImagesAndPrompt(described, loaded.image_processor, loaded.tokenizer)


def _room(longest: int, step: int) -> int:
    return step * -(-longest // step)


def _model(recipe: Recipe, described: PolicyConfig) -> FASTerVLA:
    if isinstance(described.backbone, BackboneConfig):
        return FASTerVLA(described)
    from faster_ros.policy.backbones.weights import load_backbone

    # Frozen weights need no more precision than the passes through them.
    dtype = torch.bfloat16 if recipe.bf16 and recipe.lora_rank else torch.float32
    return FASTerVLA(described, load_backbone(recipe.backbone, described.backbone,
                                              described.state_dim, dtype,
                                              described.text_tokens > 0))
