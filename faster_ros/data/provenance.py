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
"""What an episode should say about where it comes from: code, checkpoint, robot file."""

from __future__ import annotations

import hashlib
from pathlib import Path
import subprocess

import faster_ros
from faster_ros.robot_spec import RobotSpec
import yaml

_BLOCK = 2**20  # bytes that are read at a time: a checkpoint may be larger than the memory


def provenance(spec: RobotSpec, checkpoint: Path | None) -> dict[str, str]:
    """Return the facts of code, robot file and, if one drives, policy."""
    facts = {'faster_ros': faster_ros.__version__, 'git': git_hash(),
             'robot_file': yaml.safe_dump(spec.to_dict(), sort_keys=False)}
    if checkpoint is not None:
        facts |= {'checkpoint': str(checkpoint), 'checkpoint_sha256': folder_hash(checkpoint)}
    return facts


def git_hash() -> str:
    """Return the commit of the code with '+' where it was changed since; '' outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / '.git').exists():
        return ''
    commit = _git(root, 'rev-parse', 'HEAD')
    return commit + ('+' if commit and _git(root, 'status', '--porcelain') else '')


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(['git', '-C', str(root), *words], capture_output=True, text=True,
                              timeout=10.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return done.stdout.strip() if done.returncode == 0 else ''


def folder_hash(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all files in a folder."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob('*') if path.is_file()):
        total.update(f'{file.relative_to(folder)}\n'.encode())
        content = hashlib.sha256()
        with file.open('rb') as opened:
            while block := opened.read(_BLOCK):
                content.update(block)
        total.update(content.digest())
    return total.hexdigest()
