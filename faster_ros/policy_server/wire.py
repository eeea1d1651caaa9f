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
Messages of openpi's websocket protocol: msgpack maps with numpy arrays in them, and no pickle.

An array is a map of four entries with bytes as keys: ``__ndarray__`` (true), ``data``, ``dtype``
(as numpy writes it, ``<f8``) and ``shape``; a numpy scalar is one of ``__npgeneric__``, ``data``
and ``dtype``. Only booleans, integers and floats travel. Any other type, object first of all, is
a ValueError that names the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
import re
from typing import Any

import msgpack
import numpy as np

_DTYPE = re.compile(r'[<>|=]?(b1|[iu][1248]|f[248])')
_TYPES = 'expected booleans, integers or floats of 1 to 8 bytes'


def pack(message: Mapping[str, Any]) -> bytes:
    """Return the frame of a message; an entry that may not travel is a ValueError."""
    return bytes(msgpack.packb(_plain(message, '')))


def unpack(frame: bytes) -> dict[str, Any]:
    """Return the message of a frame, its arrays writable; anything else is a ValueError."""
    try:
        message = msgpack.unpackb(frame)
    except Exception as error:  # msgpack raises several kinds, some without a text
        raise ValueError(f'expected a msgpack map, got {len(frame)} bytes that are none: '
                         f'{error or type(error).__name__}') from None
    restored = _restored(message, '')
    if not isinstance(restored, dict):
        raise ValueError(f'expected a msgpack map, got {describe(restored)}')
    return restored


def describe(value: Any) -> str:
    """Return in words what came, short whatever its size."""
    if isinstance(value, np.ndarray):
        return f'an array of shape {value.shape} and type {value.dtype}'
    if isinstance(value, Mapping):
        return f"a map of {', '.join(str(key) for key in value) or 'nothing'}"
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'


def _plain(value: Any, place: str) -> Any:
    """Return a value with arrays as maps; ``place`` is its key, below that of the map above."""
    if isinstance(value, np.ndarray):
        _check_dtype(value.dtype.str, place)
        return {b'__ndarray__': True, b'data': value.tobytes(), b'dtype': value.dtype.str,
                b'shape': value.shape}
    if isinstance(value, np.generic):
        _check_dtype(value.dtype.str, place)
        return {b'__npgeneric__': True, b'data': value.item(), b'dtype': value.dtype.str}
    if isinstance(value, Mapping):
        return {key: _plain(item, _below(place, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, _below(place, number)) for number, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    raise ValueError(f"entry '{place}' is {describe(value)}; expected an array, a number, a text, "
                     'a list or a map')


def _restored(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_restored(item, _below(place, number)) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if b'__ndarray__' in value:
        return _array(value, place)
    if b'__npgeneric__' in value:
        _check_dtype(value.get(b'dtype'), place)
        return value.get(b'data')
    return {key: _restored(item, _below(place, key)) for key, item in value.items()}


def _array(value: dict[Any, Any], place: str) -> Any:
    dtype = np.dtype(_check_dtype(value.get(b'dtype'), place))
    shape, data = value.get(b'shape'), value.get(b'data')
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"entry '{place}': expected the shape as a list of sizes, got {shape!r}")
    wanted = math.prod(shape) * dtype.itemsize
    if not isinstance(data, bytes) or len(data) != wanted:
        came = f'{len(data)}' if isinstance(data, bytes) else describe(data)
        raise ValueError(f"entry '{place}': shape {tuple(shape)} of {dtype} takes {wanted} bytes, "
                         f'got {came}')
    return np.frombuffer(data, dtype).reshape(shape).copy()


def _check_dtype(dtype: Any, place: str) -> str:
    """Return the name of a type that may travel, or raise a ValueError."""
    text = dtype.decode(errors='replace') if isinstance(dtype, bytes) else dtype
    if not isinstance(text, str) or not _DTYPE.fullmatch(text):
        name = 'object' if isinstance(text, str) and text.lstrip('<>|=') == 'O' else repr(text)
        raise ValueError(f"entry '{place}' has type {name}; {_TYPES}")
    return text


def _below(place: str, key: Any) -> str:
    name = key.decode(errors='replace') if isinstance(key, bytes) else str(key)
    return f'{place} > {name}' if place else name
