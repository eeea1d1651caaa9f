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
A trained policy as one folder, and as an object that answers observations.

``config.json`` (sizes, normalisation, robot, time step), ``policy.safetensors``,
``tokenizer.safetensors``, ``training.json`` (how it was made) and, for a vision-language model,
``processor/`` (its image processor and text tokenizer). Nothing is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import json
import math
from pathlib import Path
import shutil
from typing import Any

from faster_ros.data.durable import sync
from faster_ros.data.normalisation import Normaliser
from faster_ros.interfaces import ActionChunk, FloatArray, ImageArray, Observation
from faster_ros.policy.action_representation import from_deltas, to_deltas
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.committed_actions import committed_input
from faster_ros.policy.compatibility import check_compatible, FORMAT, read_config
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.decode_deadline import DecodeDeadline
from faster_ros.policy.embodiment import absolute_columns, Embodiment, representation
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.gpu import chosen_device, room_on_gpu, RUNNING
from faster_ros.policy.hub import aside, local_folder, push
from faster_ros.policy.preprocess import PixelsAndWords, Preprocessor
from faster_ros.policy.static_inference import prepare_decoding, prepare_inference
from faster_ros.policy.visual_tokens import FrameReuse
from faster_ros.policy.vlm_preprocess import ImagesAndPrompt
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
import torch
from torch import nn, Tensor

PROCESSOR = 'processor'


@dataclass
class PolicyParts:
    """
    Everything that makes a policy: models, normalisation, robot, seconds per action.

    ``preprocessor`` may be left out where the config describes all of it.
    """

    model: FASTerVLA
    tokenizer: FASTerVQ
    action_normaliser: Normaliser
    state_normaliser: Normaliser
    robot: Embodiment
    step_s: float
    preprocessor: Preprocessor | None = None

    def save(self, folder: Path, record: dict[str, Any]) -> None:
        """
        Write the checkpoint folder; ``record`` says how the policy was made.

        An older one of that name is put aside when the new one is complete and on disk, and goes
        when that has its name; any other folder with files in it is a ValueError.
        """
        if folder.is_dir() and any(folder.iterdir()) and not (folder / 'config.json').exists():
            raise ValueError(f'{folder} holds other files; a checkpoint needs a folder of its own')
        partial = folder.with_name(f'{folder.name}.partial')
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        self._write(partial, record)
        for path in (*partial.rglob('*'), partial):
            sync(path)
        old = aside(folder)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        partial.rename(folder)
        sync(folder.parent)
        shutil.rmtree(old, ignore_errors=True)

    def _write(self, folder: Path, record: dict[str, Any]) -> None:
        config = {
            'format': FORMAT,
            'action_representation': representation(self.robot),
            'step_s': self.step_s,
            'policy': self.model.config.to_dict(),
            'tokenizer': self.tokenizer.config.to_dict(),
            'action_normaliser': self.action_normaliser.to_dict(),
            'state_normaliser': self.state_normaliser.to_dict(),
            'robot': self.robot.to_dict(),
        }
        save_file(_tensors(self.model), str(folder / 'policy.safetensors'))
        save_file(_tensors(self.tokenizer), str(folder / 'tokenizer.safetensors'))
        (folder / 'training.json').write_text(json.dumps(record, indent=2) + '\n')
        (folder / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
        if self.preprocessor is not None:
            self.preprocessor.save(folder / PROCESSOR)


class FASTerPolicy:
    """
    Answers one observation with a chunk.

    Equal input gives equal output unless the config has a ``temperature``. ``decode_s``: how long
    the action expert took of the last answer; ``said``: its text, '' without text mode.
    """

    def __init__(self, parts: PolicyParts, device: str = 'cpu') -> None:
        self.parts = parts
        self.decode_s = 0.0
        self.said = ''
        self._device = torch.device(device)
        tolerance = parts.model.config.reuse_tolerance
        self._reuse = FrameReuse(parts.model.backbone, tolerance) if tolerance else None
        self._generate = prepare_inference(parts.model, self._device, self._reuse)
        self._instruction = ''
        self._tokenizer = parts.tokenizer
        self._decode = prepare_decoding(parts.tokenizer, parts.model.config, self._device)
        self._preprocess = parts.preprocessor or PixelsAndWords(parts.model.config)

    @staticmethod
    def from_pretrained(source: str | Path, spec: Embodiment, device: str = 'cpu') -> FASTerPolicy:
        """Load a checkpoint folder, or one of a hub by owner/name; see ``load_policy``."""
        return load_policy(source, spec, device)

    def save_pretrained(self, folder: str | Path, record: dict[str, Any] | None = None) -> None:
        """Write the checkpoint folder; see ``PolicyParts.save``."""
        self.parts.save(Path(folder), record or {})

    @staticmethod
    def push_to_hub(folder: str | Path, name: str) -> str:
        """Upload a saved checkpoint as owner/name and return its address."""
        read_config(Path(folder))
        return push(Path(folder), name)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Return the names of the cameras that the policy needs."""
        return self.parts.model.config.cameras

    @property
    def takes_committed(self) -> bool:
        """Return whether committed actions are an input."""
        return self.parts.model.config.committed_rows > 0

    @property
    def action_horizon(self) -> int:
        """Return H, the actions of a chunk."""
        return self.parts.tokenizer.config.action_horizon

    @property
    def image_size(self) -> tuple[int, ...]:
        """Return width and height that images are averaged down to; () where more is done."""
        backbone = self.parts.model.config.backbone
        small = isinstance(backbone, BackboneConfig)
        return (backbone.image_width, backbone.image_height) if small else ()

    @property
    def example_instruction(self) -> str:
        """Return words that the policy knows, not a task."""
        return self._preprocess.example_instruction

    def infer(self, observation: Observation) -> ActionChunk:
        """Return the chunk that starts at the observation's stamp."""
        actions = self.act(observation.images, observation.positions, observation.instruction,
                           observation.committed, observation.answer_within_s)
        return ActionChunk(observation.stamp_ns, round(self.parts.step_s * 1e9), actions,
                           self.parts.robot.action_names)

    def act(self, images: Mapping[str, ImageArray], positions: FloatArray,
            instruction: str, committed: FloatArray | None = None,
            within_s: float | None = None) -> FloatArray:
        """
        Return joint targets (H, D) from uint8 RGB images, measured joints (D,) and words.

        ``committed``: (C, D), see ``Observation``; a policy trained without them ignores them.
        ``within_s``: what cannot be decoded in that time is left out, coarse levels never are.
        What the policy cannot take, and a GPU that is full, is a ValueError.
        """
        deadline = DecodeDeadline(math.inf if within_s is None else within_s)
        names = self.parts.robot.joint_names
        if positions.shape != (len(names),) or not np.isfinite(positions).all():
            raise ValueError(f'positions must be {len(names)} finite numbers '
                             f"({', '.join(names)}), got {positions}")
        with torch.inference_mode(), room_on_gpu(RUNNING):
            batch = self._input(images, positions, instruction, committed)
            decoded = self._decode(self._generate(
                batch, deadline=deadline, shares=self.parts.model.config.mean_latent))
        self.decode_s, self.said = deadline.decode_s, self._said()
        return self._to_actions(decoded, positions)

    def codes(self, images: Mapping[str, ImageArray], positions: FloatArray,
              instruction: str) -> Tensor:
        """Return what is named for an observation: codes of all levels, of shape (K, T)."""
        with torch.inference_mode(), room_on_gpu(RUNNING):
            batch = self._input(images, positions, instruction, None)
            return self._generate(batch, levels=self.parts.model.config.levels)[0]

    def codes_of(self, actions: FloatArray, positions: FloatArray) -> tuple[Tensor, FloatArray]:
        """Return the codes (K, T) of joint targets (H, D), and the targets that they decode to."""
        deltas = self.parts.action_normaliser.normalise(
            to_deltas(actions, self.hold(positions), self._absolute))
        with torch.inference_mode():
            chunk = torch.from_numpy(deltas)[None].float().to(self._device)
            codes = self._tokenizer.encode(chunk)
            return codes[0], self._to_actions(self._tokenizer.decode(codes), positions)

    @property
    def _absolute(self) -> list[int]:
        return absolute_columns(self.parts.robot)

    def hold(self, positions: FloatArray) -> FloatArray:
        """Return the targets (D,) that keep joints and a base where they are."""
        return np.append(positions, np.zeros(len(self.parts.robot.action_names) - len(positions)))

    def _said(self) -> str:
        text, words = self.parts.model.text, self._preprocess
        if text is None or not isinstance(words, ImagesAndPrompt):
            return ''
        return words.text_of(text.said[0])

    def _to_actions(self, decoded: Tensor, positions: FloatArray) -> FloatArray:
        deltas = self.parts.action_normaliser.restore(decoded[0].double().cpu().numpy())
        return from_deltas(deltas, self.hold(positions), self._absolute)

    def _committed(self, committed: FloatArray | None, positions: FloatArray) -> Tensor:
        parts = self.parts
        rows = committed_input(committed, positions, self._absolute,
                               parts.action_normaliser, parts.model.config.committed_rows)
        return torch.from_numpy(rows)[None].to(self._device)

    def _input(self, images: Mapping[str, ImageArray], positions: FloatArray, instruction: str,
               committed: FloatArray | None) -> PolicyInput:
        if self._reuse and instruction != self._instruction:
            self._reuse.forget()
        self._instruction = instruction
        batch = self.tensors(images, positions, instruction)
        batch.committed = self._committed(committed, positions)
        return batch

    def tensors(self, images: Mapping[str, ImageArray], positions: FloatArray,
                instruction: str) -> PolicyInput:
        """Return what the model takes of uint8 RGB images, measured joints (D,) and words."""
        missing = [camera for camera in self.cameras if camera not in images]
        if missing:
            raise ValueError(f"image of camera {', '.join(missing)} is missing; the policy needs "
                             f"{', '.join(self.cameras)}, got {', '.join(images) or 'none'}")
        state = self.parts.state_normaliser.normalise(positions)
        found = self._preprocess([images[camera] for camera in self.cameras], state, instruction)
        return found.to(self._device)


def load_policy(source: str | Path, spec: Embodiment, device: str = 'cpu') -> FASTerPolicy:
    """
    Load a checkpoint, a folder or owner/name of a hub, for a robot; ``device``: cpu, cuda, auto.

    A missing or damaged file, or a checkpoint of another robot, is a ValueError that names it; so
    is a GPU that is not there or is full.
    """
    folder, device = local_folder(source), str(chosen_device(device))
    config = read_config(folder)
    try:
        check_compatible(config, spec)
        model = PolicyConfig.from_dict(config['policy'])
        parts = PolicyParts(
            _unfilled(model),
            FASTerVQ(TokenizerConfig.from_dict(config['tokenizer'])),
            Normaliser.from_dict(config['action_normaliser']),
            Normaliser.from_dict(config['state_normaliser']), spec, float(config['step_s']),
            _preprocessor(folder, model))
        _check_policy(parts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'checkpoint {folder}: config.json is not usable: '
                         f'{_reason(error)}') from error
    _load_weights(parts.model, folder / 'policy.safetensors')
    _load_weights(parts.tokenizer, folder / 'tokenizer.safetensors')
    with room_on_gpu(RUNNING, f'checkpoint {folder}: '):
        return FASTerPolicy(parts, device)


def _unfilled(config: PolicyConfig) -> FASTerVLA:
    """Return a model whose weights will be read: drawing those of a large one takes minutes."""
    if isinstance(config.backbone, BackboneConfig):
        return FASTerVLA(config)
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return FASTerVLA(config)


def _preprocessor(folder: Path, config: PolicyConfig) -> Preprocessor | None:
    if isinstance(config.backbone, BackboneConfig):
        return None
    from faster_ros.policy.vlm_preprocess import load_processor

    if not (folder / PROCESSOR).is_dir():
        raise ValueError(f'{PROCESSOR}/ is missing')
    return load_processor(folder / PROCESSOR, config)


def _tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.cpu().contiguous() for name, tensor in module.state_dict().items()}


def _reason(error: Exception) -> str:
    return f'key {error} is missing' if isinstance(error, KeyError) else str(error)


def _check_policy(parts: PolicyParts) -> None:
    spec = parts.robot
    width = parts.tokenizer.config.action_dim
    if width != len(spec.action_names):
        raise ValueError(f"it has {width} action columns; robot '{spec.robot}' has "
                         f"{len(spec.action_names)}: {', '.join(spec.action_names)}")


def _load_weights(module: nn.Module, file: Path) -> None:
    if not file.exists():
        raise ValueError(f'checkpoint file {file} is missing')
    try:
        tensors = load_file(str(file))
    except (SafetensorError, OSError) as error:
        raise ValueError(f'checkpoint file {file} is damaged: {error}') from error
    try:
        module.load_state_dict(tensors, assign=True)  # keeps the type that they were saved with
    except RuntimeError as error:
        raise ValueError(f'checkpoint file {file} does not fit config.json: {error}') from error
    broken = [name for name, tensor in tensors.items()
              if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise ValueError(f'checkpoint file {file} holds values that are not finite in {broken[0]}')
