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
from dataclasses import asdict, replace
from itertools import cycle
import json
from pathlib import Path
import time
from typing import Any

from faster_ros.evaluation.statistics import success_rate
from faster_ros.interfaces import FloatArray
from faster_ros.policy.action_representation import from_deltas
from faster_ros.policy.backbones.base import Prefix
from faster_ros.policy.latency import measure_in_turn
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.pick_trials import PickTrial, PickTrials, run_together
from faster_ros.sim.simulator import TEST_SEED_START
from faster_ros.sim.tasks import TASKS, VARIANTS
from faster_ros.training.benchmark_data import (
    BenchmarkData,
    BenchmarkPlan,
    save_weights,
    write_json,
)
from faster_ros.training.benchmark_rows import make_subject, Row, Subject
from faster_ros.training.task_policy import TaskPolicy
from faster_ros.training.train_policy import PolicyTrainer, PolicyTraining
import numpy as np
from safetensors.torch import load_file
import torch

_MEASURED_STEPS = 400  # held-out steps that errors are measured on
_TIMED_STEPS = 10  # held-out steps that decoding is timed on, in turn
_TOGETHER = 10  # trials that run side by side
_RENDER_SCALE = 2  # images are rendered larger and averaged down, as a camera's pixels are


class TaskBenchmark:
    """One run in a folder; rows are trained and tried one after the other."""

    def __init__(self, plan: BenchmarkPlan, spec: RobotSpec, out: Path) -> None:
        self.plan, self.spec = plan, spec
        self._data = BenchmarkData(plan, spec, out)
        self._folder = out / 'rows'
        self._folder.mkdir(exist_ok=True)

    def row(self, row: Row) -> dict[str, Any]:
        """Return what a row gave: from disk, or trained and tried now."""
        path = self._folder / f'{row.name}.json'
        if path.exists():
            figures: dict[str, Any] = json.loads(path.read_text())
            if figures['row'] != asdict(row):
                raise ValueError(f"{path} is of another row '{row.name}', {figures['row']}; "
                                 'take another folder (--out)')
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
        write_json(path, figures)
        return figures

    @torch.inference_mode()
    def latencies(self, rows: Sequence[Row], calls: int) -> dict[str, dict[str, float]]:
        """
        Return tokens, passes and decoding times of trained rows, in ms, for one observation.

        Decoding is from the cached prefix to the normalised chunk; the rows take turns.
        """
        held_out, inputs = self._data.held_out, self._data.inputs
        some = held_out[::max(1, len(held_out) // _TIMED_STEPS)][:_TIMED_STEPS]
        batches = [inputs.tensors(some[index:index + 1]) for index in range(len(some))]
        ways, results = {}, {}
        for row in rows:
            subject, _ = self._trained(row)
            prefixes = [subject.model.prefix(batch) for batch in batches]
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

    def _trained(self, row: Row) -> tuple[Subject, dict[str, Any]]:
        """Return a row's policy, trained now or before, and how training went."""
        data, path = self._data, self._folder / f'{row.trained_as}.safetensors'
        record = path.with_suffix('.training.json')
        torch.manual_seed(self.plan.seed)
        subject = make_subject(row, data.faster_vq, data.config, data.chunks[data.training])
        data.start_trunk(subject.model.backbone)
        if not record.exists():
            start = time.monotonic()
            curve = self._train(subject)
            save_weights(subject.model, path)
            write_json(record, {'seconds': time.monotonic() - start, 'curve': curve})
        subject.model.load_state_dict(load_file(path))
        subject.model.eval()
        training: dict[str, Any] = json.loads(record.read_text())
        return subject, training

    def _train(self, subject: Subject) -> list[dict[str, float]]:
        """Train a policy, leave the averaged weights in it; returns its loss curve."""
        plan, data, levels = self.plan, self._data, subject.model.config.levels
        training = PolicyTraining(plan.steps, plan.batch_size,
                                  level_weights=PolicyTraining.level_weights[:levels])
        trainer = PolicyTrainer(subject.model, training, plan.seed)
        targets = subject.targets(data.chunks[data.training])
        trainer.train(replace(data.lessons, codes=targets), plan.steps)
        subject.model.load_state_dict(trainer.average.state_dict())
        return trainer.curve

    @torch.inference_mode()
    def _errors(self, subject: Subject) -> dict[str, float | None]:
        """Return errors on held-out steps: of telling a chunk, and of the policy's chunks."""
        data = self._data
        some = data.held_out[::max(1, len(data.held_out) // _MEASURED_STEPS)]
        chunks = data.chunks[some]
        told = subject.reconstruct(chunks)
        answered = np.concatenate([
            subject.answer(subject.model.prefix(data.inputs.tensors(part))).chunks
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
        gripper, restore = self.spec.gripper_index, self._data.normalisers.actions.restore
        start = np.zeros((len(found), found.shape[2]))
        gap = (from_deltas(restore(found), start, gripper)
               - from_deltas(restore(wanted), start, gripper))
        return float(1e3 * np.abs(np.delete(gap, gripper, 2)).mean())

    def _tried(self, subject: Subject, row: Row, task: str) -> dict[str, Any]:
        """Run the trials of a row at a task."""
        data, plan = self._data, self.plan
        size = data.config.backbone
        pixels = (_RENDER_SCALE * size.image_width, _RENDER_SCALE * size.image_height)
        players = [PickTrials(self.spec, pixels, None, TASKS[task], VARIANTS[row.variant])
                   for _ in range(min(_TOGETHER, plan.trials))]
        policy = TaskPolicy(subject, data.config, data.normalisers, self.spec,
                            data.settings.step_s)
        seeds = range(TEST_SEED_START, TEST_SEED_START + plan.trials)
        trials = run_together(players, seeds, policy.infer)
        return {**_cell(trials), 'undecodable': policy.undecodable / max(1, policy.answers)}


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
