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
from time import monotonic_ns
import tty
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.nodes import diagnostics, qos
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.spinning import run_node
from faster_ros.teleop.keys import (
    calls,
    ENGAGE,
    HAND_BACK,
    HOLD,
    KeyDecoder,
    KeyStick,
    leader,
    Repeats,
)
from faster_ros.teleop.terminal import cue, HELP, notices, status_line
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

_RATE_HZ = 30.0
_SILENT_NS = 2_000_000_000  # a node that runs says how it is at 5 Hz or more
_BELLS = {'recording': 1, 'episode': 2}  # by the first word of a cue; others ring 3 times


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
        self._decoder, self._repeats, self._stick = KeyDecoder(), Repeats(), KeyStick()
        self._control: dict[str, str] = {}
        self._teleop: dict[str, str] = {}
        self._recorder: dict[str, str] = {}
        self._statuses = {'control_node': self._control, 'teleop_node': self._teleop,
                          'recorder_node': self._recorder}
        self._heard_ns: dict[str, int] = {}
        self._noticed: dict[str, str] = {}
        self._lead = self._before_hold = self._said = ''
        self._joy = self.create_publisher(Joy, '/keyboard', qos.STATUS)
        self.create_subscription(Header, 'teleop_node/lead', self._on_lead, qos.LATCHED)
        for node in self._statuses:
            self.create_subscription(DiagnosticStatus, f'{node}/status', self._keep(node),
                                     qos.STATUS)
        self._asked: dict[str, Any] = {
            name: self.create_client(kind, name) for name, kind in _services().items()}
        self.create_timer(1.0 / _RATE_HZ, self._tick)
        self._say(HELP)

    def stop(self) -> None:
        """Give the terminal back."""
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._terminal)
        print()

    def _keep(self, node: str) -> Any:
        kept = self._statuses[node]

        def on_status(message: DiagnosticStatus) -> None:
            self._heard_ns[node] = monotonic_ns()
            values = diagnostics.values_of(message)
            if kept is self._recorder and (words := cue(kept, values)):
                self._tell(words)
            kept.clear()
            kept.update(values)

        return on_status

    def _forget_silent(self) -> None:
        """Show nothing of a node that has ended: what it said last is not so any more."""
        for node, kept in self._statuses.items():
            if kept and monotonic_ns() - self._heard_ns[node] > _SILENT_NS:
                kept.clear()
                self._say(f'{node} says nothing any more; has it ended?')
                self._tell(f'{node.removesuffix("_node")} silent')

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
        for key in self._decoder.read(self._typed(), self._now_ns()):
            self._press(key)
        if not self.context.ok():  # 'q' was pressed
            return
        axes, buttons = self._stick.read(self._now_ns())
        self._joy.publish(Joy(axes=axes, buttons=buttons))
        self._forget_silent()
        statuses = self._control, self._teleop, self._recorder
        before, self._noticed = self._noticed, notices(*statuses)
        for subject, text in self._noticed.items():
            if text != before.get(subject, '') and text not in self._said:
                self._say(f'{subject}: {text}')
        line = status_line(self._lead, *statuses)
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write(f'\r\x1b[K{line[:width]}')
        sys.stdout.flush()

    def _typed(self) -> str:
        text = ''
        while select.select([sys.stdin], [], [], 0.0)[0]:
            read = os.read(sys.stdin.fileno(), 64).decode(errors='ignore')
            if not read:
                break
            text += read
        return text

    def _say(self, text: str) -> None:
        """Write above the line that goes on."""
        self._said = text
        sys.stdout.write(f'\r\x1b[K{text}\n')

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _press(self, key: str) -> None:
        now_ns = self._now_ns()
        held = self._repeats.hear(key, now_ns)
        if self._stick.press(key, now_ns):
            return
        if key == 'q':
            rclpy.try_shutdown()
        elif key == 'h':
            self._say(HELP)
        for call in calls(key, held, leader(self._lead, self._teleop), self._before_hold,
                          self._teleop, self._recorder):
            self._call(*call)

    def _call(self, name: str, value: bool | None = None) -> None:
        """Ask for a service; what it answers is said."""
        client = self._asked[name]
        if not client.service_is_ready():
            self._say(f'{name} is not there')
            return
        request = Trigger.Request() if value is None else SetBool.Request(data=value)

        def on_answer(future: Any) -> None:
            answer = future.result()
            self._say(answer.message or f"{name}: {'done' if answer.success else 'refused'}")

        client.call_async(request).add_done_callback(on_answer)


def _services() -> dict[str, Any]:
    jobs = ('start', 'save', 're_record', 'mark_success', 'mark_failure', 'stop')
    return {**{f'recorder_node/{job}': Trigger for job in jobs}, 'control_node/stop': Trigger,
            HOLD: Trigger, HAND_BACK: Trigger, ENGAGE: SetBool, 'control_node/arm': SetBool}


def main(args: list[str] | None = None) -> None:
    """Run the node until q or an interrupt."""
    sys.exit(run_node('keys_node', KeysNode, args))


if __name__ == '__main__':
    main()
