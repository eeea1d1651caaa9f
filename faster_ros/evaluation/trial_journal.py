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
lost, changed or inserted line shows. A trial without an end is run again; its first attempt stays.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import hashlib
import json
import os
from pathlib import Path
from typing import Any

START, END, VOID = 'start', 'end', 'void'


@dataclass(frozen=True)
class TrialResult:
    """
    How a trial ended.

    ``score`` in [0, 1] by the rubric; ``failure`` is one of the plan's names or empty;
    ``interventions`` and ``faults`` are counts; ``seconds`` is the time it took.
    """

    success: bool
    score: float
    seconds: float
    failure: str = ''
    note: str = ''
    interventions: int = 0
    faults: int = 0


class TrialJournal:
    """The journal of one folder; opening it checks every line that is there."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / 'journal.jsonl'
        self._events = self._read()

    @property
    def results(self) -> dict[int, TrialResult]:
        """Return the results of the trials that ended, by trial number."""
        return {event['trial']: TrialResult(**event['result']) for event in self._events
                if event['event'] == END}

    @property
    def voided(self) -> dict[int, list[str]]:
        """Return the reasons of attempts that do not count, by trial number."""
        reasons: dict[int, list[str]] = {}
        for event in self._events:
            if event['event'] == VOID:
                reasons.setdefault(event['trial'], []).append(event['reason'])
        return reasons

    def start(self, trial: int, stamp_ns: int) -> None:
        """Write that a trial starts; an attempt that never ended is voided as interrupted."""
        if self._running == trial:
            self.void(trial, 'interrupted', stamp_ns)
        self._append({'event': START, 'trial': trial, 'stamp_ns': stamp_ns})

    def end(self, trial: int, result: TrialResult, stamp_ns: int) -> None:
        """Write the result of the running trial."""
        self._check_running(trial)
        self._append({'event': END, 'trial': trial, 'stamp_ns': stamp_ns,
                      'result': asdict(result)})

    def void(self, trial: int, reason: str, stamp_ns: int) -> None:
        """Write that the running attempt does not count, and why."""
        self._check_running(trial)
        if not reason.strip():
            raise ValueError(f'expected a reason for voiding trial {trial}, got an empty text')
        self._append({'event': VOID, 'trial': trial, 'stamp_ns': stamp_ns, 'reason': reason})

    @property
    def _running(self) -> int | None:
        last = self._events[-1] if self._events else {'event': ''}
        return int(last['trial']) if last['event'] == START else None

    def _check_running(self, trial: int) -> None:
        if self._running != trial:
            raise ValueError(f'trial {trial} does not run; running: {self._running}')

    def _append(self, event: dict[str, Any]) -> None:
        event['previous'] = _digest(self._events[-1]) if self._events else ''
        with self._path.open('a') as file:
            file.write(json.dumps(event) + '\n')
            file.flush()
            os.fsync(file.fileno())
        self._events.append(event)

    def _read(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        text = self._path.read_text()
        if text and not text.endswith('\n'):  # the line that a power cut interrupted
            text = text[:text.rfind('\n') + 1]
            os.truncate(self._path, len(text.encode()))
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
