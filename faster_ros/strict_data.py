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
Plain data of a file into frozen dataclasses, strictly.

An unknown key, a missing key or a wrong type is a ValueError that names the source, the key, what
was expected and what came.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, MISSING
from math import isfinite
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints, TypeVar

T = TypeVar('T')
_NAMES = {int: 'a whole number', str: 'a text', bool: 'true or false',
          float: 'a plain number in SI units'}


def build(cls: type[T], data: Any, source: str, prefix: str = '') -> T:
    """Return a dataclass made of a mapping; nested dataclasses, dict, tuple and None are known."""
    if not isinstance(data, dict):
        raise ValueError(f"{source}: '{prefix.rstrip('.') or 'file'}' must be a mapping, "
                         f'got {data!r}')
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise ValueError(f"{source}: unknown key '{prefix}{key}'; expected "
                             f"{', '.join(known)}")
    for name, field in known.items():
        if name not in data and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{source}: key '{prefix}{name}' is missing")
    hints = get_type_hints(cls)
    return cls(**{name: _value(hints[name], data[name], source, f'{prefix}{name}')
                  for name in known if name in data})


def _value(kind: Any, value: Any, source: str, key: str) -> Any:
    origin = get_origin(kind)
    if origin is dict:
        return _mapping(get_args(kind)[1], value, source, key)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{source}: '{key}' must be a list, got {value!r}")
        return tuple(_value(get_args(kind)[0], item, source, f'{key}[{place}]')
                     for place, item in enumerate(value))
    if origin is UnionType:  # X | None
        return None if value is None else _value(get_args(kind)[0], value, source, key)
    if is_dataclass(kind):
        return build(kind, value, source, f'{key}.')  # type: ignore[arg-type]
    return value if kind is Any else _plain(kind, value, source, key)


def _mapping(kind: Any, value: Any, source: str, key: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{source}: '{key}' must be a mapping with entries, got {value!r}")
    return {str(name): _value(kind, item, source, f'{key}.{name}') for name, item in value.items()}


def _plain(kind: Any, value: Any, source: str, key: str) -> Any:
    wanted = (int, float) if kind is float else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool) \
            or value == '':
        raise ValueError(f"{source}: '{key}' must be {_NAMES[kind]}, got {value!r}")
    if kind is float and not isfinite(value):
        raise ValueError(f"{source}: '{key}' must be finite, got {value!r}")
    return float(value) if kind is float else value
