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
Strict reading of YAML files into dataclasses.

An unknown key, a missing key or a wrong type is a ValueError that names the file, the key, what
was expected and what came. Called by ``robot_spec.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields, MISSING
from pathlib import Path
from typing import Any

import numpy as np
import yaml


def read_layered(path: Path, arm_keys: tuple[str, ...], depth: int = 0) -> Any:
    """
    Return the mapping of a file, laid over that of the file it is ``based_on``.

    An entry of its ``arms`` may be based on a file too, of which it takes the ``arm_keys`` only.
    """
    data = _read(path)
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


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ValueError(f'robot file {path} does not exist') from None
    except yaml.YAMLError as error:
        raise ValueError(f'robot file {path} is not valid YAML: {error}') from error


def _laid_over(base: Any, data: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(data, dict):
        return data
    return base | {key: _laid_over(base.get(key), value) for key, value in data.items()}


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _is_left_empty(field: Field[Any], value: Any) -> bool:
    return value in ({}, '') and not _is_required(field)


class StrictReader:
    """Builds dataclasses of numbers, texts and each other; ``source`` names the file."""

    def __init__(self, source: str, nested: Mapping[str, Any]) -> None:
        """``nested``: the dataclasses that may be a field's type, by name."""
        self._source = source
        self._nested = nested

    def build(self, cls: Any, data: Any, prefix: str = '', **given: Any) -> Any:
        """Return ``cls`` of a mapping; ``given`` are fields that are not in it."""
        self.check_keys((cls,), data, prefix, tuple(given))
        values = {field.name: self._value(str(field.type), data[field.name],
                                          f'{prefix}{field.name}')
                  for field in fields(cls)
                  if field.name in data and not _is_left_empty(field, data[field.name])}
        return cls(**values, **given)

    def check_keys(self, classes: tuple[Any, ...], data: Any, prefix: str = '',
                   given: tuple[str, ...] = ()) -> None:
        """Refuse a mapping with keys that no class has, or without those that one needs."""
        if not isinstance(data, dict):
            raise ValueError(f"{self._source}: '{prefix or 'file'}' must be a mapping, got "
                             f'{data!r}')
        known = [field for cls in classes for field in fields(cls) if field.name not in given]
        names = [field.name for field in known]
        for key in data:
            if key not in names:
                raise ValueError(f"{self._source}: unknown key '{prefix}{key}'; expected "
                                 f"{', '.join(names)}")
        for field in known:
            if field.name not in data and _is_required(field):
                raise ValueError(f"{self._source}: key '{prefix}{field.name}' is missing")

    def _value(self, kind: str, value: Any, key: str) -> Any:
        kind = kind.removesuffix(' | None')
        if kind.startswith('dict['):
            inner = kind.removeprefix('dict[str, ').removesuffix(']')
            if not isinstance(value, dict) or not value:
                self._refuse(key, 'a mapping with entries', value)
            return {str(name): self._value(inner, item, f'{key}.{name}')
                    for name, item in value.items()}
        if kind in self._nested:
            return self.build(self._nested[kind], value, f'{key}.')
        if kind == 'float':
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                self._refuse(key, 'a plain number in SI units (rad, m, s, Hz)', value)
            if not np.isfinite(value):
                self._refuse(key, 'finite', value)
            return float(value)
        if kind == 'int':
            if isinstance(value, bool) or not isinstance(value, int):
                self._refuse(key, 'a whole number', value)
            return value
        if not isinstance(value, str) or not value:
            self._refuse(key, 'a text', value)
        return value

    def _refuse(self, key: str, expected: str, value: Any) -> None:
        raise ValueError(f"{self._source}: '{key}' must be {expected}, got {value!r}")
