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
"""The keys of a terminal: which were pressed, what each asks for, and those that move an arm."""

from __future__ import annotations

from collections.abc import Mapping
import re

from faster_ros.teleop.session import PAUSED

# Bytes that a terminal sends for keys that are no letters; with O while its keypad is for
# applications.
_NAMED = {f'\x1b{kind}{letter}': name for kind in '[O' for letter, name in (
    ('A', 'up'), ('B', 'down'), ('C', 'right'), ('D', 'left'))} | {
        '\t': 'tab', ' ': 'space', '\x03': 'q'}
_SEQUENCE = re.compile(r'\x1b(\[\[?[0-?]*[ -/]*[@-~]|O[0-9;]*[A-Za-z])')  # of one key
_BEGUN = re.compile(r'\x1b(\[\[?[0-?]*[ -/]*|O[0-9;]*)?')
_ESCAPE_NS = 50_000_000  # after which nothing of a sequence follows, over a network either
_REPEAT_NS = 700_000_000  # a held key repeats after at most 0.66 s (X11), then 30 times a second
# Key -> axis and its deflection; as config/teleop/keyboard.yaml reads them.
AXES = {'w': (0, 1.0), 's': (0, -1.0), 'a': (1, 1.0), 'd': (1, -1.0), 'r': (2, 1.0),
        'f': (2, -1.0), 'u': (3, 1.0), 'o': (3, -1.0), 'i': (4, 1.0), 'k': (4, -1.0),
        'j': (5, 1.0), 'l': (5, -1.0)}
BUTTONS = {'g': 0, 'm': 1, ']': 3, '[': 4}
_PULSE_NS = 150_000_000  # that a press lasts: a terminal does not tell of the release
ENGAGE, HOLD, HAND_BACK = (f'teleop_node/{job}' for job in ('engage', 'hold', 'hand_back'))
Call = tuple[str, bool | None]  # a service, and the value of one that takes any


class KeyDecoder:
    """The names of the keys that a terminal sends; not thread-safe."""

    def __init__(self) -> None:
        self._rest, self._heard_ns = '', 0

    def read(self, text: str, now_ns: int) -> list[str]:
        """
        Return the keys that are complete; ``text``: what has come since, also none.

        A sequence of bytes that stands for no key of ours is left out whole. Esc is known by what
        does not follow. Whatever else follows it, as when a hand hits two keys, is left out: the
        person wants to stop. So Alt with a key counts as Esc: a terminal sends the same for both.
        """
        waited = now_ns - self._heard_ns >= _ESCAPE_NS
        keys = ['escape'] if self._rest and waited else []
        rest = text if waited else self._rest + text
        if text:
            self._heard_ns = now_ns
        while rest and not _BEGUN.fullmatch(rest):
            sequence = _SEQUENCE.match(rest)
            if rest[0] == '\x1b' and sequence is None:
                keys.append('escape')
                rest = ''
                break
            key = sequence[0] if sequence else rest[0]
            rest = rest[len(key):]
            if key in _NAMED or sequence is None:
                keys.append(_NAMED.get(key, key))
        self._rest = rest
        return keys


class Repeats:
    """Tells a press of a key from its repetition while it is held; not thread-safe."""

    def __init__(self) -> None:
        self._heard_ns: dict[str, int] = {}

    def hear(self, key: str, now_ns: int) -> bool:
        """Take a key; returns whether it was held, rather than pressed again."""
        before_ns, self._heard_ns[key] = self._heard_ns.get(key), now_ns
        return before_ns is not None and now_ns - before_ns < _REPEAT_NS


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


def leader(word: str, teleop: Mapping[str, str]) -> str:
    """Return who leads, or will once the arm runs: the word of ``~/lead``, and the status."""
    return 'policy' if word == 'idle' and teleop.get('lead') == 'policy' else word


def tab(lead: str, teleop: Mapping[str, str]) -> Call:
    """
    Return what tab asks for: it changes between the person and the policy, if there is one.

    With a button that has to be held, a person who does not hold it still has the arm.
    """
    policy, deadman = (teleop.get(name) == 'true' for name in ('policy', 'deadman'))
    leads = lead in ('human', 'intervention')
    if policy and (leads or (deadman and lead != 'policy')):
        return HAND_BACK, None
    return ENGAGE, not leads


def calls(key: str, held: bool, lead: str, before: str, teleop: Mapping[str, str],
          recorder: Mapping[str, str]) -> list[Call]:
    """
    Return the services that a key calls.

    ``held``: it is repeated. ``lead``, ``before``: who leads, and did before the arm was held.
    ``teleop``, ``recorder``: the statuses of the nodes. What stops an arm or takes it from a
    policy is done for a repeated key, too.
    """
    idle = recorder.get('recording', 'idle') == 'idle'
    asked: dict[str, Call] = {
        'right': (f"recorder_node/{'start' if idle else 'save'}", None),
        'left': ('recorder_node/re_record', None),
        'y': ('recorder_node/mark_success', None), 'n': ('recorder_node/mark_failure', None),
        'e': ('control_node/arm', True), 'escape': ('control_node/stop', None),
        'tab': tab(lead, teleop), 'space': (HOLD, None)}
    if lead == 'hold':
        paused = before == 'policy' and teleop.get('reason') == PAUSED
        asked['space'] = (HAND_BACK, None) if paused else (ENGAGE, True)
    call = asked.get(key)
    stops = key == 'escape' or call in ((HOLD, None), (ENGAGE, False)) or (
        call == (ENGAGE, True) and lead == 'policy')
    if call is None or (held and not stops):
        return []
    ends = key == 'escape' and not idle
    return [call, ('recorder_node/stop', None)] if ends else [call]
