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
Replays a recorded episode in a policy's place, through all of control_node's limits and gates.

While control_node does not run, the plan begins where the arm is, so arming starts it: first a
slow way to the episode's first pose, then the episode. What stops the arm ends the replay;
arming again begins it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import sys

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.data.replay import recorded_actions, ReplayPlan
from faster_ros.interfaces import RobotState
from faster_ros.nodes import conversions, diagnostics, qos
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.runtime.joint_states import JointStates
from rclpy.node import Node
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

_STEP_S = 0.05
_HORIZON = 24
_PERIOD_S = 0.2  # between two chunks
_STATUS_RATE_HZ = 2.0


@dataclass(frozen=True)
class ReplayParameters:
    """Parameters of replay_node."""

    robot: str = parameter('fr3', 'robot name or path of its YAML file')
    joint_prefix: str = parameter('', 'what the driver puts before its joint names, such as left_')
    driver_namespace: str = parameter('', 'namespace of the driver, before the topics of arm and '
                                      'gripper')
    dataset: str = parameter('', 'folder of the LeRobotDataset')
    episode: int = parameter(0, 'which episode, counted from 0', low=0, high=10**6)
    speed: float = parameter(0.5, 'share of the recorded speed', low=0.05, high=2.0)


class ReplayNode(Node):
    """Sends chunks of the episode, from the newest joint state on."""

    def __init__(self) -> None:
        super().__init__('replay_node')
        config = declare(self, ReplayParameters)
        spec = self._spec = load_robot_spec(config.robot, config.joint_prefix,
                                            config.driver_namespace)
        if not config.dataset:
            raise ValueError("expected the parameter 'dataset', the folder of a LeRobotDataset")
        self._recorded = recorded_actions(Path(config.dataset), config.episode, spec)
        self._speed = config.speed
        self._joints = JointStates(spec)
        self._log = diagnostics.EdgeLog(self.get_logger())
        self._state: RobotState | None = None
        self._plan: ReplayPlan | None = None
        self._started_ns = 0
        self._running = False
        self._chunk_topic = self.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        self._status = self.create_publisher(DiagnosticStatus, '~/status', qos.STATUS)
        for name, (arm, _) in spec.parts.items():
            self.create_subscription(
                JointState, arm.state_topic, self._state_callback(name, arm), qos.CAMERA)
        self.create_subscription(DiagnosticStatus, 'control_node/status', self._on_control,
                                 qos.STATUS)
        self.create_timer(_PERIOD_S, self._send)
        self.create_timer(1.0 / _STATUS_RATE_HZ, self._publish_status)
        actions, rate_hz = self._recorded
        self.get_logger().info(
            f'episode {config.episode} of {config.dataset}: {len(actions) / rate_hz:.1f} s at '
            f'{config.speed:g} of its speed; arming control_node starts it')

    def _state_callback(self, name: str, arm: RobotSpec) -> Callable[[JointState], None]:
        def on_state(message: JointState) -> None:
            if self._joints.has(name) and conversions.is_of_other_hardware(message, arm):
                return
            try:
                state = self._joints.add(name, conversions.state_from_message(message, arm))
            except ValueError as error:
                self._log.problem(name, str(error))
            else:
                self._state = state or self._state
                self._log.solved(name, f'joint states on {arm.state_topic} are usable again')

        return on_state

    def _on_control(self, message: DiagnosticStatus) -> None:
        running = diagnostics.values_of(message).get('mode') == 'running'
        if self._running and not running:
            self.get_logger().warning('the arm was stopped; arming begins the replay again')
        self._running = running

    def _send(self) -> None:
        state = self._state
        if state is None:
            return
        self._state = None  # one chunk for one state: none without news of the arm
        if self._plan is None or not self._running:
            self._started_ns = state.stamp_ns
            self._plan = ReplayPlan(self._spec, self._recorded, self._speed, state.stamp_ns,
                                    state.positions)
        chunk = self._plan.chunk(state.stamp_ns, round(_STEP_S * 1e9), _HORIZON)
        self._chunk_topic.publish(conversions.chunk_to_message(chunk))

    def _publish_status(self) -> None:
        text = 'waiting for the arm' if self._plan is None else 'ready: arm control_node'
        values = {}
        if self._plan is not None and self._running:
            seconds = (self.get_clock().now().nanoseconds - self._started_ns) / 1e9
            text = ('finished' if seconds > self._plan.seconds else
                    'going to the first pose' if seconds < self._plan.approach_s else 'replaying')
            values = {'seconds': f'{seconds:.1f}', 'of': f'{self._plan.seconds:.1f}'}
        self._status.publish(diagnostics.status_message(
            'replay_node', self._spec.robot, diagnostics.OK, text, values))


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('replay_node', ReplayNode, args))


if __name__ == '__main__':
    main()
