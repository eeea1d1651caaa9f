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
"""Builds diagnostic messages from plain values and logs what changes; used by the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def status_message(name: str, hardware: str, level: bytes, message: str,
                   values: Mapping[str, Any]) -> DiagnosticStatus:
    """Return a status; floats are written with four digits, None as an empty text."""
    pairs = [KeyValue(key=key, value=_text(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, hardware_id=hardware, message=message,
                            values=pairs)


def diagnostic_array(stamp: Time, status: DiagnosticStatus) -> DiagnosticArray:
    """Wrap one status for /diagnostics."""
    message = DiagnosticArray()
    message.header.stamp = stamp
    message.status = [status]
    return message


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    """Return the values of a status as a mapping, the inverse of ``status_message``."""
    return {pair.key: pair.value for pair in status.values}


class EdgeLog:
    """Logs a text per subject when it changes, so that a lasting fault is one line."""

    def __init__(self, logger: Any) -> None:
        """``logger``: of a node."""
        self._logger = logger
        self._last: dict[str, str] = {}

    def problem(self, subject: str, text: str, key: str | None = None) -> None:
        """Log a problem of ``subject`` unless it is the last one; ``key`` tells them apart."""
        if self._last.get(subject) != (key or text):
            self._last[subject] = key or text
            self._logger.error(text)

    def solved(self, subject: str, text: str) -> None:
        """Log that the last problem of ``subject`` is over, if there was one."""
        if self._last.pop(subject, None) is not None:
            self._logger.info(text)


def _text(value: Any) -> str:
    if value is None:
        return ''
    if isinstance(value, bool):
        return str(value).lower()
    return f'{value:.4f}' if isinstance(value, float) else str(value)
