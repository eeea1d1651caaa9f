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
RLDS data sets (Open X-Embodiment, DROID, Bridge), without TensorFlow.

A TFRecord file is a row of records: length (8 bytes), its checksum (4), data, their checksum (4).
An episode is one record, a ``tf.train.Example``: a map of names to lists, in which all steps stand
one after the other, ``steps/action`` as N x D floats, an image as N encoded ones. Checksums are
not compared; a file that ends within a record is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faster_ros.data.foreign_episode import foreign_episode, ForeignEpisode
from faster_ros.interfaces import FloatArray
import numpy as np

_SUFFIX = '.tfrecord'
_OBSERVED = 'steps/observation/'
_STATES = (('state',), ('proprio',), ('joint_position', 'gripper_position'))
_IMAGES = (b'\xff\xd8', b'\x89PNG')  # how a JPEG and a PNG begin
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # wire types of protocol buffers


def rlds_files(path: Path) -> list[Path]:
    """Return the TFRecord files of a path or of a folder, in order; empty if it has none."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if _SUFFIX in file.name)
    return [path] if _SUFFIX in path.name else []


@contextmanager
def open_rlds(path: Path) -> Iterator[Iterable[ForeignEpisode]]:
    """Open a TFRecord file; its episodes are read one after the other while it is open."""
    with path.open('rb') as file:
        yield (_episode(path, f'record {number}', _features(record))
               for number, record in enumerate(_records(path, file)))


def _records(path: Path, file: Any) -> Iterator[memoryview]:
    while header := file.read(12):
        size = int.from_bytes(header[:8], 'little')
        record = file.read(size + 4)
        if len(header) < 12 or len(record) < size + 4:
            raise ValueError(f'{path}: ends within a record, or is no TFRecord file')
        yield memoryview(record)[:size]


def _episode(path: Path, name: str, features: dict[str, Any]) -> ForeignEpisode:
    observed = {key.removeprefix(_OBSERVED): values for key, values in features.items()
                if key.startswith(_OBSERVED)}
    found = [keys for keys in _STATES if all(key in observed for key in keys)]
    if 'steps/action' not in features or 'steps/is_first' not in features or not found:
        raise ValueError(f'{path}: {name} needs steps/is_first, steps/action and of {_OBSERVED} '
                         f"{' or '.join(' with '.join(keys) for keys in _STATES)}, got "
                         f"{', '.join(sorted(features)) or 'nothing'}")
    rows = len(features['steps/is_first'])
    images = {key: values for key, values in observed.items()
              if isinstance(values, list) and values and values[0].startswith(_IMAGES)}
    state = [_matrix(path, key, observed[key], rows) for key in found[0]]
    told = features.get('steps/language_instruction') or [b'']
    return foreign_episode(path, name, _matrix(path, 'action', features['steps/action'], rows),
                           np.concatenate(state, 1), images, told[0].decode().strip())


def _matrix(path: Path, name: str, values: Any, rows: int) -> FloatArray:
    if isinstance(values, list) or not rows or len(values) % rows:
        raise ValueError(f'{path}: {name} has {len(values)} values, expected as many numbers for '
                         f'each of {rows} steps')
    return np.asarray(values, float).reshape(rows, -1)


def _features(record: memoryview) -> dict[str, Any]:
    """Return the lists of an Example by name: bytes as a list, numbers as an array."""
    found: dict[str, Any] = {}
    for _, features in _fields(record):
        for _, entry in _fields(features):
            key, value = (content for _, content in sorted(_fields(entry), key=lambda x: x[0]))
            for kind, content in _fields(value):
                found[bytes(key).decode()] = _list(kind, content)
    return found


def _list(kind: int, content: memoryview) -> Any:
    values = [value for _, value in _fields(content)]
    if kind == 1:
        return [bytes(value) for value in values]
    if kind == 2:  # packed, or four bytes each
        return np.frombuffer(b''.join(values), '<f4')
    return np.array([number for value in values for number in (
        [value] if isinstance(value, int) else _varints(value))], np.int64)


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Return number and content of the fields of a protocol buffers message."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind)
        if kind == _BYTES:
            size, place = _varint(message, place)
        if size is None or place + size > len(message):
            raise ValueError(f'a record is no tf.train.Example: field of wire type {kind}')
        yield tag >> 3, message[place:place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = shift = 0
    while place < len(message):
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return (value - 2**64 if value >= 2**63 else value), place
    raise ValueError('a record is no tf.train.Example: a number does not end')


def _varints(packed: memoryview) -> Iterator[int]:
    place = 0
    while place < len(packed):
        value, place = _varint(packed, place)
        yield value
