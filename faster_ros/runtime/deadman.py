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
"""The button that a person holds down while the arm may move; used by ``Supervisor``."""

from __future__ import annotations

from collections.abc import Sequence


class Deadman:
    """Knows when ``button`` was last reported as held; not thread-safe."""

    def __init__(self, topic: str, button: int, timeout_s: float) -> None:
        """``timeout_s``: after this long without a report the button counts as released."""
        self._topic, self._button = topic, button
        self._timeout_ns = round(timeout_s * 1e9)
        self._heard_ns: int | None = None
        self._problem = ''

    def hear(self, buttons: Sequence[int], now_ns: int) -> None:
        """Note a report of all buttons, 1 for held."""
        self._heard_ns = now_ns
        if self._button >= len(buttons):
            self._problem = (f'{self._topic} reports {len(buttons)} buttons; expected one with '
                             f'the number {self._button}')
        elif not buttons[self._button]:
            self._problem = f'button {self._button} on {self._topic} is not held down'
        else:
            self._problem = ''

    def problem(self, now_ns: int) -> str:
        """Return '' while the button is held, or why it does not count as held."""
        if self._heard_ns is None:
            return f'nothing received on {self._topic}; expected button {self._button} held down'
        age_ns = now_ns - self._heard_ns
        if abs(age_ns) > self._timeout_ns:
            return (f'nothing received on {self._topic} for {abs(age_ns) * 1e-9:.2f} s; limit '
                    f'{self._timeout_ns * 1e-9:g} s')
        return self._problem
