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
TrialJournal: what happened in an evaluation, one line per event, never rewritten.

Each line is on disk before the call returns and carries the hash of the line before it, so that a
lost, changed or inserted line shows. A trial that broke off while the arm moved is run again, its
first attempt stays; one that ran to its end and was not judged yet is judged later.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
import hashlib
import json
import os
from pathlib import Path
from typing import Any

START, RAN, END, VOID, RECORDING = 'start', 'ran', 'end', 'void', 'recording'


@dataclass(frozen=True)
class TrialRun:
    """What was measured: time in s, why the arm stopped, how often a person or a gate acted."""

    seconds: float
    ended: str
    interventions: int = 0
    faults: int = 0


@dataclass(frozen=True)
class TrialResult:
    """
    How a trial ended.

    ``score`` in [0, 1] by the rubric; ``failure`` is one of the plan's names or empty;
    ``interventions`` and ``faults`` are counts; ``seconds`` is the time it took; ``ended`` says
    why the arm stopped.
    """

    success: bool
    score: float
    seconds: float
    failure: str = ''
    note: str = ''
    interventions: int = 0
    faults: int = 0
    ended: str = ''


@dataclass(frozen=True)
class Attempt:
    """
    One start of a trial; ``number`` counts those of the trial from 1.

    ``result``: what it counts for; ``voided``: why it counts for nothing. Neither while it runs or
    waits for a judgement. ``recording``: what went wrong with its recording.
    """

    trial: int
    number: int
    result: TrialResult | None = None
    voided: str = ''
    recording: str = ''


class TrialJournal:
    """The journal of one folder; opening it checks every line that is there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / 'journal.jsonl'
        self._size = 0  # of the whole lines, in bytes
        self._events = self._read()

    @property
    def results(self) -> dict[int, TrialResult]:
        """Return the results of the trials that ended, by trial number."""
        return {attempt.trial: attempt.result for attempt in self.attempts
                if attempt.result is not None}

    @property
    def voided(self) -> dict[int, list[str]]:
        """Return the reasons of attempts that do not count, by trial number."""
        reasons: dict[int, list[str]] = {}
        for attempt in self.attempts:
            if attempt.voided:
                reasons.setdefault(attempt.trial, []).append(attempt.voided)
        return reasons

    @property
    def attempts(self) -> list[Attempt]:
        """Return every start of a trial, in order."""
        found: list[Attempt] = []
        started: Counter[int] = Counter()
        for event in self._events:
            if event['event'] == START:
                started[event['trial']] += 1
                found.append(Attempt(event['trial'], started[event['trial']]))
            elif event['event'] == END:
                found[-1] = replace(found[-1], result=TrialResult(**event['result']))
            elif event['event'] == VOID:
                found[-1] = replace(found[-1], voided=event['reason'])
            elif event['event'] == RECORDING:
                found[-1] = replace(found[-1], recording=event['problem'])
        return found

    def start(self, trial: int, stamp_ns: int) -> None:
        """Write that a trial starts; an attempt that never ended is voided as interrupted."""
        if trial in self.results:
            raise ValueError(f'trial {trial} has a result already')
        if self._open is not None:
            self.void(self._open, 'interrupted', stamp_ns)
        self._append({'event': START, 'trial': trial, 'stamp_ns': stamp_ns})

    @property
    def unjudged(self) -> tuple[int, TrialRun] | None:
        """Return the trial that ran and waits for its judgement, if one does."""
        last = self._last
        return (last['trial'], TrialRun(**last['run'])) if last['event'] == RAN else None

    def ran(self, trial: int, run: TrialRun, stamp_ns: int) -> None:
        """Write that the arm has stopped; the judgement may come later, also after a crash."""
        if self._last['event'] != START:
            raise ValueError(f'trial {trial} does not run; running: none')
        self._check_open(trial)
        self._append({'event': RAN, 'trial': trial, 'stamp_ns': stamp_ns, 'run': asdict(run)})

    def recording_problem(self, problem: str, stamp_ns: int) -> None:
        """Write what went wrong with the recording of the newest attempt, however it ended."""
        trial = self.attempts[-1].trial
        self._append({'event': RECORDING, 'trial': trial, 'stamp_ns': stamp_ns,
                      'problem': problem})

    def end(self, trial: int, result: TrialResult, stamp_ns: int) -> None:
        """Write the result of the open trial."""
        self._check_open(trial)
        self._append({'event': END, 'trial': trial, 'stamp_ns': stamp_ns,
                      'result': asdict(result)})

    def void(self, trial: int, reason: str, stamp_ns: int) -> None:
        """Write that the open attempt does not count, and why."""
        self._check_open(trial)
        if not reason.strip():
            raise ValueError(f'expected a reason for voiding trial {trial}, got an empty text')
        self._append({'event': VOID, 'trial': trial, 'stamp_ns': stamp_ns, 'reason': reason})

    @property
    def _last(self) -> dict[str, Any]:
        """Return the last event of a trial's course."""
        course = (event for event in reversed(self._events) if event['event'] != RECORDING)
        return next(course, {'event': ''})

    @property
    def _open(self) -> int | None:
        """Return the trial that has started and neither ended nor been voided."""
        return int(self._last['trial']) if self._last['event'] in (START, RAN) else None

    def _check_open(self, trial: int) -> None:
        if self._open != trial:
            raise ValueError(f'trial {trial} does not run; running: {self._open}')

    def _append(self, event: dict[str, Any]) -> None:
        event['previous'] = _digest(self._events[-1]) if self._events else ''
        line = json.dumps(event).encode() + b'\n'
        with self._path.open('ab') as file:
            file.truncate(self._size)  # what a power cut left of a line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._size += len(line)
        self._events.append(event)

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        data = self._path.read_bytes()
        self._size = data.rfind(b'\n') + 1
        text = data[:self._size].decode()
        events: list[dict[str, Any]] = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                event = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f'{self._path}: line {number} is damaged: {error}') from error
            if event.get('previous') != (_digest(events[-1]) if events else ''):
                raise ValueError(f'{self._path}: line {number} does not follow the line before '
                                 'it; a line was changed, added or removed')
            events.append(event)
        return events


def _digest(event: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(event).encode()).hexdigest()
