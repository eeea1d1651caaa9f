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
The code, robot file and checkpoints that an evaluation tests: the same from first to last trial.

They are noted before the first trial, in ``tested.json``; a robot file or a checkpoint that is
another one later stops the evaluation, as its trials would be of two policies under one name.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from faster_ros.data.durable import write_durably
from faster_ros.data.provenance import folder_hash, git_hash
from faster_ros.evaluation.trial_plan import TrialPlan
from faster_ros.robot_spec import load_robot_spec
import yaml

_NOTE = 'tested.json'


def note_tested(folder: Path, plan: TrialPlan) -> None:
    """Note what is tested, or compare it with the note; a ValueError names what has changed."""
    now, before = _present(plan), _noted(folder)
    for name, value in (before or {}).items():
        if name != 'git' and now[name] != value:
            raise ValueError(
                f'{name} is not what the trials before were run with: expected '
                f'{value[:12]}..., got {now[name][:12]}...; restore it, or plan a new evaluation')
    commits = before['git'] if before else []
    write_durably(folder / _NOTE, json.dumps(
        now | {'git': [*commits, *({now['git']} - set(commits))]}, indent=1).encode())


def tested(folder: Path, plan: TrialPlan) -> dict[str, Any]:
    """
    Return the noted sha256 of robot file and checkpoints and the commits of the code.

    Before the first trial: what they are now.
    """
    noted = _noted(folder)
    return _present(plan) if noted is None else noted | {'git': ', '.join(noted['git'])}


def _noted(folder: Path) -> dict[str, Any] | None:
    path = folder / _NOTE
    if not path.exists():
        return None
    note: dict[str, Any] = json.loads(path.read_text())
    return note


def _present(plan: TrialPlan) -> dict[str, str]:
    robot = yaml.safe_dump(load_robot_spec(plan.robot).to_dict(), sort_keys=False)
    return {'robot_sha256': hashlib.sha256(robot.encode()).hexdigest(), 'git': git_hash()} | {
        f'checkpoint {name}': folder_hash(policy.folder) if policy.folder.is_dir()
        else 'is not on this machine' for name, policy in plan.policies.items()}
