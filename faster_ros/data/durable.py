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
Changes to a folder that a kill or a power cut leaves undone or done, never half done.

A ``Commit`` is prepared in a working folder, file by file. ``seal`` puts everything on disk and
renames the folder: from there on it counts, and ``roll_forward`` moves its files into place, in
order, as often as it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
from pathlib import Path
import shutil

_MOVES = 'moves.json'


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file at once, and put it on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.new')
    with temporary.open('wb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


def seal(working: Path, sealed: Path, moves: Sequence[tuple[str, str]]) -> None:
    """
    Make the prepared files of ``working`` count; it is then called ``sealed``.

    ``moves``: names in ``working``, files or folders, and where they go, relative to the parent
    of ``sealed``, in the order in which they shall appear.
    """
    for name, _ in moves:
        path = working / name
        for file in ([path] if path.is_file() else sorted(path.rglob('*'))):
            sync(file)
        sync(path)
    write_durably(working / _MOVES, json.dumps(list(moves)).encode())
    sync(working)
    working.rename(sealed)


def roll_forward(sealed: Path) -> None:
    """Move what ``sealed`` still holds into place, and remove it; after an error, try again."""
    root, moves = sealed.parent, sealed / _MOVES
    sync(root)
    # The list goes only when all is in place: without it, only the removal was interrupted.
    for name, target in json.loads(moves.read_text()) if moves.exists() else ():
        source, place = sealed / name, root / target
        if source.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            source.replace(place)
            for folder in list(place.parents)[:len(Path(target).parts)]:
                sync(folder)
    shutil.rmtree(sealed)
    sync(root)
