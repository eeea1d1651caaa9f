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
"""Blinded, recorded trials in the simulator, through the real nodes, killed and resumed."""

import json
import os
import signal

from faster_ros.bringup import default_checkpoint
from faster_ros.data.dataset_validation import problems
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.evaluation.trial_journal import TrialJournal
from faster_ros.evaluation.trial_recordings import read_recordings
import pytest
from ros_process import own_domain, Process, ROOT, wait_until
import yaml

PAIRS = 2
TRIALS = 2 * PAIRS


@pytest.fixture
def plan(tmp_path):
    told = yaml.safe_load((ROOT / 'config' / 'eval' / 'sim_ab.yaml').read_text())
    task = told['tasks']['pick']
    task['initial_states'] = dict(list(task['initial_states'].items())[:PAIRS])
    task['time_limit'] = 4.0
    told['policies'] = {'shipped': {'checkpoint': default_checkpoint()},
                        'blind': {'checkpoint': default_checkpoint(), 'parameters': {
                            # The arm follows nothing: no chunk starts near enough.
                            'control_node.engage_distance': 0.001}}}
    path = tmp_path / 'plan.yaml'
    path.write_text(yaml.safe_dump(told, sort_keys=False))
    return path


def start(plan, out, domain, log):
    return Process(['-m', 'faster_ros.cli.main', 'eval', 'run', str(plan), '--out', str(out),
                    '--simulated', '--unattended'], domain, log)


@pytest.mark.slow
def test_an_unattended_comparison_that_is_killed_goes_on_and_repeats_no_trial(plan, tmp_path):
    out, domain = tmp_path / 'run', own_domain()
    first = start(plan, out, domain, tmp_path / 'first.txt')
    wait_until(lambda: (out / 'journal.jsonl').exists() and len(TrialJournal(out).results) == 1,
               30, lambda: first.output)
    wait_until(lambda: 'start' in (out / 'journal.jsonl').read_text().splitlines()[-1], 30,
               lambda: first.output)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = TrialJournal(out).results
    second = start(plan, out, domain, tmp_path / 'second.txt')
    second.wait_for('report.html', 60)
    assert second.wait() == 0, second.output
    after = TrialJournal(out)
    assert sorted(after.results) == list(range(1, TRIALS + 1))
    assert {number: after.results[number] for number in before} == before
    events = [json.loads(line) for line in (out / 'journal.jsonl').read_text().splitlines()]
    ends = [event['trial'] for event in events if event['event'] == 'end']
    assert len(ends) == len(set(ends)) == TRIALS
    assert all(reasons == ['interrupted'] for reasons in after.voided.values())
    figures = json.loads((out / 'results.json').read_text())
    assert figures['over']
    assert figures['policies']['blind']['trials'] == PAIRS
    assert figures['policies']['blind']['interval_95_exact'][0] >= 0.0
    assert 'mcnemar' in figures['verdict']
    check_recordings(out, after)


def check_recordings(out, journal):
    """No attempt is without a recording, none has two, and each says how it ended."""
    dataset = LeRobotDataset(out / 'recordings')
    assert list(problems(dataset)) == []
    keys = [(int(entry.facts.facts['trial']), int(entry.facts.facts['attempt']))
            for entry in dataset.episodes]
    assert len(keys) == len(set(keys))
    recordings, page = read_recordings(out), (out / 'report.html').read_text()
    for attempt in journal.attempts:
        found = recordings.get((attempt.trial, attempt.number))
        assert found is not None or attempt.recording, attempt
        if attempt.result is not None and not attempt.recording:
            facts = dataset.episodes[found.episode].facts
            assert facts.outcome == ('success' if attempt.result.success else 'failure')
            assert facts.facts['policy'] in ('shipped', 'blind')
            assert all((out / path).is_file() and path in page for path in found.videos.values())
    killed = [recordings[attempt.trial, attempt.number] for attempt in journal.attempts
              if attempt.voided]
    assert all(found.episode is not None or (out / found.files / 'facts.json').exists()
               for found in killed)


@pytest.mark.slow
def test_nothing_that_is_printed_tells_the_policy_before_the_end(plan, tmp_path):
    out = tmp_path / 'run'
    process = start(plan, out, own_domain(), tmp_path / 'out.txt')
    process.wait_for('1/4', 60)
    process.stop()
    assert 'shipped' not in process.output and 'blind' not in process.output
    assert not os.path.exists(out / 'trials.csv')
    for entry in LeRobotDataset(out / 'recordings').episodes:
        told = {**entry.facts.facts, 'robot_file': ''}
        assert 'shipped' not in str(told) and 'policy' not in told and 'checkpoint' not in told
