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
"""The keys of a terminal: what each one does, and those that move an arm as a joystick."""

from __future__ import annotations

from collections.abc import Mapping

# Bytes that a terminal sends for keys that are no letters.
_NAMED = {'\x1b[C': 'right', '\x1b[D': 'left', '\x1b[A': 'up', '\x1b[B': 'down', '\t': 'tab',
          ' ': 'space', '\x1b': 'escape', '\x03': 'q'}
# Key -> axis and its deflection; as config/teleop/keyboard.yaml reads them.
AXES = {'w': (0, 1.0), 's': (0, -1.0), 'a': (1, 1.0), 'd': (1, -1.0), 'r': (2, 1.0),
        'f': (2, -1.0), 'u': (3, 1.0), 'o': (3, -1.0), 'i': (4, 1.0), 'k': (4, -1.0),
        'j': (5, 1.0), 'l': (5, -1.0)}
BUTTONS = {'g': 0, 'm': 1, ']': 3, '[': 4}
_PULSE_NS = 150_000_000  # that a press lasts: a terminal does not tell of the release


def decode(text: str) -> list[str]:
    """Return the names of the keys that a terminal has sent."""
    keys = []
    while text:
        size = 3 if text[:3] in _NAMED else 1
        keys.append(_NAMED.get(text[:size], text[:size]))
        text = text[size:]
    return keys


class KeyStick:
    """Axes and buttons of the keys that are held, or were pressed just now."""

    def __init__(self) -> None:
        self._until_ns: dict[str, int] = {}

    def press(self, key: str, now_ns: int) -> bool:
        """Note a key; returns whether it is one that moves an arm."""
        if key not in AXES and key not in BUTTONS:
            return False
        self._until_ns[key] = now_ns + _PULSE_NS
        return True

    def read(self, now_ns: int) -> tuple[list[float], list[int]]:
        """Return the deflections of 6 axes, -1 to 1, and 5 buttons."""
        axes, buttons = [0.0] * 6, [0] * 5
        for key, until_ns in self._until_ns.items():
            if now_ns >= until_ns:
                continue
            if key in BUTTONS:
                buttons[BUTTONS[key]] = 1
            else:
                axis, deflection = AXES[key]
                axes[axis] += deflection
        return axes, buttons


def cue(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what a person is told who looks at the arm, between two statuses of recorder_node."""
    if 'recording' not in before or 'recording' not in now:
        return ''
    if int(now['episodes']) > int(before['episodes']):
        return f"episode {int(now['episodes']) - 1} saved"
    again = float(now.get('seconds', 0.0)) < float(before.get('seconds', 0.0))
    if now['recording'] == before['recording'] and not again:
        return ''
    if now['recording'] == 'recording':
        return 'recording'
    if now['recording'] == 'stopped':
        return f"stopped {now['reason'].removeprefix('stopped: ')}".strip()
    return 'episode lost' if now['reason'] else 'discarded'
