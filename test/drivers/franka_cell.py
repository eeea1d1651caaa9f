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
"""One FR3 in franka-sim with our driver and our control_node in front of it, each a process."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import control_path
from control_path import LEAD_NS, ROWS, STEP_NS
from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import ActionChunk
from faster_ros.nodes import conversions, diagnostics, qos
from faster_ros.robot_spec import config_path, load_robot_spec
from franka_sim.health_check import check_server, HealthCheckError
import numpy as np
from ros_process import own_domain, Peer, Process, ROOT, wait_until
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

PORT = 1337  # libfranka's; the hand's is 1338
MODEL = Path(sys.prefix) / 'share' / 'fr3_mjcf' / 'fr3.xml'  # put there by .ci/setup_env.sh
LEAD_S = LEAD_NS * 1e-9  # control_node's: a set point is due this much after its stamp


class FrankaSim:
    """The vendor protocol's server, with motion limits and communication constraints enforced."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        """``patience_s``: see recorded_franka_sim.py."""
        self._file, self.log = folder / 'record.json', folder / 'franka_sim.log'
        self.stopped = False
        with self.log.open('w') as output:
            self._popen = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name('recorded_franka_sim.py')),
                 str(self._file), str(patience_s), '--port', str(PORT), '--enforce-motion-limits',
                 '--enforce-comm-constraints', '--gripper-object-width', '0.04'],
                env=os.environ | {'PYTHONPATH': str(ROOT), 'FR3_MJCF': str(MODEL)}, stdout=output,
                stderr=subprocess.STDOUT)
        wait_until(self._serves, 60.0, self.log.read_text)

    def _serves(self) -> bool:
        assert self._popen.poll() is None, self.log.read_text()
        try:
            check_server('127.0.0.1', PORT, timeout=5.0)
        except HealthCheckError:
            return False
        return True

    def stop(self) -> dict:
        """End it; returns what it recorded."""
        self.stopped = True
        self._popen.send_signal(signal.SIGINT)
        self._popen.wait(300.0)  # ten minutes of 1 kHz are many numbers
        return json.loads(self._file.read_text())


class Cell(Peer):
    """The policy's side and the operator's: sends chunks, calls services, keeps what it hears."""

    def __init__(self, folder: Path) -> None:
        domain = own_domain()
        super().__init__(domain)
        robot = folder / 'robot.yaml'
        robot.write_text(f'based_on: {config_path("config/fr3_direct.yaml")}\n'
                         'state_max_age_s: 5.0\n')  # a busy machine is not what is tested
        self.spec = load_robot_spec(str(robot))
        self.states, self.commands, self.ready = [], [], []
        self.status = {}
        node = self.node
        node.create_subscription(JointState, self.spec.state_topic, self._on_state, qos.HISTORY)
        node.create_subscription(JointState, '/control_node/command', self._on_command, 100)
        node.create_subscription(Bool, self.spec.driver_ready_topic,
                                 lambda message: self.ready.append(message.data), qos.LATCHED)
        node.create_subscription(DiagnosticStatus, '/control_node/status', self._on_status, 10)
        self._chunks = node.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        self.trajectories = node.create_publisher(JointTrajectory, self.spec.command_topic,
                                                  qos.COMMAND)
        self.gripper = node.create_publisher(Float64MultiArray, self.spec.gripper.topic,
                                             qos.COMMAND)
        self._arm = node.create_client(SetBool, '/control_node/arm')
        self._stop = node.create_client(Trigger, '/control_node/stop')
        self._recover = node.create_client(Trigger, '/libfranka_node/recover')
        self._home = node.create_client(Trigger, '/libfranka_node/home_hand')
        self.driver = Process(
            ['-m', 'faster_ros.nodes.libfranka_node', '--ros-args', '-p', f'robot:={robot}',
             '-p', 'address:=127.0.0.1', '-p', 'enforce_real_time:=false'], domain,
            folder / 'driver.log')
        self.control = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p',
                                f'robot:={robot}'], domain, folder / 'control.log')
        wait_until(lambda: self.ready and self.ready[-1], 60.0, lambda: self.driver.output)
        wait_until(lambda: len(self.measured()) == len(self.spec.joint_names), 60.0, 'states')

    def _on_state(self, message: JointState) -> None:
        self.states.append(message)

    def _on_command(self, message: JointState) -> None:
        self.commands.append(message)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.status = diagnostics.values_of(message)

    def measured(self) -> np.ndarray:
        """Return the newest joints in the order of the robot file, or nothing yet."""
        if not self.states:
            return np.empty(0)
        newest = self.states[-1]
        now = dict(zip(newest.name, newest.position))
        return np.array([now[name] for name in self.spec.joint_names if name in now])

    def arm(self) -> None:
        answer = None

        def armed() -> bool:
            nonlocal answer
            answer = self.call(self._arm, SetBool.Request(data=True))
            return answer.success
        wait_until(armed, 20.0, lambda: answer.message)

    def brake(self) -> Trigger.Response:
        """Call ``~/stop`` of control_node."""
        return self.call(self._stop, Trigger.Request())

    def recover(self) -> Trigger.Response:
        return self.call(self._recover, Trigger.Request())

    def home_hand(self) -> Trigger.Response:
        return self.call(self._home, Trigger.Request())

    def send(self, start_ns: int, step_s: float, actions: np.ndarray) -> None:
        self._chunks.publish(conversions.chunk_to_message(ActionChunk(
            start_ns, round(step_s * 1e9), actions, self.spec.joint_names)))

    def hold_here(self, seconds: float) -> None:
        """Send chunks that keep the pose for a while."""
        pose, end = self.measured(), time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(self.now_ns(), 0.05, np.tile(pose, (10, 1)))
            time.sleep(0.1)

    def loop_pid(self) -> int:
        """Return the process of the loop of 1 kHz."""
        return int(self.driver.output.split('arm in process ')[1].split(',')[0])

    def stop(self) -> None:
        codes = self.control.stop(), self.driver.stop()
        self.close()
        assert codes == (0, 0), self.driver.output + self.control.output


class Demonstration:
    """Chunks as a policy sends them: about four a second, of 1 s, some of them troublesome."""

    def __init__(self, cell: Cell, seed: int) -> None:
        self._cell = cell
        self._random = np.random.default_rng(seed)
        self._start_ns = 0
        self._swing = None
        self.sent = dict.fromkeys(('plain', 'late', 'contradicting', 'out of order'), 0)

    def run(self, seconds: float) -> None:
        """Send chunks at uneven times until it is over."""
        self._swing = control_path.Demonstration(self._cell.measured()[:-1], seed=7)
        self._start_ns = self._cell.now_ns()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._send(self._random.choice(list(self.sent), p=[0.85, 0.05, 0.05, 0.05]))
            time.sleep(self._random.uniform(0.15, 0.35))

    def _send(self, kind: str) -> None:
        delay_s = {'late': 0.8, 'out of order': 0.6}.get(kind, self._random.uniform(0.08, 0.3))
        start_ns = self._cell.now_ns() - round(delay_s * 1e9)
        times = (start_ns - self._start_ns + np.arange(ROWS) * STEP_NS) * 1e-9
        joints = self._swing.pose(np.maximum(times, 0.0))
        joints += self._random.normal(0.0, 0.002, joints.shape)
        if kind == 'contradicting':
            joints += self._random.choice([-0.15, 0.15], joints.shape[1])
        gripper = np.where(np.sin(times) > 0, 0.04, 0.0)
        self.sent[kind] += 1
        self._cell.send(start_ns, STEP_NS * 1e-9, np.column_stack([joints, gripper]))

    def tracking(self) -> dict:
        """Return how the measured arm followed the set points; see control_path.tracking."""
        names = self._cell.spec.arm_joint_names

        def table(messages):
            rows = [dict(zip(message.name, message.position)) for message in messages]
            times = np.array([conversions.to_ns(message.header.stamp) - self._start_ns
                              for message in messages]) * 1e-9
            return times, np.array([[row[name] for name in names] for row in rows])

        times, points = table(list(self._cell.commands))
        when, measured = table(list(self._cell.states))
        return control_path.tracking(times + LEAD_S, points, when, measured)
