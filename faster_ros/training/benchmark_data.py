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
"""What all rows of the benchmark learn from: a plan, demonstrations, inputs, and FASTerVQ."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
import json
from pathlib import Path
import shutil
from typing import Any

from faster_ros.data.durable import write_durably
from faster_ros.policy.action_representation import to_deltas
from faster_ros.policy.backbones.base import Backbone, PrefixTokens
from faster_ros.policy.checkpoint import load_policy, PolicyParts
from faster_ros.policy.vocabulary import WordVocabulary
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.pick_episodes import PickSettings
from faster_ros.sim.tasks import CUBE_COLOURS, TASKS
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.demo_inputs import (
    code_grid,
    fit_normalisers,
    Normalisers,
    policy_config,
    words_and_state,
)
from faster_ros.training.demonstrations import collect, Demonstrations
from faster_ros.training.grid_tokenizer import GridFasterVq
from faster_ros.training.train_policy import PolicyData
from faster_ros.training.train_tokenizer import TokenizerTraining
import numpy as np
from safetensors.torch import load_file, save_file
import torch

_HELD_OUT_SHARE = 20  # one episode more in so many is held out
_EMBED_BATCH = 256


@dataclass(frozen=True)
class BenchmarkPlan:
    """
    How much of everything a run does; ``episodes`` of each task, ``trials`` of each cell.

    ``trunk``: folder of a checkpoint from which the trunk starts, its vision frozen; tokenizer,
    words and ranges are then the checkpoint's, too. '' starts from nothing.
    """

    tasks: tuple[str, ...] = tuple(TASKS)
    episodes: int = 400
    tokenizer_steps: int = 1500
    steps: int = 4000
    batch_size: int = 64
    trials: int = 100
    seed: int = 0
    trunk: str = ''


class BenchmarkData:
    """
    What is kept in the folder ``out`` and in memory for all rows.

    ``chunks``: (N, H, D), normalised; ``inputs``: of the same N steps; ``training`` and
    ``held_out``: their numbers, held out by episode; ``config``: of a policy by blocks.
    """

    def __init__(self, plan: BenchmarkPlan, spec: RobotSpec, out: Path) -> None:
        self.plan, self.spec, self.settings = plan, spec, PickSettings()
        self._out = out
        self._trunk = _trunk(plan, spec)
        self._claim()
        data = self._demonstrations()
        held_out = data.episodes >= plan.episodes
        self.training, self.held_out = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        self._grid = code_grid(spec, self.settings.action_horizon)
        if self._trunk is None:
            self.normalisers = fit_normalisers(spec, data)
            self.config = policy_config(spec, self.settings, data, self._grid)
        else:
            self.normalisers = Normalisers(self._trunk.action_normaliser,
                                           self._trunk.state_normaliser)
            self.config = replace(self._trunk.model.config, decode_levels=None,
                                  mean_latent=False)
        deltas = to_deltas(data.actions, data.positions, spec.gripper_index)
        self.chunks = self.normalisers.actions.normalise(deltas)
        self.inputs = self._inputs(data)
        self.faster_vq = self._tokenizer()

    def start_trunk(self, backbone: Backbone) -> None:
        """Give an untrained backbone what the plan starts from; what is frozen stays so."""
        if self._trunk is not None:
            backbone.load_state_dict(self._trunk.model.backbone.state_dict())
            for name, weight in backbone.named_parameters():
                weight.requires_grad_(name.startswith('layers.'))

    def _claim(self) -> None:
        """Refuse a folder of a run with another plan."""
        path, wanted = self._out / 'plan.json', json.loads(json.dumps(asdict(self.plan)))
        if path.exists():
            found = json.loads(path.read_text())
            different = [name for name in wanted if found.get(name) != wanted[name]]
            if different:
                name = different[0]
                raise ValueError(f'{self._out} holds a benchmark with {name} {found.get(name)}, '
                                 f'not {wanted[name]}; take the same or another folder (--out)')
        self._out.mkdir(parents=True, exist_ok=True)
        write_json(path, wanted)

    def _demonstrations(self) -> Demonstrations:
        folder = self._out / 'demonstrations'
        if not folder.exists():
            last = self.plan.episodes + 2 + self.plan.episodes // _HELD_OUT_SHARE
            parts = [collect(self.spec, replace(self.settings, task=TASKS[task]), range(last),
                             f'demonstrations of {task}', workers=torch.get_num_threads())
                     for task in self.plan.tasks]
            partial = folder.with_suffix('.partial')
            shutil.rmtree(partial, ignore_errors=True)
            Demonstrations.concatenate(parts).save(partial)
            partial.rename(folder)
        return Demonstrations.load(folder)

    def _inputs(self, data: Demonstrations) -> PolicyData:
        words, state = words_and_state(self.config, self.normalisers.state, data)
        nothing = torch.zeros(len(words), 1, self.config.committed_rows, state.shape[1] + 1)
        return PolicyData(data.images, words, state, torch.zeros(0), nothing)

    @cached_property
    def lessons(self) -> PolicyData:
        """Return the inputs of the training steps; of a frozen vision its tokens, no images."""
        inputs = self.inputs.only(self.training, torch.zeros(0))
        if self._trunk is None:
            return inputs
        parts = np.array_split(np.arange(len(inputs)), -(-len(inputs) // _EMBED_BATCH))
        with torch.no_grad():
            tokens = PrefixTokens.concatenate([
                self._trunk.model.backbone.embed(inputs.tensors(rows)) for rows in parts])
        unseen = np.zeros((len(inputs), len(self.config.cameras), 1, 1, 3), np.uint8)
        return replace(inputs, images=unseen, tokens=tokens)

    def _tokenizer(self) -> GridFasterVq:
        path, plan = self._out / 'tokenizer.safetensors', self.plan
        if self._trunk is not None:
            return GridFasterVq.of(self._trunk.tokenizer)
        if path.exists():
            model = FASTerVQ(self._grid)
            model.load_state_dict(load_file(path))
            return GridFasterVq.of(model.eval())
        tokenizer = GridFasterVq('FASTerVQ', self._grid, TokenizerTraining(plan.tokenizer_steps),
                                 plan.seed)
        tokenizer.fit(self.chunks[self.training])
        assert tokenizer.model is not None
        save_weights(tokenizer.model, path)
        return tokenizer


def _trunk(plan: BenchmarkPlan, spec: RobotSpec) -> PolicyParts | None:
    """Return the parts of the plan's checkpoint, which has to know the words of the tasks."""
    if not plan.trunk:
        return None
    parts = load_policy(plan.trunk, spec).parts
    config = parts.model.config
    for task in (TASKS[name] for name in plan.tasks):
        told = task.instruction(list(CUBE_COLOURS)[:task.cubes])
        WordVocabulary(config.vocabulary, config.max_words).encode(told)
    return parts


def save_weights(model: torch.nn.Module, path: Path) -> None:
    """Write the weights of a model; the file is there when it is whole."""
    partial = path.with_suffix('.partial')
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, partial)
    partial.replace(path)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write values; the file is there when it is whole."""
    write_durably(path, (json.dumps(values, indent=2) + '\n').encode())
