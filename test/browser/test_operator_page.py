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
"""The operator's page in a real browser: overlay, keyboard, and no entry lost on reload."""

import os
from pathlib import Path
import time

from conftest import BROWSER
import cv2
from faster_ros.evaluation.operator_server import OperatorServer
from faster_ros.evaluation.trial_journal import TrialJournal
from faster_ros.evaluation.trial_plan import load_plan, make_order
from faster_ros.evaluation.trial_session import TrialSession
import numpy as np
from playwright.sync_api import expect, sync_playwright
import pytest
import yaml

SHOTS = os.environ.get('FASTER_ROS_SHOTS')
LIVE, REFERENCE = (200, 40, 40), (40, 40, 200)

pytestmark = pytest.mark.browser


def picture(colour, left):
    """Return a PNG of a table with a cube."""
    image = np.full((480, 640, 3), (150, 160, 165), np.uint8)
    cv2.rectangle(image, (left, 220), (left + 80, 300), colour[::-1], -1)
    return cv2.imencode('.png', image)[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'scene.png').write_bytes(picture(REFERENCE, 360))
    plan = {'plan': 'today against before', 'robot': 'fr3',
            'tasks': {'pick': {
                'instruction': 'pick up the red cube', 'time_limit': 20.0,
                'success': 'the red cube is lifted by 8 cm and held',
                'scores': {'touched': 0.3, 'lifted and dropped': 0.6},
                'failures': ['missed', 'dropped'],
                'initial_states': {'right': {'description': 'red cube 20 cm to the right',
                                             'image': 'scene.png'}}}},
            'policies': {'today': {'checkpoint': '/today'}, 'before': {'checkpoint': '/before'}}}
    source = tmp_path / 'plan_in.yaml'
    source.write_text(yaml.safe_dump(plan))
    make_order(load_plan(source), tmp_path / 'run', source)
    return tmp_path / 'run'


@pytest.fixture
def session(folder):
    return TrialSession(folder)


@pytest.fixture
def server(session, folder):
    def show(which):
        return picture(LIVE, 300) if which == 'live' else (
            next((folder / 'references').iterdir()).read_bytes())

    server = OperatorServer(0, lambda: session.view(time.time_ns()),
                            lambda body: session.act(body, time.time_ns()), show)
    yield server
    server.stop()


@pytest.fixture(scope='module')
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, server):
    page = chromium.new_page(viewport={'width': 1200, 'height': 720})
    page.set_default_timeout(60_000)
    problems = []
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.goto(server.url)
    expect(page.locator('#plan')).to_have_text('today against before')
    yield page
    page.close()
    assert problems == []


def shoot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f'{name}.png'))


def run_trial(session, page):
    """Start by keyboard and let the arm stop at the time limit."""
    session.ready, session.message = True, 'ready'
    expect(page.locator('#start')).to_be_enabled()
    page.keyboard.press('Enter')
    wait(lambda: session.start_wanted)
    session.begin(time.time_ns())
    expect(page.locator('#running')).to_be_visible()


def wait(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def colour_at(page, x, y):
    """Return the RGB that the screen shows at a place of the pictures, in shares of their size."""
    box = page.locator('#pictures').bounding_box()
    shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    return shot[int(box['y'] + y * box['height']), int(box['x'] + x * box['width']), ::-1]


def test_the_reference_lies_over_the_live_picture_and_fades_with_the_slider(page):
    expect(page.locator('#live')).to_be_visible()
    expect(page.locator('#reference')).to_be_visible()
    shoot(page, 'setup')
    # Only the live cube is at 0.5, only the reference's at 0.65 of the width.
    assert colour_at(page, 0.5, 0.54)[0] > colour_at(page, 0.5, 0.54)[2] + 30
    assert colour_at(page, 0.65, 0.54)[2] > colour_at(page, 0.65, 0.54)[0] + 30
    page.locator('#opacity').fill('0')
    assert abs(int(colour_at(page, 0.65, 0.54)[2]) - 150) < 12
    page.locator('#opacity').fill('100')
    assert abs(int(colour_at(page, 0.65, 0.54)[2]) - 200) < 12
    page.keyboard.press('o')
    assert colour_at(page, 0.2, 0.2).max() < 12  # the difference of equal pictures is black
    shoot(page, 'difference')


def test_a_trial_is_started_stopped_and_judged_by_keyboard(page, session, folder):
    number = session.trial.number
    run_trial(session, page)
    page.keyboard.press('i')
    expect(page.locator('#interventions')).to_have_text('1')
    shoot(page, 'running')
    page.keyboard.press('Space')
    wait(lambda: session.stop_wanted)
    session.finish(4.2, 'stopped by the operator', 0, time.time_ns())
    expect(page.locator('#judging')).to_be_visible()
    page.keyboard.press('f')
    page.keyboard.press('2')
    page.keyboard.press('n')
    page.keyboard.type('slipped at 5 cm')
    shoot(page, 'judging')
    page.keyboard.press('Enter')
    wait(lambda: number in TrialJournal(folder).results)
    result = TrialJournal(folder).results[number]
    assert (result.success, result.failure, result.note) == (False, 'dropped', 'slipped at 5 cm')
    assert (result.interventions, result.seconds) == (1, 4.2)
    assert result.ended == 'stopped by the operator'
    expect(page.locator('#count')).to_have_text('1 of 2 trials done')


def test_what_was_entered_is_there_after_a_reload_and_after_a_crash(page, session, folder):
    number = session.trial.number
    run_trial(session, page)
    session.finish(20.0, 'time limit', 0, time.time_ns())
    expect(page.locator('#judging')).to_be_visible()
    page.keyboard.press('f')
    page.keyboard.press('1')
    page.get_by_role('button', name='touched').click()
    page.locator('#note').fill('a centimetre short')
    wait(lambda: session.view(0)['draft'].get('note') == 'a centimetre short')
    page.reload()
    expect(page.locator('#note')).to_have_value('a centimetre short')
    expect(page.locator('#lost')).to_have_attribute('aria-pressed', 'true')
    shoot(page, 'reloaded')
    after_a_crash = TrialSession(folder)
    assert after_a_crash.trial.number == number
    assert after_a_crash.view(0)['draft']['failure'] == 'missed'
    page.keyboard.press('Enter')
    wait(lambda: number in TrialJournal(folder).results)
    assert TrialJournal(folder).results[number].score == 0.3


def test_a_recorder_in_trouble_is_named_before_the_arm_is_started(page, session):
    session.recording = ('ready', True)
    expect(page.locator('#recording')).to_have_text('recording: ready')
    session.ready, session.message = True, 'ready'
    session.recording = ('stopped: 0.9 GB are left on the disk', False)
    expect(page.locator('#recording')).to_have_class('trouble')
    expect(page.locator('#recording')).to_contain_text('0.9 GB are left')
    shoot(page, 'trouble')


def test_a_judgement_without_an_outcome_is_refused_in_words(page, session, folder):
    run_trial(session, page)
    session.finish(20.0, 'time limit', 0, time.time_ns())
    expect(page.locator('#judging')).to_be_visible()
    page.keyboard.press('Enter')
    expect(page.locator('#error')).to_contain_text('expected success or failure')
    assert TrialJournal(folder).results == {}


def test_a_voided_attempt_runs_again_and_its_reason_is_on_record(page, session, folder):
    number = session.trial.number
    run_trial(session, page)
    page.keyboard.press('v')
    page.keyboard.type('the cube was knocked over')
    page.get_by_role('button', name='void this attempt').click()
    expect(page.locator('#where')).to_contain_text('attempt 2')
    assert TrialJournal(folder).voided == {number: ['the cube was knocked over']}
    assert session.trial.number == number
    shoot(page, 'voided')
