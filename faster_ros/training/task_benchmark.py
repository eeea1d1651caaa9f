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
The paper's benchmark on the simulated tasks: rows that differ in how a chunk is told.

All rows have the same demonstrations, trunk, seeds, optimiser and number of steps; one policy
learns all tasks. What a row gave is on disk as soon as it is known, so that a run can be ended
and goes on with the rows that are missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle
import json
from pathlib import Path
import shutil
import time
from typing import Any

from faster_ros.data.durable import write_durably
from faster_ros.evaluation.statistics import success_rate
from faster_ros.interfaces import FloatArray
from faster_ros.policy.action_representation import from_deltas, to_deltas
from faster_ros.policy.backbones.base import Prefix, PrefixTokens
from faster_ros.policy.checkpoint import load_policy
from faster_ros.policy.latency import measure_in_turn
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.pick_episodes import PickSettings
from faster_ros.sim.pick_trials import PickTrial, PickTrials, run_together
from faster_ros.sim.simulator import TEST_SEED_START
from faster_ros.sim.tasks import TASKS, VARIANTS
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.benchmark_rows import make_subject, Row, Subject
from faster_ros.training.demo_inputs import (
    code_grid,
    fit_normalisers,
    Normalisers,
    policy_config,
    words_and_state,
)
from faster_ros.training.demonstrations import collect, Demonstrations
from faster_ros.training.grid_tokenizer import GridFasterVq
from faster_ros.training.task_policy import TaskPolicy
from faster_ros.training.train_policy import PolicyData, PolicyTrainer, PolicyTraining
from faster_ros.training.train_tokenizer import TokenizerTraining
import numpy as np
from safetensors.torch import load_file, save_file
import torch

_HELD_OUT_SHARE = 20  # one episode more in so many is held out
_MEASURED_STEPS = 400  # held-out steps that errors are measured on
_TIMED_STEPS = 10  # held-out steps that decoding is timed on, in turn
_TOGETHER = 10  # trials that run side by side
_RENDER_SCALE = 2  # images are rendered larger and averaged down, as a camera's pixels are


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


class TaskBenchmark:
    """One run in a folder; rows are trained and tried one after the other."""

    def __init__(self, plan: BenchmarkPlan, spec: RobotSpec, out: Path) -> None:
        self.plan, self.spec, self._out = plan, spec, out
        self._settings = PickSettings()
        self._claim()
        data = self._demonstrations()
        held_out = data.episodes >= plan.episodes
        self._held_out = np.flatnonzero(held_out)
        self._training = np.flatnonzero(~held_out)
        self._trunk = load_policy(plan.trunk, spec).parts if plan.trunk else None
        if self._trunk is not None:
            self._normalisers = Normalisers(self._trunk.action_normaliser,
                                            self._trunk.state_normaliser)
            self._config = replace(self._trunk.model.config, decode_levels=None)
        else:
            self._normalisers = fit_normalisers(spec, data)
            grid = code_grid(spec, self._settings.action_horizon)
            self._config = policy_config(spec, self._settings, data, grid)
        deltas = to_deltas(data.actions, data.positions, spec.gripper_index)
        self._chunks = self._normalisers.actions.normalise(deltas)
        self._inputs = self._policy_data(data)
        self._faster_vq = self._tokenizer()

    def row(self, row: Row) -> dict[str, Any]:
        """Return what a row gave: from disk, or trained and tried now."""
        path = self._out / 'rows' / f'{row.name}.json'
        if path.exists():
            figures: dict[str, Any] = json.loads(path.read_text())
            return figures
        subject, training = self._trained(row)
        tasks = {}
        for task in self.plan.tasks:
            start = time.monotonic()
            tasks[task] = self._tried(subject, row, task)
            tasks[task]['wall_s'] = time.monotonic() - start
        figures = {'row': asdict(row), 'training': training, **self._errors(subject),
                   'tasks': tasks,
                   'parameters': sum(each.numel() for each in subject.model.parameters())}
        _write(path, figures)
        return figures

    @torch.inference_mode()
    def latencies(self, rows: Sequence[Row], calls: int) -> dict[str, dict[str, float]]:
        """
        Return tokens, passes and decoding times of rows, in ms, one observation at a time.

        Decoding is from the cached prefix to the normalised chunk; the rows take turns.
        """
        some = self._held_out[::max(1, len(self._held_out) // _TIMED_STEPS)][:_TIMED_STEPS]
        batches = [self._inputs.tensors(some[index:index + 1]) for index in range(len(some))]
        ways, results = {}, {}
        for row in rows:
            subject, _ = self._trained(row)
            prefixes = [subject.model.backbone(batch) for batch in batches]
            answers = [subject.answer(prefix) for prefix in prefixes]
            results[row.name] = {
                'tokens': float(np.mean([answer.tokens[0] for answer in answers])),
                'passes': float(np.mean([answer.passes for answer in answers]))}
            ways[row.name] = _Turn(subject, prefixes)
        times = measure_in_turn(ways, torch.device('cpu'), calls)
        for name, durations in times.items():
            results[name] |= {'p50_ms': float(np.median(durations)),
                              'p95_ms': float(np.quantile(durations, 0.95))}
        return results

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
        (self._out / 'rows').mkdir(exist_ok=True)
        _write(path, wanted)

    def _demonstrations(self) -> Demonstrations:
        folder = self._out / 'demonstrations'
        if not folder.exists():
            last = self.plan.episodes + 2 + self.plan.episodes // _HELD_OUT_SHARE
            parts = [collect(self.spec, replace(self._settings, task=TASKS[task]), range(last),
                             f'demonstrations of {task}', workers=torch.get_num_threads())
                     for task in self.plan.tasks]
            partial = folder.with_suffix('.partial')
            shutil.rmtree(partial, ignore_errors=True)
            Demonstrations.concatenate(parts).save(partial)
            partial.rename(folder)
        return Demonstrations.load(folder)

    def _policy_data(self, data: Demonstrations) -> PolicyData:
        """Return the inputs of all steps; those of a frozen vision as its tokens."""
        words, state = words_and_state(self._config, self._normalisers.state, data)
        nothing = torch.zeros(len(words), 1, self._config.committed_rows, state.shape[1] + 1)
        inputs = PolicyData(data.images, words, state, torch.zeros(0), nothing)
        if self._trunk is None:
            return inputs
        with torch.no_grad():
            parts = [self._trunk.model.backbone.embed(inputs.tensors(rows))
                     for rows in np.array_split(np.arange(len(words)), -(-len(words) // 256))]
        tokens = PrefixTokens(torch.cat([part.x for part in parts]),
                              torch.cat([part.mask for part in parts]),
                              torch.cat([part.positions for part in parts]))
        unseen = np.zeros((len(words), len(self._config.cameras), 1, 1, 3), np.uint8)
        return replace(inputs, images=unseen, tokens=tokens)

    def _tokenizer(self) -> GridFasterVq:
        path, plan = self._out / 'tokenizer.safetensors', self.plan
        grid = code_grid(self.spec, self._settings.action_horizon)
        if self._trunk is not None:
            return GridFasterVq.of(self._trunk.tokenizer)
        if path.exists():
            model = FASTerVQ(grid)
            model.load_state_dict(load_file(path))
            return GridFasterVq.of(model.eval())
        tokenizer = GridFasterVq('FASTerVQ', grid, TokenizerTraining(plan.tokenizer_steps),
                                 plan.seed)
        tokenizer.fit(self._chunks[self._training])
        assert tokenizer.model is not None
        save_file(_tensors(tokenizer.model), path)
        return tokenizer

    def _trained(self, row: Row) -> tuple[Subject, dict[str, Any]]:
        """Return a row's policy, trained now or before, and how training went."""
        plan, path = self.plan, self._out / 'rows' / f'{row.trained_as}.safetensors'
        record = path.with_suffix('.training.json')
        torch.manual_seed(plan.seed)
        subject = make_subject(row, self._faster_vq, self._config, self._chunks[self._training])
        if self._trunk is not None:
            backbone = subject.model.backbone
            backbone.load_state_dict(self._trunk.model.backbone.state_dict())
            for name, weight in backbone.named_parameters():
                weight.requires_grad_(name.startswith('layers.'))
        if not record.exists():
            start = time.monotonic()
            curve = self._train(subject)
            save_file(_tensors(subject.model), path)
            _write(record, {'seconds': time.monotonic() - start, 'curve': curve})
        subject.model.load_state_dict(load_file(path))
        subject.model.eval()
        training: dict[str, Any] = json.loads(record.read_text())
        return subject, training

    def _train(self, subject: Subject) -> list[dict[str, float]]:
        """Train a policy, leave the averaged weights in it; returns its loss curve."""
        plan, levels = self.plan, subject.model.config.levels
        training = PolicyTraining(plan.steps, plan.batch_size,
                                  level_weights=PolicyTraining.level_weights[:levels])
        trainer = PolicyTrainer(subject.model, training, plan.seed)
        trainer.train(self._inputs.only(self._training, subject.targets(
            self._chunks[self._training])), plan.steps)
        subject.model.load_state_dict(trainer.average.state_dict())
        return trainer.curve

    @torch.inference_mode()
    def _errors(self, subject: Subject) -> dict[str, float | None]:
        """Return errors on held-out steps: of telling a chunk, and of the policy's chunks."""
        some = self._held_out[::max(1, len(self._held_out) // _MEASURED_STEPS)]
        chunks = self._chunks[some]
        told = subject.reconstruct(chunks)
        answered = np.concatenate([
            subject.answer(subject.model.backbone(self._inputs.tensors(part))).chunks
            for part in np.array_split(some, max(1, len(some) // self.plan.batch_size))])
        known = ~np.isnan(answered).any((1, 2))
        return {'reconstruction': float(np.abs(told - chunks).mean()),
                'reconstruction_mrad': self._arm_error(told, chunks),
                'policy_mrad': self._arm_error(answered[known], chunks[known]),
                'undecodable': float(1 - known.mean())}

    def _arm_error(self, found: FloatArray, wanted: FloatArray) -> float | None:
        """Return the mean error of the arm's joint targets of normalised chunks, in mrad."""
        if not len(found):
            return None
        gripper, restore = self.spec.gripper_index, self._normalisers.actions.restore
        start = np.zeros((len(found), found.shape[2]))
        gap = (from_deltas(restore(found), start, gripper)
               - from_deltas(restore(wanted), start, gripper))
        return float(1e3 * np.abs(np.delete(gap, gripper, 2)).mean())

    def _tried(self, subject: Subject, row: Row, task: str) -> dict[str, Any]:
        """Run the trials of a row at a task."""
        size, plan = self._config.backbone, self.plan
        pixels = (_RENDER_SCALE * size.image_width, _RENDER_SCALE * size.image_height)
        players = [PickTrials(self.spec, pixels, None, TASKS[task], VARIANTS[row.variant])
                   for _ in range(min(_TOGETHER, plan.trials))]
        policy = TaskPolicy(subject, self._config, self._normalisers, self.spec,
                            self._settings.step_s)
        seeds = range(TEST_SEED_START, TEST_SEED_START + plan.trials)
        trials = run_together(players, seeds, policy.infer)
        return {**_cell(trials), 'undecodable': policy.undecodable / policy.answers}


class _Turn:
    """Decodes the next of some prefixes at each call."""

    def __init__(self, subject: Subject, prefixes: Sequence[Prefix]) -> None:
        self._subject, self._prefixes = subject, cycle(prefixes)

    def __call__(self) -> torch.Tensor:
        """Return the chunk, as a tensor."""
        return torch.from_numpy(self._subject.answer(next(self._prefixes)).chunks)


def _cell(trials: Sequence[PickTrial]) -> dict[str, Any]:
    successes = [trial for trial in trials if trial.success]
    rate = success_rate(len(successes), len(trials))
    return {
        'trials': len(trials), 'successes': len(successes), 'interval_95': [rate.low, rate.high],
        'wrong_lifted': sum(trial.wrong_lifted for trial in trials),
        'faults': [trial.fault for trial in trials if trial.fault],
        'median_s': float(np.median([each.seconds for each in successes])) if successes else None,
        'jerk_rms': float(np.median([trial.jerk_rms for trial in trials])),
        'each': [asdict(trial) for trial in trials]}


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items()}


def _write(path: Path, values: dict[str, Any]) -> None:
    write_durably(path, (json.dumps(values, indent=2) + '\n').encode())
