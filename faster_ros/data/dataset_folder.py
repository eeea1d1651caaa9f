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
The folder of a data set that is recorded into: who may, what is in it, what a crash left there.

``.recording`` holds the running episode, ``.saving`` one whose save has begun to count, and
``interrupted`` those that never came so far, or about which nobody decided.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
import shutil
from typing import Any

from faster_ros.data.dataset_spec import DatasetSpec
from faster_ros.data.durable import roll_forward
from faster_ros.data.feature_statistics import Statistics
from faster_ros.data.lerobot_format import CHUNK, INFO, info_json, STATS
import numpy as np

RECORDING, SAVING, LOCK, RAW = '.recording', '.saving', '.lock', 'raw'
INTERRUPTED, FACTS = 'interrupted', 'facts.json'


def recover(folder: Path) -> list[str]:
    """Finish an interrupted save, set an interrupted episode aside, and say so."""
    notes = []
    if (folder / SAVING).is_dir():
        roll_forward(folder / SAVING)
        notes.append('finished a save that was interrupted')
    if (folder / RECORDING).is_dir():
        notes.append(f'an interrupted episode is set aside in {set_aside(folder)}')
    return notes


def set_aside(folder: Path) -> Path:
    """Move the episode that was recorded to a folder of its own."""
    place = next_aside(folder)
    (folder / RECORDING).rename(place)
    return place


def next_aside(folder: Path) -> Path:
    """Return a folder, not made yet, for an episode that is no part of the data set."""
    aside = folder / INTERRUPTED
    aside.mkdir(exist_ok=True)
    used = [int(path.name) for path in aside.iterdir() if path.name.isdigit()]
    return aside / f'{max(used, default=-1) + 1:03d}'


def free_bytes(folder: Path) -> int:
    """Return what is left on the disk; a drive that was pulled out has no room."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def locked(folder: Path) -> Any:
    """Return the open lock file of a data set, which the kernel lets go when we die."""
    file = (folder / LOCK).open('w')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ValueError(f'{folder}: somebody else records into this data set') from None
    return file


def counts(folder: Path, spec: DatasetSpec) -> tuple[int, int]:
    """Return the episodes and rows of a data set, whose features must be those of ``spec``."""
    path = folder / INFO
    if not path.is_file():
        return 0, 0
    info, ours = json.loads(path.read_text()), json.loads(info_json(spec, 0, 0, 0))
    for key in ('codebase_version', 'fps', 'robot_type', 'features'):
        if info.get(key) != ours[key]:
            raise ValueError(f'{path}: expected {key} {ours[key]!r} to record into it, got '
                             f'{info.get(key)!r}; record into another folder and merge')
    return int(info['total_episodes']), int(info['total_frames'])


def read_statistics(folder: Path) -> dict[str, Statistics]:
    """Return meta/stats.json, or nothing where there is none."""
    path = folder / STATS
    if not path.is_file():
        return {}
    return {feature: {name: np.asarray(values) for name, values in found.items()}
            for feature, found in json.loads(path.read_text()).items()}


def bag_place(number: int) -> str:
    """Return the place of an episode's raw bag in the data set."""
    return f'{RAW}/episode_{number:06d}'


def link_or_copy(source: str, target: str) -> None:
    """Give a file that never changes a second name, or on another disk a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def next_file(folder: Path) -> int:
    """Return a file number that no kind of file uses."""
    used = [int(path.parent.name.removeprefix('chunk-')) * CHUNK
            + int(path.stem.removeprefix('file-'))
            for kind in ('data', 'videos', 'meta/episodes')
            for path in (folder / kind).glob('**/file-*')]
    return max(used, default=-1) + 1
