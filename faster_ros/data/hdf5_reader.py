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
HDF5 demonstrations of ALOHA, robomimic and LIBERO, as rows with images.

An ALOHA file is one episode: ``/action``, ``/observations/qpos`` and, in
``/observations/images/<camera>``, pixels or JPEGs padded with zeros. A robomimic file holds many:
``/data/demo_<n>`` with ``actions`` and ``obs``; so does one of LIBERO, with columns of its own
(``libero_columns.py``) and the task in words. None keeps stamps or a rate: the rate is the
reader's to give.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
import json
from pathlib import Path
import re
from typing import Any

from faster_ros.data.foreign_episode import foreign_episode, ForeignEpisode
from faster_ros.data.libero_columns import CAMERAS, COLUMNS, state_of
import numpy as np

_SIGNATURE = b'\x89HDF\r\n\x1a\n'
_LIBERO_STATES = ('ee_pos', 'ee_ori', 'gripper_states')
_STATES = ('robot0_joint_pos', 'robot0_gripper_qpos')  # of robomimic, where there is no qpos


def is_hdf5(path: Path) -> bool:
    """Say whether a path is an HDF5 file."""
    if not path.is_file():
        return False
    with path.open('rb') as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


@contextmanager
def open_hdf5(path: Path) -> Iterator[list[ForeignEpisode]]:
    """Open a file; its episodes can be read while it is open."""
    try:
        import h5py
    except ImportError as error:
        raise ValueError('reading HDF5 needs h5py: pip install "faster_ros[hdf5]"') from error
    try:
        file = h5py.File(path, 'r')
    except OSError as error:
        raise ValueError(f'{path}: expected an HDF5 file, {error}') from error
    with file:
        if 'data' in file:
            names = sorted(file['data'], key=lambda name: [
                int(text) if text.isdigit() else text for text in re.split(r'(\d+)', name)])
            task = _task(file['data'].attrs.get('problem_info', '{}'))
            yield [_robomimic(path, name, file['data'][name], task) for name in names]
        elif 'action' in file and 'observations/qpos' in file:
            images = dict(file['observations/images']) if 'observations/images' in file else {}
            yield [foreign_episode(path, path.stem, file['action'],
                                   file['observations/qpos'], images)]
        else:
            raise ValueError(f'{path}: expected action and observations/qpos (ALOHA) or data '
                             f"(robomimic), got {', '.join(file) or 'nothing'}")


def _task(problem_info: str) -> str:
    """Return the instruction in an attribute of LIBERO's files."""
    told = json.loads(problem_info).get('language_instruction', '')
    return (''.join(told) if isinstance(told, list) else str(told)).strip('"')


def _robomimic(path: Path, name: str, demo: Any, task: str) -> ForeignEpisode:
    observed = demo['obs'] if 'obs' in demo else {}
    if 'actions' in demo and all(key in observed for key in _LIBERO_STATES):
        images = {camera: observed[f'{camera}_rgb'] for camera in CAMERAS}
        state = state_of(*(observed[key][()].astype(float) for key in _LIBERO_STATES))
        return replace(foreign_episode(path, name, demo['actions'], state, images, task),
                       columns=COLUMNS, turned=True)
    states = [observed[key][()] for key in _STATES if key in observed]
    if 'actions' not in demo or not states:
        raise ValueError(f"{path}: {name} needs actions and obs/{' or obs/'.join(_STATES)}, got "
                         f"{', '.join(demo)} and of obs {', '.join(observed) or 'nothing'}")
    images = {key.removesuffix('_image'): values for key, values in observed.items()
              if key.endswith('_image')}
    return foreign_episode(path, name, demo['actions'], np.concatenate(states, 1), images)
