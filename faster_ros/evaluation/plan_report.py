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
The result of an evaluation: per policy and task, with intervals, tests and hashes.

Policies are named only when the evaluation is over: every trial has a result, or the sequential
test has decided. Before, ``evaluate`` gives counts that do not tell the policies apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
import csv
from dataclasses import asdict, dataclass
from itertools import combinations
import json
from pathlib import Path
from typing import Any

from faster_ros.data.durable import write_durably
from faster_ros.evaluation.comparison import (
    compare_paired,
    compare_unpaired,
    mean_interval,
    SequentialTest,
)
from faster_ros.evaluation.statistics import quantiles, success_rate
from faster_ros.evaluation.tested_software import tested
from faster_ros.evaluation.trial_journal import TrialJournal, TrialResult
from faster_ros.evaluation.trial_plan import (
    load_plan,
    PlannedTrial,
    read_key,
    read_order,
    TrialPlan,
)
from faster_ros.evaluation.trial_record import versions
from faster_ros.evaluation.trial_recordings import read_recordings

_UNBLINDED = 'unblinded_early.txt'


@dataclass(frozen=True)
class JudgedTrial:
    """A planned trial with its result and the policy that ran."""

    trial: PlannedTrial
    policy: str
    result: TrialResult

    @property
    def scene(self) -> tuple[str, str, int]:
        """Return what pairs trials of several policies: task, initial state, repetition."""
        return self.trial.task, self.trial.initial_state, self.trial.repetition


def sequential_test(plan: TrialPlan, trials: Sequence[JudgedTrial]) -> SequentialTest | None:
    """Return the state of the test after every complete pair, or None where none is planned."""
    if plan.error is None:
        return None
    test = SequentialTest(plan.error)
    one, other = plan.policies
    for first, second in _pairs(one, other, trials):
        test.add(first.success, second.success)
    return test


def is_over(folder: Path) -> bool:
    """Return whether no further trial is needed."""
    plan, trials, planned, _ = _read(folder)
    test = sequential_test(plan, trials)
    return len(trials) == planned or (test is not None and test.decided)


def evaluate(folder: Path, unblind: bool = False) -> dict[str, Any]:
    """
    Return all figures of an evaluation; ``unblind`` names policies before it is over.

    That it was unblinded early is noted in its folder, so that later reports say so too.
    """
    plan, trials, planned, journal = _read(folder)
    over, early = is_over(folder), folder / _UNBLINDED
    if unblind and not over and not early.exists():
        write_durably(early, f'after {len(trials)} trials\n'.encode())
    figures: dict[str, Any] = {
        'plan': plan.plan, 'robot': plan.robot, 'planned': planned, 'done': len(trials),
        'voided': journal.voided, 'recordings': _recordings(folder, journal),
        'over': over, 'unblinded_early': early.exists(),
        'hashes': _hashes(folder, plan), 'versions': versions()}
    if not (over or unblind):
        return figures
    names = list(plan.policies)
    figures['under_test'] = {name: asdict(policy) for name, policy in plan.policies.items()}
    figures['policies'] = {name: _figures([trial for trial in trials if trial.policy == name])
                           for name in names}
    figures['tasks'] = {task: {name: _figures([trial for trial in trials if trial.policy == name
                                               and trial.trial.task == task]) for name in names}
                        for task in plan.tasks}
    figures['comparisons'] = [_comparison(first, second, trials)
                              for first, second in combinations(names, 2)]
    test = sequential_test(plan, trials)
    if test is not None:
        figures['sequential'] = {'error': plan.error, 'e_value': test.e_value,
                                 'decided': test.decided}
    figures['verdict'] = _verdict(figures)
    return figures


def judged_trials(folder: Path) -> list[JudgedTrial]:
    """Return the trials that have a result, in the order they ran. Unblinds."""
    return _read(folder)[1]


def write_csv(folder: Path, path: Path) -> None:
    """Write one line per trial that counts, in the order they ran."""
    trials, recordings = judged_trials(folder), read_recordings(folder)
    counted = {attempt.trial: attempt.number for attempt in TrialJournal(folder).attempts}
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, ['number', 'task', 'initial_state', 'repetition', 'policy',
                                       *TrialResult.__dataclass_fields__, 'attempt', 'episode'])
        writer.writeheader()
        for trial in trials:
            key = trial.trial.number, counted[trial.trial.number]
            episode = recordings[key].episode if key in recordings else None
            writer.writerow(asdict(trial.trial) | {'policy': trial.policy} | asdict(trial.result)
                            | {'attempt': key[1], 'episode': episode})


def _read(folder: Path) -> tuple[TrialPlan, list[JudgedTrial], int, TrialJournal]:
    order, journal = read_order(folder), TrialJournal(folder)
    results, key = journal.results, read_key(folder)
    trials = [JudgedTrial(trial, policy, results[trial.number])
              for trial, policy in zip(order.trials, key) if trial.number in results]
    return load_plan(folder / 'plan.yaml'), trials, len(order.trials), journal


def _pairs(first: str, second: str,
           trials: Sequence[JudgedTrial]) -> list[tuple[TrialResult, TrialResult]]:
    """Return the results of two policies in the scenes that both have met."""
    by_scene: dict[tuple[str, str, int], dict[str, TrialResult]] = {}
    for trial in trials:
        by_scene.setdefault(trial.scene, {})[trial.policy] = trial.result
    return [(met[first], met[second]) for met in by_scene.values()
            if first in met and second in met]


def _recordings(folder: Path, journal: TrialJournal) -> dict[str, Any]:
    """Return how many attempts are recorded as episodes, and what is wrong with which."""
    recordings = read_recordings(folder)
    return {'episodes': sum(found.episode is not None for found in recordings.values()),
            'attempts': len(journal.attempts),
            'problems': {f'trial {attempt.trial}, attempt {attempt.number}': attempt.recording
                         for attempt in journal.attempts if attempt.recording}}


def _figures(trials: Sequence[JudgedTrial]) -> dict[str, Any]:
    results = [trial.result for trial in trials]
    wins = sum(result.success for result in results)
    figures: dict[str, Any] = {'trials': len(results), 'successes': wins}
    for method in ('wilson', 'exact'):
        rate = success_rate(wins, len(results), method=method)
        figures[f'interval_95_{method}'] = [rate.low, rate.high]
    if results:
        figures['score'] = mean_interval([result.score for result in results])
    figures['seconds_to_success'] = asdict(quantiles([result.seconds for result in results
                                                      if result.success]))
    figures['failures'] = dict(Counter(result.failure for result in results if result.failure))
    figures['interventions'] = sum(result.interventions for result in results)
    figures['faults'] = sum(result.faults for result in results)
    return figures


def _comparison(first: str, second: str, trials: Sequence[JudgedTrial]) -> dict[str, Any]:
    pairs = _pairs(first, second, trials)
    wins, counts = [], []
    for name in (first, second):
        own = [trial.result.success for trial in trials if trial.policy == name]
        wins.append(sum(own))
        counts.append(len(own))
    result: dict[str, Any] = {'first': first, 'second': second, 'pairs': len(pairs)}
    if pairs:
        result['paired'] = asdict(compare_paired([one.success for one, _ in pairs],
                                                 [two.success for _, two in pairs]))
    if all(counts):
        result['unpaired'] = asdict(compare_unpaired((wins[0], wins[1]), (counts[0], counts[1])))
    return result


def _verdict(figures: dict[str, Any]) -> str:
    """Say in one sentence per pair which policy is better, or that it is open."""
    sentences = []
    for pair in figures['comparisons']:
        test = pair.get('paired') or pair.get('unpaired')
        if test is None:
            continue
        better, worse = ((pair['second'], pair['first']) if test['difference'] > 0
                         else (pair['first'], pair['second']))
        sequential = figures.get('sequential')
        decided = sequential['decided'] if sequential else test['p_value'] < 0.05
        evidence = (f"e-value {sequential['e_value']:.1f}" if sequential
                    else f"p = {test['p_value']:.3g}, {test['method']}")
        sentences.append(
            f"{better} succeeds more often than {worse}, by {abs(test['difference']):.0%} of "
            f'trials ({evidence})' if decided else
            f"{pair['first']} and {pair['second']} are not told apart ({evidence})")
    return '; '.join(sentences)


def _hashes(folder: Path, plan: TrialPlan) -> dict[str, Any]:
    """Return the sha256 of plan and key, and what was tested."""
    found = json.loads((folder / 'order.json').read_text())
    return {name: found[name] for name in ('plan_sha256', 'key_sha256')} | tested(folder, plan)
