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
A suite of LIBERO, trial by trial, in several processes; it goes on where it was interrupted.

Every trial is a line of ``journal.jsonl``, on disk before the next one begins. ``settings.json``
says what ran; a folder takes no trials of another checkpoint or other settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import asdict, dataclass
import fcntl
import json
from multiprocessing import get_context
import os
from pathlib import Path
from typing import Any

from faster_ros.data.durable import write_durably
from faster_ros.data.provenance import folder_hash, git_hash
from faster_ros.evaluation.statistics import success_rate
from faster_ros.evaluation.trial_record import versions
from faster_ros.libero.libero_task import instructions, LiberoTask, STEPS
from faster_ros.policy.checkpoint import load_policy
from faster_ros.policy.compatibility import check_compatible, read_config
from faster_ros.policy.embodiment import LIBERO
import torch

INITIAL_STATES = 50  # of each task, all of which are used: the protocol of the paper
_JOURNAL = 'journal.jsonl'


@dataclass(frozen=True)
class Settings:
    """
    What is run.

    ``execute``: rows of a chunk before the policy is asked again; ``steps``: of a trial at most, 0
    takes the suite's; ``pixels``: height and width of the images.
    """

    checkpoint: str
    suite: str
    tasks: tuple[int, ...] = ()
    initial_states: int = INITIAL_STATES
    execute: int = 8
    steps: int = 0
    pixels: int = 128
    device: str = 'auto'

    @property
    def limit(self) -> int:
        """Return the most steps of a trial."""
        return self.steps or STEPS[self.suite]


def run_suite(settings: Settings, out: Path, workers: int) -> dict[str, Any]:
    """Run the trials that are left, write results.json and return what is in it."""
    check_compatible(read_config(Path(settings.checkpoint)), LIBERO)
    count = len(instructions(settings.suite))
    tasks = settings.tasks or tuple(range(count))
    wrong = [task for task in tasks if not 0 <= task < count]
    if wrong or not 1 <= settings.initial_states <= INITIAL_STATES:
        raise ValueError(f'{settings.suite} has tasks 0 to {count - 1} with {INITIAL_STATES} '
                         f'initial states; got tasks {list(tasks)}, {settings.initial_states} '
                         'states')
    identity = _begin(settings, out)
    done = {(line['task'], line['initial_state']) for line in read_journal(out)}
    left = {task: [state for state in range(settings.initial_states) if (task, state) not in done]
            for task in tasks}
    jobs = [(task, part) for task, states in left.items()
            for part in _parts(states, max(1, workers // len(tasks)))]
    _run(settings, out, jobs, workers)
    return _results(settings, out, tasks, identity)


def _begin(settings: Settings, out: Path) -> dict[str, Any]:
    """Return what identifies the run; a folder of another one is a ValueError."""
    identity = {**asdict(settings), 'tasks': list(settings.tasks),
                'checkpoint_sha256': folder_hash(Path(settings.checkpoint))}
    for name in ('device', 'checkpoint', 'tasks', 'initial_states'):  # more may be run later
        identity.pop(name)
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'settings.json'
    if path.exists() and (found := json.loads(path.read_text())) != identity:
        other = [name for name in identity if found.get(name) != identity[name]]
        raise ValueError(f"{out} holds trials with another {', '.join(other)}; choose another "
                         'folder')
    write_durably(path, json.dumps(identity, indent=1).encode())
    return identity


def _parts(states: list[int], count: int) -> list[list[int]]:
    """Deal out states; none is no part."""
    return [part for start in range(count) if (part := states[start::count])]


def _run(settings: Settings, out: Path, jobs: Sequence[tuple[int, list[int]]],
         workers: int) -> None:
    if workers <= 1 or len(jobs) <= 1:
        for task, states in jobs:
            _run_task(settings, out, task, states)
        return
    # Started anew and not forked: a renderer does not survive a fork.
    with ProcessPoolExecutor(workers, get_context('spawn')) as pool:
        for finished in as_completed(pool.submit(_run_task, settings, out, *job) for job in jobs):
            finished.result()


def _run_task(settings: Settings, out: Path, task: int, states: Sequence[int]) -> None:
    """Run trials of one task; the work of one process."""
    torch.set_num_threads(1)
    policy = load_policy(settings.checkpoint, LIBERO, settings.device)
    simulation = LiberoTask(settings.suite, task, settings.pixels)
    try:
        for state in states:
            trial = simulation.run(policy, state, settings.execute, settings.limit)
            _append(out / _JOURNAL, {'task': task, 'instruction': simulation.instruction,
                                     'initial_state': state, **asdict(trial)})
            print(f'task {task}, initial state {state}: '
                  f"{'success' if trial.success else 'no success'} after {trial.steps} steps, "
                  f'{trial.inferences} inferences', flush=True)
    finally:
        simulation.close()


def _append(path: Path, line: dict[str, Any]) -> None:
    """Put a line on disk; what a kill left of another one is ended first."""
    with path.open('ab+') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b'\n':
                file.write(b'\n')
        file.write(json.dumps(line).encode() + b'\n')
        file.flush()
        os.fsync(file.fileno())


def read_journal(out: Path) -> list[dict[str, Any]]:
    """Return the trials that are done; a line that a kill cut off is none."""
    path, found = out / _JOURNAL, []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _results(settings: Settings, out: Path, tasks: Sequence[int],
             identity: dict[str, Any]) -> dict[str, Any]:
    trials = [line for line in read_journal(out) if line['task'] in tasks
              and line['initial_state'] < settings.initial_states]
    rows = [_figures([line for line in trials if line['task'] == task],
                     {'task': task}) for task in tasks]
    results = {**identity, 'checkpoint': settings.checkpoint, 'git': git_hash(),
               'versions': versions(), 'tasks': rows, 'total': _figures(trials, {})}
    write_durably(out / 'results.json', json.dumps(results, indent=1).encode())
    return results


def _figures(trials: Sequence[dict[str, Any]], named: dict[str, Any]) -> dict[str, Any]:
    """Return successes with Wilson's interval."""
    rate = success_rate(sum(line['success'] for line in trials), len(trials))
    text = {'instruction': trials[0]['instruction']} if named and trials else {}
    return {**named, **text, 'trials': rate.trials, 'successes': rate.successes,
            'interval_95_wilson': [rate.low, rate.high]}


def table(results: dict[str, Any]) -> str:
    """Return the results as they are printed."""
    lines = ['| task | success | 95 % interval |\n|---|---|---|']
    for row in (*results['tasks'], {**results['total'], 'instruction': 'all'}):
        low, high = row['interval_95_wilson']
        lines.append(f"| {row.get('instruction', row.get('task'))} | {row['successes']} of "
                     f"{row['trials']} | {low:.0%} to {high:.0%} |")
    return '\n'.join(lines)
