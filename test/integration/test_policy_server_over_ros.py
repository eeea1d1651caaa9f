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
"""The demo with its policy in another process, behind a websocket: as on another machine."""

import json
import re

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.nodes import qos
from faster_ros.nodes.diagnostics import values_of
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

TOKEN = 'a-word-of-the-lab'
TRIALS = 2


class Watcher(Peer):
    """Whoever stands beside the arm: arms it, sees what it does and why it holds."""

    def __init__(self, domain: int) -> None:
        self.status: dict[str, str] = {}
        self.text = ''
        self.problems = ['']
        self.measured: list[float] = []
        self.chunks = 0
        super().__init__(domain)
        node = self.node
        node.create_subscription(DiagnosticStatus, '/control_node/status', self._on_status, 10)
        node.create_subscription(String, 'policy/problem',
                                 lambda message: self.problems.append(message.data), qos.LATCHED)
        node.create_subscription(JointState, '/joint_states', self._on_state, qos.HISTORY)
        node.create_subscription(JointTrajectory, 'policy/chunk', self._on_chunk, 10)
        self._instruction = node.create_publisher(String, 'instruction', qos.LATCHED)
        self._arm = node.create_client(SetBool, '/control_node/arm')
        self._instruction.publish(String(data='pick up the red cube'))

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.status, self.text = values_of(message), message.message

    def _on_chunk(self, _: JointTrajectory) -> None:
        self.chunks += 1

    def _on_state(self, message: JointState) -> None:
        self.measured = list(message.position)

    def arm(self) -> None:
        """Arm as soon as it may be."""
        wait_until(lambda: self.call(self._arm, SetBool.Request(data=True)).success, 20.0,
                   lambda: f'arming ({self.text})')
        self.wait_for('running', 'false')

    def wait_for(self, mode: str, waiting: str) -> None:
        wait_until(lambda: self.status.items() >= {'mode': mode, 'waiting': waiting}.items(),
                   20.0, lambda: f'{mode} (is {self.status}, {self.text})')


def serve(domain: int, log, token, port: int = 0) -> tuple[Process, int]:
    process = Process(['-m', 'faster_ros.cli.main', 'policy', 'serve', '--port', str(port),
                       '--token-file', str(token), '--torch-threads', '1'], domain, log)
    process.wait_for(' with a token')
    return process, int(re.search(r'ws://127\.0\.0\.1:(\d+)', process.output)[1])


@pytest.fixture
def token(tmp_path):
    file = tmp_path / 'token'
    file.write_text(f'{TOKEN}\n')
    return file


def server_file(tmp_path, port: int):
    file = tmp_path / 'server.yaml'
    file.write_text(f'address: ws://127.0.0.1:{port}\ntoken_file: token\n')
    return file


@pytest.mark.slow
def test_the_demo_picks_cubes_with_a_policy_behind_a_server(tmp_path, token):
    domain = own_domain()
    server, port = serve(domain, tmp_path / 'server.log', token)
    try:
        demo = Process(['-m', 'faster_ros.cli.main', 'demo', '--trials', str(TRIALS), '--video',
                        'false', '--checkpoint', str(server_file(tmp_path, port)), '--out',
                        str(tmp_path / 'out')], domain, tmp_path / 'demo.log')
        assert demo.wait(60.0) == 0, demo.output
    finally:
        assert server.stop() == 0
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['trials'] == TRIALS
    assert summary['successes'] >= 1
    assert summary['wrong_cube'] == 0
    assert 'connected' in server.output
    assert TOKEN not in server.output + demo.output
    log = (tmp_path / 'out' / 'log' / 'policy_node.log').read_text()
    assert 'server.yaml' in log
    assert 'Traceback' not in log + server.output


@pytest.mark.slow
def test_the_arm_holds_while_the_server_is_away_and_moves_again_only_when_armed(tmp_path, token):
    domain = own_domain()
    server, port = serve(domain, tmp_path / 'server.log', token)
    nodes = Process(['-m', 'faster_ros.cli.main', 'bringup', 'demo', 'trials:=0',
                     f'checkpoint:={server_file(tmp_path, port)}'], domain, tmp_path / 'log')
    watcher = Watcher(domain)
    try:
        watcher.arm()
        assert server.stop() == 0
        watcher.wait_for('holding', 'false')
        address = f'policy server ws://127.0.0.1:{port}'
        wait_until(lambda: address in watcher.problems[-1], 10.0, 'the problem')
        server, _ = serve(domain, tmp_path / 'server2.log', token, port)
        wait_until(lambda: watcher.problems[-1] == '', 20.0, 'the end of the problem')
        rest, count = watcher.measured, watcher.chunks
        wait_until(lambda: watcher.chunks > count + 5, 20.0, 'chunks again')
        assert watcher.status['mode'] == 'holding'
        assert watcher.measured == pytest.approx(rest, abs=2e-3)
        watcher.arm()
    finally:
        watcher.close()
        nodes.stop()
        server.stop()
    assert 'Traceback' not in nodes.output
