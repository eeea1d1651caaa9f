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
Removes the shared memory that killed nodes leave behind in /dev/shm.

Fast DDS does so itself when a node ends in order. Only files that appeared since the runner
started are candidates, and only those that no live process has open, mapped or locked.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
import re

_SHARED_MEMORY = Path('/dev/shm')
_OF_FAST_DDS = re.compile(r'(sem\.)?fast(dds|rtps|_datasharing)_\w+')


class SharedMemoryJanitor:
    """Remembers which files of Fast DDS exist now; ``clean`` removes dead ones that came later."""

    def __init__(self, folder: Path = _SHARED_MEMORY) -> None:
        self._folder = folder
        self._before = self._files()

    def clean(self) -> list[str]:
        """Remove what nobody uses any more; returns the names."""
        candidates = {name for name, _ in self._files() - self._before}
        used = _files_in_use(self._folder) if candidates else set()
        locked = {name for name in candidates if _is_locked(self._folder / name)}
        removed = []
        for name in sorted(candidates - used - locked):
            # A segment and its lock file (_el) live and die together.
            partners = {f'{name}_el', name.removesuffix('_el')}
            if not partners & (used | locked):
                (self._folder / name).unlink(missing_ok=True)
                removed.append(name)
        return removed

    def _files(self) -> set[tuple[str, int]]:
        """Return names and inodes: a file that was made anew under its old name is new."""
        try:
            return {(entry.name, entry.inode()) for entry in os.scandir(self._folder)
                    if _OF_FAST_DDS.fullmatch(entry.name)}
        except OSError:
            return set()


def _files_in_use(folder: Path) -> set[str]:
    """Return the names in ``folder`` that a live process has mapped or open."""
    prefix = f'{folder}/'
    used: set[str] = set()
    for process in Path('/proc').glob('[0-9]*'):
        try:
            for line in (process / 'maps').read_text().splitlines():
                if prefix in line:
                    used.add(line.split(prefix, 1)[1].removesuffix(' (deleted)'))
            for descriptor in (process / 'fd').iterdir():
                target = os.readlink(descriptor)
                if target.startswith(prefix):
                    used.add(target.removeprefix(prefix).removesuffix(' (deleted)'))
        except OSError:
            continue  # ended meanwhile, or not ours to look at: its files are not ours either
    return used


def _is_locked(path: Path) -> bool:
    """Tell whether another process, maybe in another container, holds a lock on the file."""
    try:
        with path.open('rb') as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except FileNotFoundError:
        return False
    except OSError:
        return True
