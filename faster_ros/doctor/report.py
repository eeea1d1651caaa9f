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
"""The doctor's report: one line per check, as a table, as JSON and as an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
import textwrap
from typing import Any

_WIDTH = 99
_MARKS = {'ok': 'ok', 'warning': 'warning', 'critical': 'CRITICAL'}
_CHECK = 19  # columns of a check's name, at least


class State(str, Enum):
    """How good a line is; with a critical one the arm must not move."""

    OK = 'ok'
    WARNING = 'warning'
    CRITICAL = 'critical'


@dataclass(frozen=True)
class Line:
    """One check: its name, how it ended, what was found, and what to do about it."""

    check: str
    state: State
    found: str
    remedy: str = ''

    def of(self, arm: str) -> Line:
        """Return the line with the name of its arm, '' for the only one, before the check."""
        return replace(self, check=f'{arm} {self.check}') if arm else self


def ok(check: str, found: str) -> Line:
    """Return a line of a check that found all as it should be."""
    return Line(check, State.OK, found)


def warning(check: str, found: str, remedy: str) -> Line:
    """Return a line of a check that found something to know before the arm moves."""
    return Line(check, State.WARNING, found, remedy)


def critical(check: str, found: str, remedy: str) -> Line:
    """Return a line of a check with which the arm must not be armed."""
    return Line(check, State.CRITICAL, found, remedy)


@dataclass(frozen=True)
class Report:
    """All lines of one examination of one robot."""

    robot: str
    lines: tuple[Line, ...]

    @property
    def critical(self) -> tuple[Line, ...]:
        """Return the lines that forbid motion."""
        return tuple(line for line in self.lines if line.state is State.CRITICAL)

    @property
    def exit_code(self) -> int:
        """Return 0 if all is well, 1 if there are warnings, 2 if a line is critical."""
        worst = {line.state for line in self.lines}
        return 2 if State.CRITICAL in worst else int(State.WARNING in worst)

    @property
    def summary(self) -> str:
        """Return one sentence."""
        counts = [sum(line.state is state for line in self.lines) for state in State]
        verdict = 'the arm must not be armed' if counts[2] else 'the arm may be armed'
        return f'{counts[0]} ok, {counts[1]} warnings, {counts[2]} critical: {verdict}'

    def table(self, lines: Sequence[Line] | None = None) -> str:
        """Return check, state and finding of all lines (or some); below each its remedy."""
        chosen = self.lines if lines is None else lines
        width = max([_CHECK, *(len(line.check) for line in self.lines)])
        rows = [row for line in chosen for row in _rows(line, width)]
        return '\n'.join([f'doctor: robot {self.robot}', *rows, self.summary])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {'robot': self.robot, 'exit_code': self.exit_code, 'summary': self.summary,
                'lines': [asdict(line) | {'state': line.state.value} for line in self.lines]}


def _rows(line: Line, width: int) -> list[str]:
    head = f'  {line.check:<{width}} {_MARKS[line.state.value]:<8} '
    indent = ' ' * len(head)
    rows = _wrapped(line.found, head, indent)
    return rows + _wrapped(f'-> {line.remedy}', indent, indent) if line.remedy else rows


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=others,
                         break_long_words=False, break_on_hyphens=False)
