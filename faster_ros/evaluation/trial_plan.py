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
TrialPlan: what is evaluated, fixed before the first trial; and its random, blinded order.

Every initial state is met by every policy, one after the other, in random order: outcomes are
paired and the states balanced. The operator sees trial numbers only; which policy runs is in a key
file, whose hash is in the order, as the plan's is: an edit after the fact shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import hashlib
import json
from math import ceil
from pathlib import Path
import secrets
import shutil
from typing import Any
from urllib.parse import quote

from faster_ros.evaluation.statistics import trials_for_interval
from faster_ros.strict_yaml import build, read_yaml
import numpy as np

FROM_SIMULATOR = 'from the simulator'
PICTURES = ('.jpg', '.jpeg', '.png')


@dataclass(frozen=True)
class InitialState:
    """
    How a scene is set up before a trial.

    ``description``: for the operator. ``image``: picture to lay over the live camera. ``seed``:
    the layout in the simulator; None on a real arm.
    """

    description: str = ''
    image: str = ''
    seed: int | None = None


@dataclass(frozen=True)
class TaskPlan:
    """One task: instruction, scenes, time limit in s, rubric (text -> score in [0, 1])."""

    instruction: str
    time_limit: float
    success: str
    initial_states: dict[str, InitialState]
    scores: dict[str, float] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    camera: str = 'front'


@dataclass(frozen=True)
class PolicyUnderTest:
    """
    A checkpoint and the parameters of nodes (``control_node.blend``) that it runs with.

    ``checkpoint``: a folder, or the name of one that comes with the package.
    """

    checkpoint: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Return the folder of the checkpoint."""
        shipped = Path(__file__).resolve().parents[1] / 'checkpoints' / self.checkpoint
        here = Path(self.checkpoint).expanduser()
        return shipped if shipped.is_dir() and not here.is_dir() else here.absolute()


@dataclass(frozen=True)
class TrialPlan:
    """
    A whole evaluation.

    ``repetitions``: how often each policy meets each initial state. ``interval``: how wide the
    95 % interval of a success rate may be, in [0, 1]; there are more repetitions where that takes
    them. ``error``: of the sequential test between two policies, which ends the evaluation early;
    None runs every trial.
    """

    plan: str
    robot: str
    tasks: dict[str, TaskPlan]
    policies: dict[str, PolicyUnderTest]
    repetitions: int = 1
    interval: float | None = None
    error: float | None = None

    @property
    def rounds(self) -> int:
        """Return how often each policy meets each initial state."""
        if self.interval is None:
            return self.repetitions
        scenes = sum(len(task.initial_states) for task in self.tasks.values())
        return max(self.repetitions, ceil(trials_for_interval(self.interval) / scenes))


@dataclass(frozen=True)
class PlannedTrial:
    """One trial as the operator may see it; ``number`` counts from 1."""

    number: int
    task: str
    initial_state: str
    repetition: int


@dataclass(frozen=True)
class TrialOrder:
    """The blinded order and the hashes that seal it."""

    plan_sha256: str
    key_sha256: str
    trials: tuple[PlannedTrial, ...]


def load_plan(path: Path) -> TrialPlan:
    """Read and check a plan; a ValueError names the file, the key and what was expected."""
    plan = build(TrialPlan, read_yaml(path, 'plan file'), str(path))
    _check(plan, str(path))
    return plan


def _check(plan: TrialPlan, source: str) -> None:
    if plan.repetitions < 1:
        raise ValueError(f"{source}: 'repetitions' must be positive, got {plan.repetitions}")
    if plan.interval is not None and not 0 < plan.interval < 1:
        raise ValueError(f"{source}: 'interval' must lie between 0 and 1, got {plan.interval}")
    if plan.error is not None and not 0 < plan.error < 1:
        raise ValueError(f"{source}: 'error' must lie between 0 and 1, got {plan.error}")
    if plan.error is not None and len(plan.policies) != 2:
        raise ValueError(f"{source}: 'error' stops a comparison of two policies, got "
                         f'{len(plan.policies)}')
    for name, task in plan.tasks.items():
        _check_task(task, f"{source}: 'tasks.{name}")


def _check_task(task: TaskPlan, where: str) -> None:
    if task.time_limit <= 0:
        raise ValueError(f"{where}.time_limit' must be positive, got {task.time_limit}")
    for text, score in task.scores.items():
        if not 0 <= score <= 1:
            raise ValueError(f"{where}.scores.{text}' must lie in [0, 1], got {score}")
    for state, scene in task.initial_states.items():
        if scene.seed is None and task.instruction == FROM_SIMULATOR:
            raise ValueError(f"{where}.initial_states.{state}.seed' is missing; the instruction "
                             f"is '{FROM_SIMULATOR}'")


def make_order(plan: TrialPlan, folder: Path, source: Path) -> TrialOrder:
    """Write plan.yaml, key.json and order.json into a new folder; return the order."""
    if (folder / 'order.json').exists():
        raise ValueError(f'{folder} already holds an evaluation; choose another folder')
    folder.mkdir(parents=True, exist_ok=True)
    _copy_references(plan, folder, source.parent)
    text = source.read_bytes()
    (folder / 'plan.yaml').write_bytes(text)
    seed = secrets.randbits(64)
    trials, policies = _shuffled(plan, np.random.default_rng(seed))
    key = json.dumps({'seed': seed, 'policies': policies}, indent=1).encode()
    (folder / 'key.json').write_bytes(key)
    order = TrialOrder(hashlib.sha256(text).hexdigest(), hashlib.sha256(key).hexdigest(), trials)
    (folder / 'order.json').write_text(json.dumps({
        'plan_sha256': order.plan_sha256, 'key_sha256': order.key_sha256,
        'trials': [vars(trial) for trial in trials]}, indent=1) + '\n')
    return order


def _copy_references(plan: TrialPlan, folder: Path, beside: Path) -> None:
    for task, content in plan.tasks.items():
        for state, scene in content.initial_states.items():
            if not scene.image:
                continue
            picture = beside / scene.image
            if picture.suffix.lower() not in PICTURES:
                raise ValueError(f'picture {picture} of {task}, {state}: expected a file that '
                                 f'ends in {", ".join(PICTURES)}')
            if not picture.is_file():
                raise ValueError(f'picture {picture} of {task}, {state} does not exist')
            target = reference_stem(folder, task, state).with_suffix(picture.suffix.lower())
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(picture, target)


def reference_stem(folder: Path, task: str, state: str) -> Path:
    """Return where the picture of an initial state is kept, without the ending of the file."""
    name = quote(f'{task} {state}', safe=' ').replace('.', '%2E')
    return folder / 'references' / name


def reference_picture(folder: Path, trial: PlannedTrial) -> Path | None:
    """Return the picture of the scene that a trial starts from, if there is one."""
    stem = reference_stem(folder, trial.task, trial.initial_state)
    return next((path for path in (stem.with_suffix(end) for end in PICTURES)
                 if path.is_file()), None)


def _shuffled(plan: TrialPlan,
              rng: np.random.Generator) -> tuple[tuple[PlannedTrial, ...], list[str]]:
    """Return the trials and the policy of each."""
    scenes = [(task, state, repetition) for repetition in range(1, plan.rounds + 1)
              for task, content in plan.tasks.items() for state in content.initial_states]
    names = list(plan.policies)
    trials: list[PlannedTrial] = []
    policies: list[str] = []
    for place in rng.permutation(len(scenes)):
        for policy in rng.permutation(len(names)):
            trials.append(PlannedTrial(len(trials) + 1, *scenes[place]))
            policies.append(names[policy])
    return tuple(trials), policies


def read_order(folder: Path) -> TrialOrder:
    """Read an order and check that plan and key are those it was made with."""
    order = build(TrialOrder, _json(folder / 'order.json'), str(folder / 'order.json'))
    for name, sealed in (('plan.yaml', order.plan_sha256), ('key.json', order.key_sha256)):
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if found != sealed:
            raise ValueError(f'{folder / name} was edited after the order was made: expected '
                             f'sha256 {sealed[:12]}..., got {found[:12]}...')
    return order


def read_key(folder: Path) -> list[str]:
    """Return the policy of each trial, in the order of the trials. Unblinds."""
    return [str(name) for name in _json(folder / 'key.json')['policies']]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f'{path} does not exist; faster_ros eval plan makes it') from None
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is damaged: {error}') from error
