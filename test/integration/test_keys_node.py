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
"""Keys in a real terminal, and a button, reach the services of the nodes."""

import os
import pty
import subprocess
import sys
import threading

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.nodes import diagnostics, qos
import pytest
from ros_process import own_domain, Peer, Process, ROOT, wait_until
from sensor_msgs.msg import Joy
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

SERVICES = {**{f'recorder_node/{job}': Trigger for job in (
    'start', 'save', 're_record', 'mark_success', 'mark_failure', 'stop')},
    'control_node/stop': Trigger, 'teleop_node/hold': Trigger, 'teleop_node/engage': SetBool,
    'teleop_node/hand_back': Trigger, 'control_node/arm': SetBool}
RECORDER = {'recording': 'idle', 'episodes': 2, 'reason': '', 'silent': 'wrist',
            'task': 'fold it'}
RUNNING = {**RECORDER, 'recording': 'recording', 'seconds': 12.0, 'disk_free_gb': 70.0,
           'front_rate_hz': 29.97, 'front_missed': 1, 'front_dropped': 2}


class Nodes(Peer):
    """What keys_node talks to; remembers which services were called."""

    def __init__(self, domain: int) -> None:
        self.asked: list[str] = []
        self.recorder = RECORDER
        super().__init__(domain)
        for name, kind in SERVICES.items():
            self.node.create_service(kind, name, self._answer(name))
        self._status = self.node.create_publisher(DiagnosticStatus, 'recorder_node/status',
                                                  qos.STATUS)
        self._lead = self.node.create_publisher(Header, 'teleop_node/lead', qos.LATCHED)
        self._lead.publish(Header(frame_id='idle'))
        self.node.create_timer(0.1, self._publish)

    def _answer(self, name):
        def answer(request, response):
            self.asked.append(f'{name} {request.data}' if hasattr(request, 'data') else name)
            response.success, response.message = True, f'{name} done'
            return response
        return answer

    def _publish(self) -> None:
        if self.recorder is not None:
            self._status.publish(diagnostics.status_message(
                'recorder_node', 'fr3', diagnostics.OK, '', self.recorder))


class Terminal:
    """keys_node in a terminal of its own."""

    def __init__(self, domain: int) -> None:
        self._side, other = pty.openpty()
        environment = os.environ | {'ROS_DOMAIN_ID': str(domain), 'PYTHONPATH': str(ROOT),
                                    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'faster_ros.nodes.keys_node'], stdin=other, stdout=other,
            env=environment, cwd=ROOT)
        os.close(other)
        self.shown = ''
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while text := os.read(self._side, 4096):
                self.shown += text.decode(errors='ignore')
        except OSError:
            pass

    def press(self, keys: str) -> None:
        os.write(self._side, keys.encode())


@pytest.fixture
def terminal():
    domain = own_domain()
    nodes, shown = Nodes(domain), Terminal(domain)
    yield nodes, shown
    shown.process.kill()
    shown.process.wait(10)
    nodes.close()


def test_keys_record_mark_take_over_and_stop(terminal):
    nodes, shown = terminal
    wait_until(lambda: 'silent: wrist | arm ? | lead idle | idle, 2 saved' in shown.shown, 30.0,
               lambda: shown.shown)
    assert 'task: fold it\r\n' in shown.shown

    def pressed(key: str, *services: str) -> None:
        def asked() -> bool:
            return all(service in nodes.asked for service in services)
        nodes.asked.clear()
        for _ in range(5):  # a service that is not discovered yet is said, and not called
            shown.press(key)
            try:
                wait_until(asked, 1.0)  # sooner, it would count as a key that is held
                return
            except AssertionError:
                continue
        assert asked(), (key, nodes.asked, shown.shown[-300:])

    pressed('e', 'control_node/arm True')
    pressed('\t', 'teleop_node/engage True')
    pressed('\x1b[C', 'recorder_node/start')
    nodes.recorder = RUNNING | {'reason': 'the disk is slow'}
    wait_until(lambda: '\a' in shown.shown and 'lost 3 | disk 70 GB' in shown.shown, 20.0,
               lambda: shown.shown[-300:])
    assert 'recorder: the disk is slow\r\n' in shown.shown
    shown.press('\x1b[3~')
    pressed('y', 'recorder_node/mark_success')
    assert 'control_node/stop' not in nodes.asked
    pressed('n', 'recorder_node/mark_failure')
    pressed(' ', 'teleop_node/hold')
    pressed('\x1b[C', 'recorder_node/save')
    pressed('\x1b[D', 'recorder_node/re_record')
    pressed('\x1b', 'control_node/stop', 'recorder_node/stop')
    shown.press('q')
    assert shown.process.wait(30) == 0


def test_a_node_that_has_ended_is_told_and_shown_no_longer(terminal):
    nodes, shown = terminal
    nodes.recorder = RUNNING
    wait_until(lambda: 'recording 2: 12 s' in shown.shown, 30.0, lambda: shown.shown)
    nodes.recorder = None
    wait_until(lambda: 'recorder_node says nothing any more' in shown.shown, 20.0,
               lambda: shown.shown[-300:])
    wait_until(lambda: shown.shown.endswith('lead idle | ?, ? saved'), 20.0,
               lambda: shown.shown[-300:])
    assert shown.shown.count('\a\a\a') == 1
    nodes.recorder = RECORDER
    wait_until(lambda: shown.shown.endswith('idle, 2 saved'), 20.0, lambda: shown.shown[-300:])


def test_a_pedal_begins_an_episode_and_says_why_not(tmp_path):
    domain = own_domain()
    recorder = Process(['-m', 'faster_ros.nodes.recorder_node', '--ros-args', '-p',
                        f'folder:={tmp_path / "set"}', '-p', 'task:=fold', '-p',
                        'button_topic:=/pedal', '-p', 'button:=2'], domain, tmp_path / 'log')
    person = Peer(domain)
    try:
        pedal = person.node.create_publisher(Joy, '/pedal', 10)
        recorder.wait_for('recorder_node\n  robot', 30.0)

        def stepped_on() -> bool:
            for held in (0, 1):
                pedal.publish(Joy(buttons=[0, 0, held]))
            return 'nothing comes of state, action, front, wrist' in recorder.output
        wait_until(stepped_on, 20.0, lambda: recorder.output)
    finally:
        recorder.stop()
        person.close()
