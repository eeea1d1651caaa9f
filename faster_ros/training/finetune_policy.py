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
``faster_ros train policy``: a FASTer policy on a LeRobotDataset of your robot.

The tokenizer is fitted to the data's delta chunks; the expert learns while the backbone is
frozen; then both learn, the backbone (or low-rank additions to it) at a lower rate. Interrupted,
``--resume`` goes on from the last validation. Start several processes with torchrun; each holds
the whole model (DDP), or with ``shard`` a part of it (FSDP).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import copy
from dataclasses import asdict, replace
from pathlib import Path
import time
from typing import Any

from faster_ros.data.durable import sync
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.checkpoint import PolicyParts
from faster_ros.policy.embodiment import load_embodiment
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.gpu import room_on_gpu
from faster_ros.training.data_parallel import DataParallel, like
from faster_ros.training.demonstrations import batches
from faster_ros.training.finetune_data import collate, make_parts, PolicyRows, VariedRows
from faster_ros.training.finetune_report import summary_writer, validate, write_report
from faster_ros.training.image_cache import folder_of_this_machine
from faster_ros.training.lora import add_lora
from faster_ros.training.model_weights import (
    averaged_copy,
    give_first_weights_to_all,
    large_parts,
    of_backbone,
)
from faster_ros.training.observation_noise import ObservationNoise
from faster_ros.training.policy_recipe import PRESETS, read_recipe, Recipe
from faster_ros.training.robot_rows import read_robot_rows
from faster_ros.training.tokenizer_folder import load_tokenizer
from faster_ros.training.train_tokenizer import learning_rate_share
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

_CURVE_PERIOD = 10
_STATE = 'state.pt'  # of this program for itself; it is read without unpickling objects


class PolicyFineTuning:
    """One run: model, averaged weights, optimiser, and where they are in the schedule."""

    def __init__(self, parts: PolicyParts, recipe: Recipe, rows: PolicyRows, out: Path,
                 processes: DataParallel) -> None:
        self.parts, self.recipe, self.rows, self.out = parts, recipe, rows, out
        self.processes = processes
        self.updates = recipe.updates(len(rows.training))
        self.step = 0
        self.curve: list[dict[str, float]] = []
        self.validations: list[dict[str, Any]] = []
        self._board: Any = None
        self._began = (0, 0.0)  # step and time
        self.model: FASTerVLA = parts.model
        if recipe.lora_rank:
            backbone = self.model.backbone
            assert isinstance(backbone.model, torch.nn.Module)
            add_lora(backbone.model, recipe.lora_rank)
            if isinstance(backbone.head, torch.nn.Module):
                backbone.head.requires_grad_(False)
        levels = parts.model.config.levels
        speaks = self.model.text is not None
        self._loss_names = [f'level_{level}' for level in range(levels)] + ['text'] * speaks
        self._loss_weights = torch.tensor([1.0] * levels + [recipe.text_weight] * speaks,
                                          device=processes.device)
        self._books = (parts.tokenizer.quantizer.codebooks.to(processes.device)
                       if recipe.distance_weight else None)
        self.sharded = recipe.shard and processes.size > 1
        # Of a model that is spread over processes, a whole copy is for validation and saving.
        self._whole = copy.deepcopy(self.model) if self.sharded and processes.first else None
        self.model.to(processes.device)
        give_first_weights_to_all(self.model, processes)
        if self.sharded:
            processes.shard(self.model, large_parts(self.model))
        named = dict(self.model.named_parameters())
        self._names = ([name for name, weight in named.items()
                        if of_backbone(name) and weight.requires_grad],
                       [name for name in named if not of_backbone(name)])
        self.adapts, others = ([named[name] for name in names] for names in self._names)
        self.learning = self.adapts + others
        self.average = [weight.detach().clone() for weight in self.learning]
        self.optimizer = torch.optim.AdamW(
            [{'params': others, 'share': 1.0},
             {'params': self.adapts, 'share': recipe.backbone_rate}],
            recipe.learning_rate, (0.9, 0.95), weight_decay=recipe.weight_decay)

    def run(self) -> None:
        """Train to the end, validating and saving on the way."""
        recipe = self.recipe
        self._began = (self.step, time.monotonic())
        bar = tqdm(range(self.step, self.updates), desc='policy', unit='step', initial=self.step,
                   total=self.updates, disable=not self.processes.first)
        for step, parts in zip(bar, self._batches()):
            losses = self._update(step, parts)
            self.step = step + 1
            if step % _CURVE_PERIOD == 0:
                self.curve.append({'step': step, **dict(zip(self._loss_names, losses))})
                self._draw('loss', losses)
                bar.set_postfix(loss=' '.join(f'{value:.2f}' for value in losses))
            if self.step % recipe.validate_every == 0 or self.step == self.updates:
                self._validate_and_save()

    def resume(self) -> None:
        """Go on where the last save of this run was; before the first, begin the policy."""
        file = self.out / _STATE
        if not file.exists():
            self._check_tokenizer()
            return
        state = torch.load(file, map_location='cpu', weights_only=True)
        if state['recipe'] != asdict(self.recipe):
            raise ValueError(f'{file}: the run had another recipe: {state["recipe"]}')
        for name, value in self._data().items():
            if state['data'][name] != value:
                raise ValueError(f'{file}: the run was begun with other data: expected {name} '
                                 f'{state["data"][name]}, got {value}; go on with those data, or '
                                 'begin anew in another --out')
        with torch.no_grad():
            for weight, saved in zip(self.learning, state['learning']):
                weight.copy_(like(saved, weight))
            for kept, saved in zip(self.average, state['average']):
                kept.copy_(like(saved, kept))
        order = [weight for group in self.optimizer.param_groups for weight in group['params']]
        for place, values in state['optimizer']['state'].items():
            for name in ('exp_avg', 'exp_avg_sq'):
                values[name] = like(values[name], order[place])
        self.optimizer.load_state_dict(state['optimizer'])
        self.step = state['step']
        self.curve, self.validations = state['curve'], state['validations']

    def _check_tokenizer(self) -> None:
        """Refuse a tokenizer of other data, where no state tells more about them."""
        folder, wanted = self.out / 'tokenizer', self.parts.action_normaliser.to_dict()
        found = load_tokenizer(folder).normaliser.to_dict()
        if found != wanted:
            raise ValueError(f'{folder} was fitted to other data: expected actions in {wanted}, '
                             f'got {found}; go on with those data, or begin anew in another --out')

    def _data(self) -> dict[str, Any]:
        """Return what tells the data of this run from others, which its weights do not fit."""
        rows, parts = self.rows, self.parts
        return {'rows': len(rows.rows), 'training rows': len(rows.training),
                'tasks': sorted(set(rows.rows.tasks)),
                **({'subtasks': sorted(set(rows.rows.subtasks))} if rows.rows.subtasks else {}),
                'range of actions': parts.action_normaliser.to_dict(),
                'range of states': parts.state_normaliser.to_dict()}

    def _batches(self) -> Iterator[list[tuple[PolicyInput, Tensor]]]:
        """Yield the parts of each update from the present step on, the same for every resume."""
        recipe = self.recipe
        noise = ObservationNoise(recipe.image_shift, recipe.brightness, recipe.state_noise,
                                 recipe.state_dropout)
        loader = iter(DataLoader(
            VariedRows(self.rows, noise, recipe.seed), batch_sampler=self._draws(),
            num_workers=recipe.workers, collate_fn=collate))
        while True:
            yield [next(loader) for _ in range(recipe.accumulate)]

    def _draws(self) -> Iterator[list[tuple[int, int]]]:
        """Yield this process's rows of every part to come, each with the number of its draw."""
        recipe, training = self.recipe, self.rows.training
        size = min(recipe.batch_size // recipe.accumulate, len(training))
        order = batches(len(training), size, np.random.default_rng(recipe.seed))
        for part in range(self.updates * recipe.accumulate):
            rows = training[next(order)]
            if part < self.step * recipe.accumulate:
                continue
            drawn = np.stack([rows, part * size + np.arange(size)], 1)
            yield [(int(row), int(draw)) for row, draw in self.processes.part(drawn)]

    def _update(self, step: int, parts: list[tuple[PolicyInput, Tensor]]) -> list[float]:
        recipe, device = self.recipe, torch.device(self.processes.device)
        self.model.train()
        # Position gaps are drawn on the device. A run that goes on draws as if it never ended.
        seeds = np.random.SeedSequence([recipe.seed, step, self.processes.rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        frozen = step < recipe.expert_steps or not recipe.backbone_rate
        for weight in self.adapts:
            weight.requires_grad_(not frozen)
        share = learning_rate_share(step, self.updates, recipe.warmup_steps)
        for group in self.optimizer.param_groups:
            group['lr'] = recipe.learning_rate * share * group['share']
        self.optimizer.zero_grad()
        total = torch.zeros_like(self._loss_weights)
        for batch, codes in parts:
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16):
                losses = self.model(batch.to(device), codes.to(device), self._books)
            entropies = losses if self._books is None else losses[0]
            wanted = (self._loss_weights * entropies).sum()
            if self._books is not None:
                wanted += recipe.distance_weight * losses[1].sum()
            (wanted / len(parts)).backward()
            total += entropies.detach() / len(parts)
        total = self.processes.mean(total)
        if not total.isfinite().all():
            raise ValueError(f'the loss is {total.tolist()} at step {step}; lower learning_rate')
        self._share_gradients()
        torch.nn.utils.clip_grad_norm_(self.learning, 1.0)
        self.optimizer.step()
        decay = min(recipe.ema_decay, (step + 1) / (step + 20))
        with torch.no_grad():
            for kept, weight in zip(self.average, self.learning):
                kept.lerp_(weight, 1 - decay)
        return [float(value) for value in total]

    def _share_gradients(self) -> None:
        """Give every process the mean of all gradients; the same weights have one in each."""
        if self.sharded:  # done in the backward pass
            return
        for weight in self.learning:
            if weight.grad is not None:
                weight.grad = self.processes.mean(weight.grad)

    def _validate_and_save(self) -> None:
        average = [self.processes.whole(kept) for kept in self.average]
        state = {'recipe': asdict(self.recipe), 'data': self._data(), 'step': self.step,
                 'average': average,
                 'learning': [self.processes.whole(weight.detach()) for weight in self.learning],
                 'optimizer': self._optimizer_state()}
        if not self.processes.first:
            return
        parts = copy.copy(self.parts)
        parts.model = averaged_copy(self._whole or self.model,
                                    dict(zip(sum(self._names, []), average)))
        self.validations.append({'step': self.step, **self._validate(parts)})
        self._draw('token_accuracy', self.validations[-1]['token_accuracy'])
        self._draw('error', list(self.validations[-1]['error'].values()))
        record = {'recipe': asdict(self.recipe), 'step': self.step,
                  'validation': self.validations[-1], 'data': self.rows.notes,
                  'cost': self._cost()}
        parts.save(self.out / 'checkpoint', record)
        write_report(self.out, record, self.curve, self.validations)
        # The last: a run goes on only from where everything else is written.
        self._write_state({**state, 'curve': self.curve, 'validations': self.validations})

    def _write_state(self, state: dict[str, Any]) -> None:
        partial = self.out / f'{_STATE}.partial'
        torch.save(state, partial)
        sync(partial)
        partial.replace(self.out / _STATE)
        sync(self.out)

    def _validate(self, parts: PolicyParts) -> dict[str, Any]:
        """Measure the averaged weights, which ``parts`` hold on the CPU."""
        if self.sharded:  # of the model that learns this process has a part
            parts = replace(parts, model=copy.deepcopy(parts.model).to(self.processes.device))
            return validate(parts, self.rows, self.recipe.bf16)
        self.model.eval()
        self._swap_average()  # in place: a large model is not twice on a GPU
        try:
            return validate(self.parts, self.rows, self.recipe.bf16)
        finally:
            self._swap_average()

    def _swap_average(self) -> None:
        for weight, kept in zip(self.learning, self.average):
            weight.data, kept.data = kept.data, weight.data

    def _cost(self) -> dict[str, Any]:
        """Return peak memory, and rows and codes per second, with what validating took."""
        first, began = self._began
        rows_s = (self.step - first) * self.recipe.batch_size / (time.monotonic() - began)
        cuda = self.processes.device.startswith('cuda')
        return {'processes': self.processes.size, 'rows_per_s': rows_s,
                'codes_per_s': rows_s * self.model.config.tokens,
                'peak_memory_gb': torch.cuda.max_memory_allocated() / 1e9 if cuda else None}

    def _draw(self, name: str, values: list[float]) -> None:
        """Give values, of levels and then the text, or of groups, to TensorBoard if wanted."""
        if not self.recipe.tensorboard or not self.processes.first:
            return
        if self._board is None:
            self._board = summary_writer(self.out / 'tensorboard', self.step)
        for place, value in enumerate(values):
            self._board.add_scalar(f'{name}/{place}', value, self.step)
        self._board.flush()

    def _optimizer_state(self) -> dict[str, Any]:
        """Return what the optimiser keeps, whole."""
        state = self.optimizer.state_dict()
        return {**state, 'state': {
            place: {name: self.processes.whole(value) for name, value in values.items()}
            for place, values in state['state'].items()}}


def main(arguments: list[str]) -> int:
    """Run ``faster_ros train policy`` and return its exit code."""
    parser = argparse.ArgumentParser(prog='faster_ros train policy', description=__doc__)
    parser.add_argument('--data', type=Path, required=True, help='a LeRobotDataset v2.1 or v3')
    parser.add_argument('--robot', required=True, help='fr3, ur5e, ..., a robot file, or libero')
    parser.add_argument('--config', type=Path, help='a YAML file with keys of the recipe')
    parser.add_argument('--preset', default='', help=f"one of {', '.join(PRESETS)} (cpu)")
    parser.add_argument('--out', type=Path, default=Path('out/train_policy'))
    parser.add_argument('--device', default='auto', help='cpu, cuda or auto')
    parser.add_argument('--resume', action='store_true', help='go on with an interrupted run')
    options = parser.parse_args(arguments)
    recipe = read_recipe(options.config, options.preset)
    spec = load_embodiment(options.robot)
    begun = (options.out / 'tokenizer' / 'config.json').exists()
    if begun and not options.resume:
        raise ValueError(f'{options.out} holds an earlier run: --resume goes on with it, or name '
                         'another --out')
    if options.resume and not begun:
        raise ValueError(f'{options.out} holds no run whose tokenizer is fitted: without --resume '
                         'one begins')
    torch.manual_seed(recipe.seed)
    processes = DataParallel.start(options.device)
    rows = read_robot_rows(options.data, spec, (recipe.image_width, recipe.image_height),
                           folder_of_this_machine(options.out), recipe.by_order,
                           recipe.failed_episodes, recipe.subtasks)
    for note in rows.notes:
        print(note)
    try:
        with room_on_gpu('raise accumulate, set lora_rank or shard, or take a smaller backbone; '
                         'batch_size can stay'):
            parts, coded = make_parts(recipe, rows, spec, options.out, processes)
            run = PolicyFineTuning(parts, recipe, coded, options.out, processes)
            if options.resume:
                run.resume()
            run.run()
    finally:
        processes.stop()
    print(f"checkpoint: {options.out / 'checkpoint'}\nreport:     {options.out / 'report.md'}")
    return 0
