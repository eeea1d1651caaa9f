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
"""A plan is checked, shuffled, blinded, sealed; the journal survives a crash and shows edits."""

import json

from faster_ros.evaluation.trial_journal import TrialJournal, TrialResult
from faster_ros.evaluation.trial_plan import load_plan, make_order, read_key, read_order
from faster_ros.robot_spec import config_path
import pytest
import yaml

PLAN = {
    'plan': 'ab', 'robot': 'fr3', 'repetitions': 2,
    'tasks': {'pick': {
        'instruction': 'from the simulator', 'time_limit': 12.0, 'success': 'lifted by 8 cm',
        'initial_states': {f's{seed}': {'seed': seed} for seed in range(5)},
        'scores': {'touched': 0.3}, 'failures': ['missed', 'dropped']}},
    'policies': {'good': {'checkpoint': '/good'},
                 'bad': {'checkpoint': '/bad', 'parameters': {'control_node.blend': 0.0}}},
}


def write(tmp_path, **changes):
    path = tmp_path / 'plan_in.yaml'
    path.write_text(yaml.safe_dump(PLAN | changes))
    return path


def test_every_policy_meets_every_initial_state_equally_often_and_next_to_each_other(tmp_path):
    source = write(tmp_path, repetitions=10)
    order = make_order(load_plan(source), tmp_path / 'run', source)
    policies = read_key(tmp_path / 'run')
    assert [trial.number for trial in order.trials] == list(range(1, 101))
    scenes = [(trial.initial_state, trial.repetition) for trial in order.trials]
    for place in range(0, 100, 2):
        assert scenes[place] == scenes[place + 1]
        assert {policies[place], policies[place + 1]} == {'good', 'bad'}
    assert len(set(scenes)) == 50
    assert len({tuple(policies[place:place + 2]) for place in range(0, 100, 2)}) == 2


def test_a_wanted_interval_takes_the_repetitions_that_it_needs(tmp_path):
    plan = load_plan(write(tmp_path, interval=0.3))
    assert plan.rounds == 8  # 39 trials of five initial states
    assert load_plan(write(tmp_path, interval=0.9)).rounds == 2
    order = make_order(plan, tmp_path / 'run', tmp_path / 'plan_in.yaml')
    assert len(order.trials) == 2 * 5 * 8


def test_the_order_does_not_tell_which_policy_runs(tmp_path):
    source = write(tmp_path)
    make_order(load_plan(source), tmp_path / 'run', source)
    text = (tmp_path / 'run' / 'order.json').read_text()
    assert 'good' not in text
    assert 'bad' not in text


@pytest.mark.parametrize('name', ['plan.yaml', 'key.json'])
def test_a_later_edit_of_plan_or_key_is_noticed(tmp_path, name):
    source = write(tmp_path)
    order = make_order(load_plan(source), tmp_path / 'run', source)
    assert read_order(tmp_path / 'run') == order
    path = tmp_path / 'run' / name
    path.write_text(path.read_text().replace('bad', 'Bad'))
    with pytest.raises(ValueError, match=f'{name} was edited after the order was made'):
        read_order(tmp_path / 'run')


def test_a_second_evaluation_in_one_folder_is_refused(tmp_path):
    source = write(tmp_path)
    make_order(load_plan(source), tmp_path / 'run', source)
    with pytest.raises(ValueError, match='already holds an evaluation'):
        make_order(load_plan(source), tmp_path / 'run', source)


@pytest.mark.parametrize(('changes', 'words'), [
    ({'repetitons': 2}, "unknown key 'repetitons'"),
    ({'repetitions': 0}, "'repetitions' must be positive, got 0"),
    ({'error': 2.0}, "'error' must lie between 0 and 1, got 2.0"),
    ({'policies': {'one': {'checkpoint': '/x'}}, 'error': 0.05}, 'comparison of two policies'),
    ({'policies': {}}, "'policies' must be a mapping with entries"),
    ({'tasks': {'t': {'instruction': 'x', 'time_limit': 'long', 'success': 's',
                      'initial_states': {'a': {}}}}}, "'tasks.t.time_limit' must be a plain num"),
    ({'tasks': {'t': {'instruction': 'from the simulator', 'time_limit': 1.0, 'success': 's',
                      'initial_states': {'a': {}}}}}, "'tasks.t.initial_states.a.seed' is miss"),
])
def test_a_malformed_plan_is_refused_by_name(tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        load_plan(write(tmp_path, **changes))


RESULT = TrialResult(True, 1.0, 3.5)


def test_a_trial_that_a_crash_interrupted_runs_again_and_stays_on_record(tmp_path):
    journal = TrialJournal(tmp_path)
    journal.start(1, 10)
    journal.end(1, RESULT, 20)
    journal.start(2, 30)
    journal = TrialJournal(tmp_path)  # a new process after a crash
    assert journal.results == {1: RESULT}
    journal.start(2, 40)
    journal.end(2, RESULT, 50)
    assert TrialJournal(tmp_path).results == {1: RESULT, 2: RESULT}
    assert TrialJournal(tmp_path).voided == {2: ['interrupted']}


def test_half_a_last_line_is_dropped_as_if_it_had_not_been_written(tmp_path):
    journal = TrialJournal(tmp_path)
    journal.start(1, 10)
    whole = (tmp_path / 'journal.jsonl').read_text()
    (tmp_path / 'journal.jsonl').write_text(whole + '{"event": "end", "tri')
    journal = TrialJournal(tmp_path)
    journal.end(1, RESULT, 20)
    assert TrialJournal(tmp_path).results == {1: RESULT}


def test_a_changed_line_is_noticed(tmp_path):
    journal = TrialJournal(tmp_path)
    journal.start(1, 10)
    journal.end(1, TrialResult(False, 0.0, 3.5), 20)
    journal.start(2, 30)
    path = tmp_path / 'journal.jsonl'
    path.write_text(path.read_text().replace('"success": false', '"success": true'))
    with pytest.raises(ValueError, match='line 3 does not follow'):
        TrialJournal(tmp_path)


def test_a_voided_trial_needs_a_reason_and_a_result_a_running_trial(tmp_path):
    journal = TrialJournal(tmp_path)
    with pytest.raises(ValueError, match='trial 1 does not run'):
        journal.end(1, RESULT, 20)
    journal.start(1, 10)
    with pytest.raises(ValueError, match='expected a reason'):
        journal.void(1, ' ', 20)
    journal.void(1, 'cube fell off the table', 20)
    assert journal.results == {}
    assert json.loads((tmp_path / 'journal.jsonl').read_text().splitlines()[-1])['reason']


def test_the_shipped_example_is_a_plan():
    plan = load_plan(config_path('config/eval/example.yaml'))
    assert list(plan.policies) == ['today', 'before']
