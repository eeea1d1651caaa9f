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
A terminal for recording: keys call the services of the other nodes, one line says how it goes.

It also reports the keys that move an arm as a joystick on ``/keyboard``, for the teleop device of
that name. Run by ``faster_ros keys``; the keys stand in docs/teleop.md.
"""

from __future__ import annotations

from dataclasses import dataclass
import os
import select
import shlex
import shutil
import subprocess
import sys
import termios
import tty
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.nodes import diagnostics, qos
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.spinning import run_node
from faster_ros.teleop.keys import cue, decode, KeyStick
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

_RATE_HZ = 30.0
_BELLS = {'recording': 1, 'episode': 2}  # by the first word of a cue; others ring 3 times
_HELP = ('tab take over / release, space rest, -> begin / save, <- discard and redo, y / n mark, '
         'Esc stop, e arm, q leave')


@dataclass(frozen=True)
class KeysParameters:
    """Parameters of keys_node."""

    cue: str = parameter('beep', 'how a person who looks at the arm is told that an episode '
                         'begins, is saved or ends: none, beep, or a command that says words, '
                         'such as spd-say')


class KeysNode(Node):
    """Reads the terminal, calls services, publishes /keyboard; see docs/interfaces.md."""

    def __init__(self) -> None:
        super().__init__('keys_node')
        self._cue = shlex.split(declare(self, KeysParameters).cue)
        if self._cue not in (['none'], ['beep']) and not shutil.which(self._cue[0]):
            raise ValueError(f"parameter 'cue': expected none, beep or a command, got "
                             f"'{' '.join(self._cue)}', which is not installed")
        if not sys.stdin.isatty():
            raise ValueError('keys_node reads keys; start it in a terminal of its own')
        self._terminal = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        self._stick = KeyStick()
        self._recorder: dict[str, str] = {}
        self._control: dict[str, str] = {}
        self._lead = self._before_hold = ''
        self._said = _HELP
        self._joy = self.create_publisher(Joy, '/keyboard', qos.STATUS)
        self.create_subscription(Header, 'teleop_node/lead', self._on_lead, qos.LATCHED)
        for node, kept in (('recorder_node', self._recorder), ('control_node', self._control)):
            self.create_subscription(DiagnosticStatus, f'{node}/status', self._keep(kept),
                                     qos.STATUS)
        self._asked: dict[str, Any] = {
            name: self.create_client(kind, name) for name, kind in _services().items()}
        self.create_timer(1.0 / _RATE_HZ, self._tick)

    def stop(self) -> None:
        """Give the terminal back."""
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._terminal)
        print()

    def _keep(self, kept: dict[str, str]) -> Any:
        def on_status(message: DiagnosticStatus) -> None:
            values = diagnostics.values_of(message)
            if kept is self._recorder and (words := cue(kept, values)):
                self._tell(words)
            kept.clear()
            kept.update(values)

        return on_status

    def _tell(self, words: str) -> None:
        """Ring the terminal's bell, or have the words said; the terminal does not wait."""
        if self._cue == ['beep']:
            sys.stdout.write('\a' * _BELLS.get(words.split()[0], 3))
        elif self._cue != ['none']:
            subprocess.Popen([*self._cue, words], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _on_lead(self, message: Header) -> None:
        if message.frame_id == 'hold' and self._lead != 'hold':
            self._before_hold = self._lead
        self._lead = message.frame_id

    def _tick(self) -> None:
        while select.select([sys.stdin], [], [], 0.0)[0]:
            text = os.read(sys.stdin.fileno(), 64).decode(errors='ignore')
            for key in decode(text):
                self._press(key)
            if not text:
                break
        if not self.context.ok():  # 'q' was pressed
            return
        axes, buttons = self._stick.read(self._now_ns())
        self._joy.publish(Joy(axes=axes, buttons=buttons))
        line = status_line(self._lead, self._control, self._recorder, self._said)
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write(f'\r\x1b[K{line[:width]}')
        sys.stdout.flush()

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _press(self, key: str) -> None:
        if self._stick.press(key, self._now_ns()):
            return
        idle = self._recorder.get('recording', 'idle') == 'idle'
        hold = self._lead == 'hold'
        calls: dict[str, tuple[str, bool | None]] = {
            'tab': ('teleop_node/engage', self._lead not in ('human', 'intervention')),
            'space': (('teleop_node/engage', self._before_hold != 'policy') if hold
                      else ('teleop_node/hold', None)),
            'right': (f"recorder_node/{'start' if idle else 'save'}", None),
            'left': ('recorder_node/re_record', None),
            'y': ('recorder_node/mark_success', None), 'n': ('recorder_node/mark_failure', None),
            'escape': ('control_node/stop', None), 'e': ('control_node/arm', True)}
        if key in calls:
            self._call(*calls[key])
        if key == 'escape' and not idle:
            self._call('recorder_node/stop')
        if key == 'q':
            rclpy.try_shutdown()

    def _call(self, name: str, value: bool | None = None) -> None:
        """Ask for a service; what it answers is said."""
        client = self._asked[name]
        if not client.service_is_ready():
            self._said = f'{name} is not there'
            return
        request = Trigger.Request() if value is None else SetBool.Request(data=value)

        def on_answer(future: Any) -> None:
            answer = future.result()
            self._said = answer.message or f"{name}: {'done' if answer.success else 'refused'}"

        client.call_async(request).add_done_callback(on_answer)


def _services() -> dict[str, Any]:
    jobs = ('start', 'save', 're_record', 'mark_success', 'mark_failure', 'stop')
    return {**{f'recorder_node/{job}': Trigger for job in jobs}, 'control_node/stop': Trigger,
            'teleop_node/hold': Trigger, 'teleop_node/engage': SetBool,
            'control_node/arm': SetBool}


def status_line(lead: str, control: dict[str, str], recorder: dict[str, str], said: str) -> str:
    """Return what a person sees: who leads, the episode, rates, losses, the disk."""
    rates = ' '.join(f'{name.removesuffix("_rate_hz")} {float(value):.0f}'
                     for name, value in recorder.items() if name.endswith('_rate_hz'))
    lost = sum(int(value) for name, value in recorder.items()
               if name.endswith(('_missed', '_dropped')))
    parts = [f"arm {control.get('mode', '?')}", f"lead {lead or '?'}",
             f"{recorder.get('recording', '?')} episode {recorder.get('episodes', '?')}"]
    if 'seconds' in recorder:
        parts += [f"{float(recorder['seconds']):.0f} s",
                  f"disk {float(recorder['disk_free_gb']):.0f} GB"]
    if rates:
        parts += [f'lost {lost}', f'Hz {rates}']  # a narrow terminal cuts the end off
    return ' | '.join([*parts, said])


def main(args: list[str] | None = None) -> None:
    """Run the node until q or an interrupt."""
    sys.exit(run_node('keys_node', KeysNode, args))


if __name__ == '__main__':
    main()
