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
Drives an AgileX Piper by piper_sdk on a machine without piper_ros, behind the same topics.

Takes the JointState commands that ``control_node`` sends and streams the newest one at 200 Hz;
silence therefore holds. The decisions are in ``robots/piper_sdk_arm.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
import sys
from threading import Lock

from faster_ros.nodes import diagnostics, qos
from faster_ros.nodes.conversions import to_time
from faster_ros.nodes.paced_thread import PacedThread
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import load_robot_spec
from faster_ros.robots.piper_sdk_arm import PiperArm, PiperPose
from faster_ros.runtime.scheduling import request_real_time
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

_STREAM_RATE_HZ = 200.0


@dataclass(frozen=True)
class PiperSdkParameters:
    """Parameters of piper_sdk_node."""

    robot: str = parameter('piper_direct', 'robot name or path of its YAML file')
    can_port: str = parameter('can0', 'name of the CAN bus')
    can_bus: str = parameter('socketcan', 'kind of bus, as python-can calls it')
    realtime_priority: int = parameter(30, 'SCHED_FIFO priority to ask for; 0 asks for none',
                                       0, 99)


class PiperSdkNode(Node):
    """Topics and service of one arm; see ``docs/drivers.md``."""

    def __init__(self) -> None:
        super().__init__('piper_sdk_node')
        config = declare(self, PiperSdkParameters)
        # Before any thread starts: the stream waits for Python's lock, so all must be as urgent.
        if config.realtime_priority > 0:
            request_real_time(config.realtime_priority)
        self._spec = spec = load_robot_spec(config.robot)
        self._log = diagnostics.EdgeLog(self.get_logger())
        self._arm = PiperArm(spec, config.can_port, config.can_bus)
        self._lock = Lock()  # of the arm: the thread and the callbacks use it
        self._problem: str | None = None
        self._states = self.create_publisher(JointState, spec.state_topic, qos.COMMAND)
        self._ready = self.create_publisher(Bool, '~/ready', qos.LATCHED)
        self.create_subscription(JointState, spec.command_topic, self._on_command, qos.COMMAND)
        self.create_service(Trigger, '~/recover', self._on_recover)
        self._thread = PacedThread(_STREAM_RATE_HZ, self._tick, self._failed)
        self.get_logger().info(
            f'{spec.robot} on {config.can_port}: commands on {spec.command_topic}, states on '
            f'{spec.state_topic}; nothing is sent to the arm before ~/recover')
        self._thread.start()

    def stop(self) -> None:
        """Leave the arm as it is: on, and holding its last pose."""
        self._thread.stop()
        self._arm.close()

    def _tick(self, _: int) -> None:
        with self._lock:
            self._arm.stream()
            problem, state = self._arm.problem, self._arm.state()
        self._note_problem(problem)
        if state is None:
            return
        message = JointState(name=list(self._spec.joint_names), position=state.positions)
        message.header.stamp = to_time(state.stamp_ns)
        self._states.publish(message)

    def _note_problem(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        self._ready.publish(Bool(data=not problem))
        if problem:
            self._log.problem('arm', f'not ready: {problem}')
        else:
            self._log.solved('arm', 'ready: the arm follows commands')

    def _failed(self, error: Exception) -> None:
        if self.context.ok():
            self._note_problem(f'the loop failed: {error!r}; the arm holds its last pose')

    def _on_command(self, message: JointState) -> None:
        refusal = self._take(message)
        if refusal:
            self._log.problem('command', f'command on {self._spec.command_topic} refused: '
                              f'{refusal}', key=refusal.split(' ')[0])
        else:
            self._log.solved('command', 'commands are accepted again')

    def _take(self, message: JointState) -> str:
        names = list(message.name)
        if len(message.position) != len(names) or len(set(names)) != len(names):
            return (f'expected one position for each name, got {len(names)} names and '
                    f'{len(message.position)} positions')
        spec = self._spec
        last = names.index(spec.gripper.joint) if spec.gripper.joint in names else -1
        percent = (round(message.velocity[last]) if len(message.velocity) == len(names)
                   else spec.command_speed_percent)
        effort = (message.effort[last] if len(message.effort) == len(names)
                  else spec.gripper.effort)
        with self._lock:
            return self._arm.command(
                PiperPose(dict(zip(names, message.position)), percent, effort))

    def _on_recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            refusal = self._arm.take_over()
        response.success = not refusal
        response.message = refusal or 'the arm holds its pose; arm control_node to move'
        return response


def make_node() -> PiperSdkNode:
    """Make the node."""
    return PiperSdkNode()


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('piper_sdk_node', make_node, args))


if __name__ == '__main__':
    main()
