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
``faster_ros train demo``: from nothing to the demo's checkpoint, with a report.

Expert demonstrations under disturbances, the tokenizer, the policy, a round of DAgger (the policy
leads, the expert labels), more policy training, then trials on layouts never trained on.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
import json
from pathlib import Path
import shutil
import time
from typing import Any

from faster_ros.policy.action_representation import to_deltas
from faster_ros.policy.checkpoint import PolicyParts
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.sim.pick_episodes import PickSettings
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.demo_inputs import (
    code_grid,
    fit_normalisers,
    policy_config,
    words_and_state,
)
from faster_ros.training.demonstrations import collect, Demonstrations
from faster_ros.training.evaluate_demo import describe, evaluate
from faster_ros.training.train_policy import (
    PolicyData,
    PolicyTrainer,
    PolicyTraining,
    token_accuracy,
)
from faster_ros.training.train_report import write_report
from faster_ros.training.train_tokenizer import TokenizerTraining, train_tokenizer
import numpy as np
from numpy.typing import NDArray
import torch

# The policy names the finest level right too seldom for it to help: on 300 layouts of seeds from
# 3,000,000 two levels succeeded in 295 and all three in 286.
_DECODE_LEVELS = 2
# A fine code is often wrong, and a wrong one is noise: the mean is nearer to the expert's chunk.
_MEAN_LATENT = True
_CODE_BATCH = 1000
# Versions of each step where the policy learns delays: in one of them nothing is committed.
_VERSIONS = 3
_VALIDATION_STEPS = 1000


@dataclass(frozen=True)
class DemoPlan:
    """How much of everything a run does."""

    seed: int
    episodes: int
    tokenizer_steps: int
    dagger_at: int
    dagger_episodes: int
    policy_steps: int
    trials: int


FULL = DemoPlan(seed=0, episodes=1200, tokenizer_steps=1500, dagger_at=2500, dagger_episodes=500,
                policy_steps=5500, trials=100)
QUICK = DemoPlan(seed=0, episodes=60, tokenizer_steps=150, dagger_at=80, dagger_episodes=10,
                 policy_steps=140, trials=4)


class DemoTraining:
    """
    One run; the parts fill in as ``run`` goes through its stages.

    With a ``longest_delay`` in steps of 0.1 s the policy takes committed actions.
    """

    def __init__(self, plan: DemoPlan, spec: RobotSpec, out: Path, threads: int,
                 longest_delay: int = 0) -> None:
        self.plan, self.spec, self.out = plan, spec, out
        self.settings = PickSettings(longest_delay=longest_delay)
        self._committed_rows = longest_delay + 1 if longest_delay else 0
        self._versions_of_each = _VERSIONS if longest_delay else 1
        self.seconds: dict[str, float] = {}
        self.threads = threads
        self._rng = np.random.default_rng([plan.seed, 2])  # draws the delays

    def run(self) -> dict[str, Any]:
        """Go through all stages; return and write the figures of the run."""
        plan, spec = self.plan, self.spec
        torch.set_num_threads(self.threads)
        torch.manual_seed(plan.seed)
        demonstrations = self._timed('demonstrations', collect, spec, self.settings,
                                     range(plan.episodes), 'demonstrations')
        self.normalisers = fit_normalisers(spec, demonstrations)
        chunks, committed = self._versions(demonstrations)
        tokenizer, tokenizer_curve = self._timed('tokenizer', self._tokenizer, chunks)
        self._make_policy(tokenizer, demonstrations)
        data = self._policy_data(demonstrations, chunks, committed)
        cut = len(data) - min(_VALIDATION_STEPS, len(data) // 10)
        held_out = unseen(demonstrations, cut)
        training = _rows(data, np.arange(cut))
        self._timed('policy before DAgger', self.trainer.train, training, plan.dagger_at)
        corrections = self._timed('DAgger', self._dagger)
        corrected, given = self._versions(corrections)
        training = _join(training, self._policy_data(corrections, corrected, given))
        self._timed('policy after DAgger', self.trainer.train, training, plan.policy_steps)
        figures = {
            'plan': asdict(plan), 'threads': self.threads, 'seconds': self.seconds,
            'labelled_steps': {'demonstrations': len(demonstrations), 'DAgger': len(corrections)},
            'tokenizer': self._tokenizer_figures(chunks[:, 0], corrected[:, 0]),
            'token_accuracy': token_accuracy(self.trainer.average, data, held_out, 0),
            'token_accuracy_committed': (token_accuracy(self.trainer.average, data, held_out, 1)
                                         if self._committed_rows else None),
            'token_majority': _majority_accuracy(training, data, held_out),
            'tokenizer_curve': tokenizer_curve, 'policy_curve': self.trainer.curve,
        }
        return self._finish(figures)

    def _timed(self, stage: str, work: Any, *arguments: Any) -> Any:
        start = time.monotonic()
        result = work(*arguments)
        self.seconds[stage] = round(time.monotonic() - start, 1)
        return result

    def _versions(self, demonstrations: Demonstrations) -> tuple[torch.Tensor, torch.Tensor]:
        """Return chunks (N, V, H, D) and what is committed of them (N, V, C, D + 1)."""
        longest, count = self.settings.longest_delay, len(demonstrations)
        given_rows = np.arange(self._committed_rows)
        chunks, committed = [], []
        for version in range(self._versions_of_each):
            # Short delays are commoner: a third of those drawn are of one step.
            drawn = np.ceil(longest * self._rng.random(count)**2).astype(int) * (version > 0)
            actions, delays = demonstrations.continued(drawn)
            deltas = to_deltas(actions, demonstrations.positions, self.spec.gripper_index)
            rows = self.normalisers.actions.normalise(deltas)
            known = (given_rows <= delays[:, None]) & (delays > 0)[:, None]
            given = np.append(rows[:, given_rows], np.ones((*known.shape, 1)), 2)
            chunks.append(torch.from_numpy(rows).float())
            committed.append(torch.from_numpy(given * known[..., None]).float())
        return torch.stack(chunks, 1), torch.stack(committed, 1)

    def _tokenizer(self, chunks: torch.Tensor) -> tuple[FASTerVQ, list[Any]]:
        config = code_grid(self.spec, self.settings.action_horizon)
        return train_tokenizer(config, chunks.flatten(0, 1),
                               TokenizerTraining(self.plan.tokenizer_steps), self.plan.seed)

    def _make_policy(self, tokenizer: FASTerVQ, demonstrations: Demonstrations) -> None:
        """Make the untrained policy; its words are those of the demonstrations."""
        config = replace(
            policy_config(self.spec, self.settings, demonstrations, tokenizer.config),
            decode_levels=_DECODE_LEVELS, mean_latent=_MEAN_LATENT,
            committed_rows=self._committed_rows)
        training = PolicyTraining(self.plan.policy_steps)
        self.trainer = PolicyTrainer(FASTerVLA(config), training, self.plan.seed)
        self.parts = PolicyParts(self.trainer.average, tokenizer, self.normalisers.actions,
                                 self.normalisers.state, self.spec, self.settings.step_s)

    def _policy_data(self, demonstrations: Demonstrations, chunks: torch.Tensor,
                     committed: torch.Tensor) -> PolicyData:
        words, state = words_and_state(self.parts.model.config, self.normalisers.state,
                                       demonstrations)
        codes = torch.cat([self.parts.tokenizer.encode(part)
                           for part in chunks.flatten(0, 1).split(_CODE_BATCH)])
        return PolicyData(demonstrations.images, words, state,
                          codes.unflatten(0, (-1, self._versions_of_each)), committed)

    def _dagger(self) -> Demonstrations:
        folder = self.out / 'checkpoint_before_dagger'
        self.parts.save(folder, {'stage': 'before DAgger'})
        first = self.plan.episodes
        return collect(self.spec, self.settings,
                       range(first, first + self.plan.dagger_episodes), 'DAgger', folder)

    def _tokenizer_figures(self, fitted: torch.Tensor, later: torch.Tensor) -> dict[str, Any]:
        """
        Return the share of codes in use on fitted chunks (N, H, D), and errors on ``later`` ones.

        The errors are those of 1..K levels. Tokenizer and normalisers are fitted to all
        demonstrations; only what DAgger collects later is new to them.
        """
        tokenizer = self.parts.tokenizer
        spread = later[::-(-len(later) // _VALIDATION_STEPS)]
        codes = tokenizer.encode(spread)
        used = torch.cat([tokenizer.encode(part) for part in fitted.split(_CODE_BATCH)])
        levels = range(1, tokenizer.config.levels + 1)
        return {
            'l1_by_levels': [float((tokenizer.decode(codes[:, :level]) - spread).abs().mean())
                             for level in levels],
            'code_use': [len(used[:, level - 1].unique()) / tokenizer.config.codebook_size
                         for level in levels],
        }

    def _finish(self, figures: dict[str, Any]) -> dict[str, Any]:
        checkpoint = self.out / 'checkpoint'
        shutil.rmtree(checkpoint, ignore_errors=True)
        record = {key: value for key, value in figures.items() if not key.endswith('_curve')}
        self.parts.save(checkpoint, record)
        for subject in ('policy', 'tokenizer'):
            result = self._timed(f'trials: {subject}', evaluate, checkpoint, self.spec, subject,
                                 self.plan.trials)
            figures[f'trials_{subject}'] = result
            record[f'trials_{subject}'] = {
                key: value for key, value in result.items() if key not in ('each', 'seconds')}
            print(describe(result), flush=True)
        self.parts.save(checkpoint, record)
        (self.out / 'summary.json').write_text(json.dumps(figures, indent=2) + '\n')
        report = write_report(figures, self.out)
        minutes = sum(self.seconds.values()) / 60
        print(f'{minutes:.1f} minutes in all\ncheckpoint: {checkpoint}\nreport:     {report}')
        return figures


def unseen(demonstrations: Demonstrations, cut: int) -> NDArray[np.int64]:
    """Return the rows of the episodes that begin at row ``cut`` or after it."""
    rows = np.arange(cut, len(demonstrations))
    return rows[demonstrations.episodes[rows] != demonstrations.episodes[cut - 1]]


def _rows(data: PolicyData, rows: np.ndarray) -> PolicyData:
    return data.only(rows, data.codes[rows])


def _join(first: PolicyData, second: PolicyData) -> PolicyData:
    return PolicyData(np.concatenate([first.images, second.images]),
                      torch.cat([first.words, second.words]),
                      torch.cat([first.state, second.state]),
                      torch.cat([first.codes, second.codes]),
                      torch.cat([first.committed, second.committed]))


def _majority_accuracy(training: PolicyData, data: PolicyData, rows: np.ndarray) -> list[float]:
    """Return the accuracy per level of always naming the commonest code of each token."""
    commonest = training.codes[:, 0].mode(0).values
    hits = (data.codes[rows, 0] == commonest).float()
    return [float(share) for share in hits.mean((0, 2))]


def main(arguments: list[str]) -> int:
    """Run ``faster_ros train demo`` and return its exit code."""
    parser = argparse.ArgumentParser(prog='faster_ros train demo', description=__doc__)
    parser.add_argument('--quick', action='store_true',
                        help='a two-minute run that only shows that training learns')
    parser.add_argument('--out', type=Path, default=None,
                        help='folder for checkpoint and report (default out/train_demo)')
    parser.add_argument('--threads', type=int, default=2, help='torch threads (default 2)')
    parser.add_argument('--longest-delay', type=int, default=0, metavar='STEPS',
                        help='steps of 0.1 s that answers are late by in training, at most; the '
                             'policy then takes the committed actions as an input (default 0: '
                             'it does not)')
    options = parser.parse_args(arguments)
    if options.longest_delay < 0:
        parser.error(f'--longest-delay must be at least 0, got {options.longest_delay}')
    out = options.out or Path('out') / ('train_demo_quick' if options.quick else 'train_demo')
    plan = QUICK if options.quick else FULL
    DemoTraining(plan, load_robot_spec('fr3'), out, options.threads,
                 options.longest_delay).run()
    return 0
