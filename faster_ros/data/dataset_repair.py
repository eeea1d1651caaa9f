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
What a crash left in a data set, cleared up in place; nothing is deleted.

Interrupted episodes and files that belong to no episode go to the folder ``interrupted``; the raw
bags there get their end, so that they can be read and converted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from faster_ros.data.dataset_folder import INTERRUPTED, locked, RECORDING, recover, SAVING
from faster_ros.data.dataset_validation import strays
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.data.lerobot_reader import is_lerobot
from faster_ros.data.raw_bag import salvage


def repair(folder: Path) -> Iterator[str]:
    """
    Clear up a data set into which nobody records; say what was done.

    Where the first episode was interrupted there is no data set yet, only what is set aside.
    """
    if not is_lerobot(folder) and not any(
            (folder / left).is_dir() for left in (RECORDING, SAVING, INTERRUPTED)):
        raise ValueError(f'{folder}: expected a data set (meta/info.json) or what a crash left of '
                         'one (.recording, .saving or interrupted), got neither')
    lock = locked(folder)
    try:
        yield from recover(folder)
        for path in sorted(strays(LeRobotDataset(folder)) if is_lerobot(folder) else ()):
            target = folder / INTERRUPTED / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            yield f'{path.relative_to(folder)} belongs to no episode and is set aside'
        for path in sorted((folder / INTERRUPTED).glob('**/*.mcap')):
            try:
                cut = salvage(path)
            except ValueError as error:  # killed before anything of it was on the disk
                yield str(error)
                continue
            if cut:
                yield f'{path.relative_to(folder)} got its end; {cut} bytes of it were cut off'
    finally:
        lock.close()
