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
"""The result of an evaluation names the right winner, and none before its time."""

from faster_ros.evaluation.plan_page import write_results
from faster_ros.evaluation.plan_report import evaluate, is_over
from faster_ros.evaluation.tested_software import note_tested
from faster_ros.evaluation.trial_journal import TrialJournal, TrialResult
from faster_ros.evaluation.trial_plan import load_plan, make_order, read_key
import pytest
import yaml


def start(tmp_path, states=12, error=None, good='/good'):
    plan = {'plan': 'ab', 'robot': 'fr3', 'error': error,
            'tasks': {'pick': {'instruction': 'pick it up', 'time_limit': 9.0, 'success': 'up',
                               'initial_states': {f's{k}': {} for k in range(states)},
                               'failures': ['missed']}},
            'policies': {'good': {'checkpoint': str(good)}, 'bad': {'checkpoint': '/bad'}}}
    tmp_path.mkdir(exist_ok=True)
    source = tmp_path / 'in.yaml'
    source.write_text(yaml.safe_dump({k: v for k, v in plan.items() if v is not None}))
    folder = tmp_path / 'run'
    return folder, make_order(load_plan(source), folder, source)


def run(folder, order, trials, bad_wins_every=4):
    journal, key = TrialJournal(folder), read_key(folder)
    for trial in order.trials[:trials]:
        state = int(trial.initial_state[1:])
        won = key[trial.number - 1] == 'good' or state % bad_wins_every == 0
        journal.start(trial.number, trial.number)
        journal.end(trial.number, TrialResult(won, float(won), 2.0, '' if won else 'missed'),
                    trial.number)


def test_the_better_policy_is_named_with_interval_and_p_value(tmp_path):
    folder, order = start(tmp_path)
    run(folder, order, 24)
    figures = write_results(folder)
    assert figures['verdict'].startswith('good succeeds more often than bad, by 75% of trials')
    assert figures['policies']['bad']['successes'] == 3
    assert figures['policies']['bad']['failures'] == {'missed': 9}
    assert len(figures['hashes']['robot_sha256']) == 64 and 'git' in figures['hashes']
    assert figures['hashes']['checkpoint good'] == 'is not on this machine'
    pair = figures['comparisons'][0]
    assert pair['paired']['p_value'] == pytest.approx(2 / 2**9)
    assert 'good succeeds more often' in (folder / 'report.html').read_text()
    assert len((folder / 'trials.csv').read_text().splitlines()) == 25


def test_nobody_sees_which_policy_does_better_before_the_end(tmp_path):
    folder, order = start(tmp_path)
    run(folder, order, 20)
    figures = write_results(folder)
    assert 'policies' not in figures
    assert not (folder / 'trials.csv').exists()
    assert 'named when it is over' in (folder / 'report.html').read_text()
    assert evaluate(folder, unblind=True)['unblinded_early']


def test_reports_after_an_early_look_say_so_too(tmp_path):
    folder, order = start(tmp_path)
    run(folder, order, 20)
    evaluate(folder, unblind=True)
    assert evaluate(folder)['unblinded_early']


def test_the_report_states_the_checkpoints_that_ran_not_those_there_now(tmp_path):
    checkpoint = tmp_path / 'trained'
    checkpoint.mkdir()
    folder, _ = start(tmp_path, good=checkpoint)
    plan = load_plan(folder / 'plan.yaml')
    note_tested(folder, plan)
    before = evaluate(folder)['hashes']
    (checkpoint / 'policy.safetensors').write_bytes(b'trained again')
    assert evaluate(folder)['hashes'] == before
    with pytest.raises(ValueError, match='checkpoint good is not what the trials before were run '
                                         'with: expected .*; restore it, or plan a new'):
        note_tested(folder, plan)


def test_a_decided_sequential_test_ends_the_evaluation(tmp_path):
    folder, order = start(tmp_path, states=40, error=0.05)
    run(folder, order, 4, bad_wins_every=100)
    assert not is_over(folder)
    folder, order = start(tmp_path / 'two', states=40, error=0.05)
    run(folder, order, 40, bad_wins_every=100)
    assert is_over(folder)
    assert 'e-value' in evaluate(folder)['verdict']


def test_voided_trials_stay_on_the_page_with_their_reason(tmp_path):
    folder, order = start(tmp_path, states=1)
    journal = TrialJournal(folder)
    journal.start(1, 0)
    journal.void(1, 'the cube fell off', 1)
    write_results(folder)
    assert 'voided: the cube fell off' in (folder / 'report.html').read_text()
