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
"""What a node graph is made of: processes, arguments, and how both are typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
import json
import sys

Value = bool | int | float | str


@dataclass(frozen=True)
class Process:
    """
    One node in a process of its own.

    ``required``: when it ends, everything ends. ``nice``: 0 normal, up to 19 gives way.
    ``foreground``: its output is for the person who started the graph.
    """

    executable: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    namespace: str = ''
    remappings: tuple[tuple[str, str], ...] = ()
    required: bool = True
    nice: int = 0
    foreground: bool = False

    @property
    def name(self) -> str:
        """Return the name of the node, which is the name of its executable."""
        return self.executable


@dataclass(frozen=True)
class Argument:
    """One argument of a graph: of its launch file and of ``faster_ros bringup``."""

    name: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()

    def read(self, text: str) -> Value:
        """Return the value that ``text`` stands for, of the type of the default."""
        if self.choices and text not in self.choices:
            raise ValueError(
                f"argument '{self.name}' ({self.description}): expected one of "
                f"{', '.join(self.choices)}, got '{text}'"
            )
        if isinstance(self.default, str):
            return text
        try:
            if isinstance(self.default, bool):
                return {'true': True, 'false': False}[text.lower()]
            return type(self.default)(text)
        except (KeyError, ValueError):
            kind = {bool: 'true or false', int: 'a whole number', float: 'a number'}
            raise ValueError(
                f"argument '{self.name}' ({self.description}): expected "
                f"{kind[type(self.default)]}, got '{text}'"
            ) from None


@dataclass(frozen=True)
class Graph:
    """A job by name: its arguments and the function that makes its processes."""

    arguments: tuple[Argument, ...]
    build: Callable[..., list[Process]]
    description: str

    def processes(self, texts: Mapping[str, str]) -> list[Process]:
        """Return the processes for arguments as they were typed; others have their defaults."""
        return self.build(**read_arguments(self.arguments, texts))


def read_arguments(arguments: Sequence[Argument], texts: Mapping[str, str]) -> dict[str, Value]:
    """Return the values of arguments as they were typed; those not typed are left out."""
    known = {argument.name: argument for argument in arguments}
    for name in texts:
        if name not in known:
            raise ValueError(f"unknown argument '{name}'; expected {', '.join(known)}")
    return {name: known[name].read(text) for name, text in texts.items()}


def describe(arguments: Sequence[Argument]) -> str:
    """Return the arguments with description, choices and default, for a terminal."""
    lines = ['Arguments, as NAME:=VALUE']
    for argument in arguments:
        choices = f' One of: {", ".join(argument.choices)}.' if argument.choices else ''
        lines += [f"  '{argument.name}' (default '{as_text(argument.default)}')",
                  f'      {argument.description}.{choices}']
    return '\n'.join(lines)


def as_text(value: Value) -> str:
    """Return a value as it is typed."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def command(process: Process) -> list[str]:
    """Return the command line that starts a process without ``ros2 launch``."""
    words = [
        sys.executable,
        '-m',
        f'faster_ros.nodes.{process.executable}',
        '--ros-args',
        '-r',
        f'__node:={process.name}',
    ]
    if process.namespace:
        words += ['-r', f'__ns:=/{process.namespace.strip("/")}']
    for source, target in process.remappings:
        words += ['-r', f'{source}:={target}']
    for name, value in process.parameters.items():
        words += ['-p', f'{name}:={json.dumps(value, ensure_ascii=False)}']
    return ['nice', '-n', str(process.nice), *words] if process.nice else words
