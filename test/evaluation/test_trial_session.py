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
"""An evaluation goes from trial to trial, loses nothing in a crash and refuses what is wrong."""

import json
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from faster_ros.evaluation.operator_server import OperatorServer
from faster_ros.evaluation.trial_journal import TrialJournal
from faster_ros.evaluation.trial_plan import load_plan, make_order, reference_picture
from faster_ros.evaluation.trial_session import JUDGING, OVER, RUNNING, SETUP, TrialSession
from faster_ros.robot_spec import config_path
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

PLAN = {'plan': 'ab', 'robot': 'fr3',
        'tasks': {'pick': {'instruction': 'pick it up', 'time_limit': 9.0, 'success': 'up',
                           'initial_states': {'left': {'image': 'left.png'}, 'right': {}},
                           'scores': {'touched': 0.3}, 'failures': ['missed']}},
        'policies': {'good': {'checkpoint': '/good'}, 'bad': {'checkpoint': '/bad'}}}
FAILED = {'action': 'judge', 'success': False, 'failure': 'missed', 'score': 0.3, 'note': 'near'}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'left.png').write_bytes(b'\x89PNG')
    source = tmp_path / 'in.yaml'
    source.write_text(yaml.safe_dump(PLAN))
    make_order(load_plan(source), tmp_path / 'run', source)
    return tmp_path / 'run'


def run(session, seconds=3.0):
    session.ready = True
    session.act({'action': 'start', 'trial': session.trial.number}, 1)
    assert session.start_wanted
    session.begin(2)
    session.finish(seconds, 'time limit', 0, 3)


def judge(session, **changes):
    session.act({'trial': session.trial.number, **FAILED, **changes}, 4)


def test_it_walks_through_every_trial_and_is_over(folder):
    session = TrialSession(folder)
    for number in range(1, 5):
        assert (session.phase, session.trial.number) == (SETUP, number)
        run(session)
        assert session.phase == JUDGING
        judge(session)
    assert (session.phase, session.trial) == (OVER, None)
    assert sorted(TrialJournal(folder).results) == [1, 2, 3, 4]
    assert TrialSession(folder).phase == OVER


def test_a_trial_that_ran_is_judged_after_a_crash_and_does_not_run_again(folder):
    session = TrialSession(folder)
    run(session, 5.5)
    session.act({'action': 'draft', 'trial': 1, 'entry': {'note': 'slipp'}}, 3)
    after = TrialSession(folder)
    assert (after.phase, after.trial.number) == (JUDGING, 1)
    assert after.view(0)['draft'] == {'note': 'slipp'}
    judge(after)
    assert TrialJournal(folder).results[1].seconds == 5.5
    assert TrialJournal(folder).voided == {}
    assert after.view(0)['draft'] == {}


def test_what_was_typed_for_a_voided_attempt_is_not_offered_for_the_next_one(folder):
    session = TrialSession(folder)
    run(session)
    session.act({'action': 'draft', 'trial': 1, 'entry': {'note': 'somebody moved the cube'}}, 3)
    session.act({'action': 'void', 'trial': 1, 'reason': 'moved'}, 4)
    run(session)
    assert TrialSession(folder).view(0)['draft'] == {}


def test_a_start_that_is_refused_is_no_longer_on_its_way(folder):
    session = TrialSession(folder)
    session.ready = True
    session.act({'action': 'start', 'trial': 1}, 0)
    assert session.view(0)['starting']
    session.start_wanted = False  # as evaluation_node does where nothing would be recorded
    assert not session.view(0)['starting']


def test_a_trial_that_broke_off_while_the_arm_moved_runs_again(folder):
    session = TrialSession(folder)
    session.begin(1)
    after = TrialSession(folder)
    assert (after.phase, after.trial.number) == (SETUP, 1)
    run(after)
    judge(after)
    assert TrialJournal(folder).voided == {1: ['interrupted']}
    assert after.trial.number == 2


def test_a_trial_that_was_voided_while_it_ran_is_not_finished(folder):
    session = TrialSession(folder)
    session.begin(1)
    session.act({'action': 'void', 'trial': 1, 'reason': 'someone bumped the table'}, 2)
    assert session.phase == SETUP
    session.finish(3.0, 'stopped by the operator', 0, 3)
    assert (session.phase, session.attempt) == (SETUP, 2)


@pytest.mark.parametrize(('body', 'words'), [
    ({'action': 'judge', 'trial': 1}, 'no trial waits'),
    ({'action': 'start', 'trial': 1}, 'cannot start: the policy is loading'),
    ({'action': 'start', 'trial': 2}, 'this is for trial 2; trial 1 is on'),
    ({'action': 'explode', 'trial': 1}, 'expected an action of start, stop'),
    ({'action': 'void', 'trial': 1, 'reason': 'x'}, 'no trial runs'),
])
def test_what_does_not_fit_the_moment_is_refused(folder, body, words):
    session = TrialSession(folder)
    session.message = 'the policy is loading'
    with pytest.raises(ValueError, match=words):
        session.act(body, 0)
    assert not (folder / 'journal.jsonl').exists()


@pytest.mark.parametrize(('changes', 'words'), [
    ({'success': None}, 'expected success or failure'),
    ({'success': True}, "a success has no kind of failure, got 'missed'"),
    ({'failure': 'exploded'}, "expected a failure of missed, other, got 'exploded'"),
    ({'score': 1.5}, r'expected a score in \[0, 1\], got 1.5'),
    ({'score': float('nan')}, r'expected a score in \[0, 1\], got nan'),
])
def test_a_judgement_outside_the_rubric_is_refused_and_can_be_corrected(folder, changes, words):
    session = TrialSession(folder)
    run(session)
    with pytest.raises(ValueError, match=words):
        judge(session, **changes)
    judge(session)
    assert TrialJournal(folder).results[1].failure == 'missed'


def test_nothing_that_the_operator_sees_tells_the_policy(folder):
    session = TrialSession(folder)
    run(session)
    text = json.dumps(session.view(0))
    assert 'good' not in text and 'bad' not in text


def test_the_reference_picture_of_the_plan_is_kept_with_the_evaluation(folder):
    session = TrialSession(folder)
    by_state = {trial.initial_state: trial for trial in session.order.trials}
    assert reference_picture(folder, by_state['left']).read_bytes() == b'\x89PNG'
    assert reference_picture(folder, by_state['right']) is None


def test_a_missing_reference_picture_is_named(tmp_path):
    source = tmp_path / 'in.yaml'
    source.write_text(yaml.safe_dump(PLAN))
    with pytest.raises(ValueError, match=r'left.png of pick, left does not exist'):
        make_order(load_plan(source), tmp_path / 'run', source)


def test_the_plan_for_the_simulator_is_a_plan_of_thirty_pairs(tmp_path):
    source = config_path('config/eval/sim_ab.yaml')
    order = make_order(load_plan(source), tmp_path / 'run', source)
    assert len(order.trials) == 60
    policies = load_plan(source).policies
    assert policies['shipped'].folder.is_dir()
    made = 'out/train_demo_quick'
    assert policies['briefly trained'].checkpoint == f'{made}/checkpoint'
    assert f'{made}/report.html: ' in (ROOT / 'Makefile').read_text()


@pytest.fixture
def server(folder):
    session = TrialSession(folder)
    session.ready = True
    server = OperatorServer(0, lambda: session.view(0), lambda body: session.act(body, 0),
                            lambda which: b'jpeg' if which == 'live' else None)
    server.session = session
    yield server
    server.stop()


def post(server, body, **headers):
    request = Request(f'{server.url}act', json.dumps(body).encode(),
                      {'Content-Type': 'application/json', **headers})
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_the_page_is_served_and_starts_the_arm(server):
    with urlopen(server.url, timeout=60) as answer:
        assert b'start the arm' in answer.read()
    with urlopen(f'{server.url}live?1', timeout=60) as answer:
        assert answer.read() == b'jpeg'
    assert post(server, {'action': 'start', 'trial': 1})['phase'] == SETUP
    assert server.session.start_wanted
    server.session.begin(0)
    assert post(server, {'action': 'stop', 'trial': 1})['phase'] == RUNNING
    assert server.session.stop_wanted


@pytest.mark.parametrize(('headers', 'code'), [
    ({'Content-Type': 'text/plain'}, 400),  # what a form of a foreign page could send
    ({'Host': 'evil.example'}, 403),
])
def test_a_foreign_web_page_cannot_start_the_arm(server, headers, code):
    with pytest.raises(HTTPError) as refused:
        post(server, {'action': 'start', 'trial': 1}, **headers)
    assert refused.value.code == code
    assert not server.session.start_wanted


def test_a_refusal_reaches_the_page_in_words(server):
    with pytest.raises(HTTPError) as refused:
        post(server, {'action': 'start', 'trial': 7})
    assert refused.value.code == 409
    assert refused.value.read() == b'this is for trial 7; trial 1 is on'
