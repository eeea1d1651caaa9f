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
Strict reading of plain data, such as a YAML file, into frozen dataclasses.

An unknown key, a missing key or a wrong type is a ValueError that names the source, the key, what
was expected and what came.
"""

from __future__ import annotations

from dataclasses import Field, fields, is_dataclass, MISSING
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints, TypeVar

import yaml

T = TypeVar('T')
_NAMES = {int: 'a whole number', str: 'a text', bool: 'true or false',
          float: 'a plain number in SI units (rad, m, s, Hz)'}


def read_layered(path: Path, arm_keys: tuple[str, ...], depth: int = 0) -> Any:
    """
    Return the mapping of a file, laid over that of the file it is ``based_on``.

    An entry of its ``arms`` may be based on a file too, of which it takes the ``arm_keys`` only.
    """
    data = read_yaml(path, 'robot file')
    if not isinstance(data, dict):
        return data
    if depth > 3:
        raise ValueError(f"robot file {path}: 'based_on' goes through too many files; at most 3")
    if isinstance(data.get('arms'), dict):
        for name, arm in data['arms'].items():
            if isinstance(arm, dict) and 'based_on' in arm:
                base = read_layered(path.parent / str(arm.pop('based_on')), (), depth + 1)
                data['arms'][name] = _laid_over(
                    {key: base[key] for key in arm_keys if key in base}, arm)
    if 'based_on' not in data:
        return data
    base = read_layered(path.parent / str(data.pop('based_on')), arm_keys, depth + 1)
    return _laid_over(base, data)


def read_yaml(path: Path, kind: str) -> Any:
    """Return what a file holds; ``kind`` says in an error what it should be."""
    try:
        return yaml.safe_load(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise ValueError(f'{kind} {path} does not exist') from None
    except yaml.YAMLError as error:
        raise ValueError(f'{kind} {path} is not valid YAML: {error}') from error


def _laid_over(base: Any, data: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(data, dict):
        return data
    return base | {key: _laid_over(base.get(key), value) for key, value in data.items()}


def build(cls: type[T], data: Any, source: str, prefix: str = '', **given: Any) -> T:
    """
    Return a dataclass made of a mapping; nested dataclasses, dict, tuple and None are known.

    ``given`` are fields that are not in it. An empty text or mapping stands for a default.
    """
    check_keys((cls,), data, source, prefix, tuple(given))
    hints = get_type_hints(cls)
    values = {field.name: _value(hints[field.name], data[field.name], source,
                                 f'{prefix}{field.name}')
              for field in fields(cls)  # type: ignore[arg-type]
              if field.name in data and not _is_left_empty(field, data[field.name])}
    return cls(**values, **given)


def check_keys(classes: tuple[Any, ...], data: Any, source: str, prefix: str = '',
               given: tuple[str, ...] = ()) -> None:
    """Refuse a mapping with keys that no class has, or without those that one needs."""
    if not isinstance(data, dict):
        raise ValueError(f"{source}: '{prefix.rstrip('.') or 'file'}' must be a mapping, "
                         f'got {data!r}')
    known = [field for cls in classes for field in fields(cls) if field.name not in given]
    names = [field.name for field in known]
    for key in data:
        if key not in names:
            raise ValueError(f"{source}: unknown key '{prefix}{key}'; expected "
                             f"{', '.join(names)}")
    for field in known:
        if field.name not in data and _is_required(field):
            raise ValueError(f"{source}: key '{prefix}{field.name}' is missing")


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _is_left_empty(field: Field[Any], value: Any) -> bool:
    return value in ({}, '') and not _is_required(field)


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
    right = isinstance(value, wanted) and (kind is bool or not isinstance(value, bool))
    if not right or value == '':
        raise ValueError(f"{source}: '{key}' must be {_NAMES[kind]}, got {value!r}")
    if kind is float and not isfinite(value):
        raise ValueError(f"{source}: '{key}' must be finite, got {value!r}")
    return float(value) if kind is float else value
