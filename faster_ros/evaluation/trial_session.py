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
TrialSession: where an evaluation stands, and what its operator may do next.

    setup --begin--> running --finish--> judging --judge--> the next trial's setup
                        |                   |
                        +------- void ------+--> the same trial's setup

evaluation_node moves it on; the page and the terminal read ``view`` and call ``act``. A judgement
is in the journal before ``act`` returns, and what is typed before it is on disk too.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path
from threading import RLock
from typing import Any

from faster_ros.evaluation.plan_report import is_over
from faster_ros.evaluation.trial_journal import TrialJournal, TrialResult, TrialRun
from faster_ros.evaluation.trial_plan import (
    load_plan,
    PlannedTrial,
    read_order,
    reference_picture,
    TaskPlan,
)

SETUP, RUNNING, JUDGING, OVER = 'setup', 'running', 'judging', 'over'
OTHER = 'other'  # a failure that the plan has no name for
_DRAFT = 'draft.json'


class TrialSession:
    """
    One evaluation folder in work; any thread may call.

    ``ready``: the arm may be started. ``message``: for the operator. ``start_wanted`` and
    ``stop_wanted``: what the operator asked for; evaluation_node acts on it. ``recording``: how
    the recorder does, and whether that is well.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder that ``faster_ros eval plan`` made."""
        self._folder = folder
        self.order = read_order(folder)
        self.plan = load_plan(folder / 'plan.yaml')
        self._journal = TrialJournal(folder)
        self._lock = RLock()
        self.phase = SETUP
        self.trial: PlannedTrial | None = None
        self.ready = False
        self.message = ''
        self.start_wanted = self.stop_wanted = False
        self.recording = ('', True)
        self._started_ns = 0
        self._interventions = 0
        self._run: TrialRun | None = None
        self._draft: dict[str, Any] = {}
        self.advance()

    @property
    def task(self) -> TaskPlan:
        """Return the task of the trial."""
        assert self.trial is not None
        return self.plan.tasks[self.trial.task]

    @property
    def attempt(self) -> int:
        """Return which attempt of the trial runs, waits or comes next; counted from 1."""
        with self._lock:
            started = sum(attempt.trial == self.trial.number
                          for attempt in self._journal.attempts) if self.trial else 0
            return started + (self.phase == SETUP)

    def facts(self) -> dict[str, str]:
        """Return what a recording of the next attempt has to say; nothing of the policy."""
        assert self.trial is not None
        return {'evaluation': self.order.plan_sha256, 'trial': str(self.trial.number),
                'attempt': str(self.attempt), 'task_name': self.trial.task,
                'initial_state': self.trial.initial_state,
                'repetition': str(self.trial.repetition)}

    def recording_problem(self, problem: str, now_ns: int) -> None:
        """Write what went wrong with the recording of the attempt that just ran."""
        with self._lock:
            self._journal.recording_problem(problem, now_ns)

    def advance(self) -> None:
        """Go to the trial that waits for a judgement, else to the next one, else to the end."""
        with self._lock:
            self.ready = self.start_wanted = self.stop_wanted = False
            self._interventions = 0
            waiting, results = self._journal.unjudged, self._journal.results
            if waiting is not None:
                self.trial, self._run = self.order.trials[waiting[0] - 1], waiting[1]
                self.phase = JUDGING
                self._draft = self._read_draft()
                return
            left = [trial for trial in self.order.trials if trial.number not in results]
            over = not left or is_over(self._folder)
            self.trial, self.phase = (None, OVER) if over else (left[0], SETUP)
            self._draft, self._run = {}, None

    def begin(self, now_ns: int) -> None:
        """Write that the arm is about to move."""
        with self._lock:
            assert self.trial is not None
            self._journal.start(self.trial.number, now_ns)
            self.phase, self._started_ns, self.message = RUNNING, now_ns, ''
            self.start_wanted = self.stop_wanted = False

    def finish(self, seconds: float, ended: str, faults: int, now_ns: int) -> None:
        """Write that the arm has stopped, and why; unless the operator voided the trial."""
        with self._lock:
            if self.phase != RUNNING or self.trial is None:
                return
            self._run = TrialRun(round(seconds, 3), ended, self._interventions, faults)
            self._journal.ran(self.trial.number, self._run, now_ns)
            self.phase, self._draft = JUDGING, {}

    def judge(self, success: bool, score: float, failure: str, note: str, now_ns: int) -> None:
        """Write the result of the trial that ran and go on."""
        with self._lock:
            if self.phase != JUDGING or self.trial is None or self._run is None:
                raise ValueError('no trial waits for a judgement')
            run = self._run
            self._journal.end(self.trial.number, TrialResult(
                success, score, run.seconds, failure, note, run.interventions, run.faults,
                run.ended), now_ns)
            self.message = f'trial {self.trial.number} is on record'
            self.advance()

    def void(self, reason: str, now_ns: int) -> None:
        """Write that the attempt does not count; the same trial runs again."""
        with self._lock:
            if self.phase not in (RUNNING, JUDGING) or self.trial is None:
                raise ValueError('no trial runs or waits for a judgement')
            self._journal.void(self.trial.number, reason, now_ns)
            self.message = f'trial {self.trial.number} runs again: {reason}'
            self.advance()

    def act(self, body: Mapping[str, Any], now_ns: int) -> None:
        """Do what the operator asks for; a ValueError says why it cannot be done now."""
        actions = {'start': self._start, 'stop': self._stop, 'intervention': self._intervene,
                   'draft': self._keep_draft, 'judge': self._judge_as_told,
                   'void': self._void}
        action = actions.get(str(body.get('action')))
        if action is None:
            raise ValueError(f"expected an action of {', '.join(actions)}, got "
                             f"{body.get('action')!r}")
        with self._lock:
            number = self.trial.number if self.trial else None
            if body.get('trial') != number:  # an entry of a page that was left open
                raise ValueError(f"this is for trial {body.get('trial')}; trial {number} is on")
            action(body, now_ns)

    def _start(self, _: Mapping[str, Any], __: int) -> None:
        if self.phase != SETUP or not self.ready:
            raise ValueError('the trial cannot start: ' + (self.message or self.phase))
        self.start_wanted = True

    def _stop(self, _: Mapping[str, Any], __: int) -> None:
        self.stop_wanted = True

    def _void(self, body: Mapping[str, Any], now_ns: int) -> None:
        self.void(str(body.get('reason', '')), now_ns)

    def _intervene(self, _: Mapping[str, Any], __: int) -> None:
        if self.phase != RUNNING:
            raise ValueError('interventions are counted while the trial runs')
        self._interventions += 1

    def _keep_draft(self, body: Mapping[str, Any], _: int) -> None:
        if self.phase != JUDGING:
            raise ValueError('no trial waits for a judgement')
        entry = body.get('entry')
        self._draft = dict(entry) if isinstance(entry, dict) else {}
        path = self._folder / _DRAFT
        text = json.dumps({'trial': body['trial'], 'attempt': self.attempt,
                           'entry': self._draft})
        path.with_suffix('.new').write_text(text)
        os.replace(path.with_suffix('.new'), path)

    def _read_draft(self) -> dict[str, Any]:
        assert self.trial is not None
        try:
            kept = json.loads((self._folder / _DRAFT).read_text())
        except (OSError, json.JSONDecodeError):
            return {}
        of = kept.get('trial'), kept.get('attempt')
        return kept['entry'] if of == (self.trial.number, self.attempt) else {}

    def _judge_as_told(self, body: Mapping[str, Any], now_ns: int) -> None:
        if self.phase != JUDGING:
            raise ValueError('no trial waits for a judgement')
        self.judge(*checked_judgement(self.task, body), now_ns)

    def view(self, now_ns: int) -> dict[str, Any]:
        """Return what an operator may see: everything but the policy."""
        with self._lock:
            seen: dict[str, Any] = {
                'plan': self.plan.plan, 'robot': self.plan.robot, 'phase': self.phase,
                'planned': len(self.order.trials), 'done': len(self._journal.results),
                'message': self.message, 'ready': self.ready, 'starting': self.start_wanted,
                'trial': None,
                'recording': {'text': self.recording[0], 'well': self.recording[1]}}
            if self.trial is None:
                return seen
            task = self.task
            scene = task.initial_states[self.trial.initial_state]
            return seen | {
                'trial': self.trial.number, 'task': self.trial.task,
                'initial_state': self.trial.initial_state, 'description': scene.description,
                'repetition': self.trial.repetition, 'attempt': self.attempt,
                'instruction': task.instruction, 'success': task.success,
                'time_limit': task.time_limit, 'scores': task.scores,
                'failures': [*task.failures, OTHER], 'camera': task.camera,
                'reference': reference_picture(self._folder, self.trial) is not None,
                'seconds': (now_ns - self._started_ns) / 1e9 if self.phase == RUNNING else None,
                'interventions': self._interventions,
                'run': vars(self._run) if self._run else None, 'draft': self._draft}


def checked_judgement(task: TaskPlan, body: Mapping[str, Any]) -> tuple[bool, float, str, str]:
    """Return success, score, failure and note as an operator told them, or raise ValueError."""
    success, failure = body.get('success'), str(body.get('failure') or '')
    if not isinstance(success, bool):
        raise ValueError('expected success or failure, got neither')
    if success and failure:
        raise ValueError(f"a success has no kind of failure, got '{failure}'")
    if not success and failure not in (*task.failures, OTHER):
        raise ValueError(f"expected a failure of {', '.join((*task.failures, OTHER))}, got "
                         f"'{failure}'")
    score = body.get('score')
    score = float(success) if score is None else score
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError(f'expected a score in [0, 1], got {score!r}')
    return success, float(score), failure, str(body.get('note') or '')
