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
Leads a simulated arm in a policy's place: the scripted expert as a source of chunks.

It publishes ``policy/chunk`` as policy_node does, so all behind it is the real path. It looks at
no image: sim_node tells it where the cube that is due is, on a topic that no robot has. For robots
and tasks without a trained policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import sys
import time

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.nodes import conversions, diagnostics, qos
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.runtime.joint_states import JointStates
from faster_ros.sim.expert import PickExpert
from faster_ros.sim.tasks import task_named, TASKS
from geometry_msgs.msg import PointStamped
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

_STEP_S = 0.1
_HORIZON = 16
_PERIOD_S = 0.3  # between two chunks
_STATUS_RATE_HZ = 10.0


@dataclass(frozen=True)
class ExpertParameters:
    """Parameters of expert_node."""

    robot: str = parameter('ur5e', 'robot name or path of its YAML file')
    task: str = parameter('pick', f'what is asked of the arm: {", ".join(TASKS)}')


class ExpertNode(Node):
    """Plans from the newest joint state and the cube's true place."""

    def __init__(self) -> None:
        super().__init__('expert_node')
        parameters = declare(self, ExpertParameters)
        spec = self._spec = load_robot_spec(parameters.robot)
        self._expert = PickExpert(spec, _STEP_S, task_named(parameters.task))
        self._joints = JointStates(spec)
        self._state: RobotState | None = None
        self._cube: PointStamped | None = None
        self._chunks = 0
        self._chunk_topic = self.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        self._timing = self.create_publisher(Float64MultiArray, '~/timing', qos.STATUS)
        self._status = self.create_publisher(DiagnosticStatus, '~/status', qos.STATUS)
        for name, (arm, _) in spec.parts.items():
            self.create_subscription(
                JointState, arm.state_topic, self._state_callback(name, arm), qos.SENSOR)
        self.create_subscription(PointStamped, 'sim_node/true_cube', self._on_cube, qos.STATUS)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_timer(_PERIOD_S, self._plan)
        self.create_timer(1.0 / _STATUS_RATE_HZ, self._publish_status)
        self.get_logger().info(f'the scripted expert leads {spec.robot}; this is no policy')

    def _state_callback(self, name: str, arm: RobotSpec) -> Callable[[JointState], None]:
        def on_state(message: JointState) -> None:
            self._state = self._joints.add(name, conversions.state_from_message(message, arm))

        return on_state

    def _on_cube(self, message: PointStamped) -> None:
        self._cube = message

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._joints = JointStates(self._spec)
        self._state = self._cube = None
        response.success = True
        response.message = 'waiting for joints and the cube as they are from now on'
        return response

    def _plan(self) -> None:
        state, cube = self._state, self._cube
        if state is None or cube is None:
            return
        self._state = None  # one chunk for one observation
        start = time.monotonic()
        place = np.array([cube.point.x, cube.point.y, cube.point.z])
        actions = self._expert.plan_from(state.positions, place[None], _HORIZON)
        chunk = ActionChunk(state.stamp_ns, round(_STEP_S * 1e9), actions, self._spec.action_names)
        self._chunk_topic.publish(conversions.chunk_to_message(chunk))
        self._chunks += 1
        now_ns = self.get_clock().now().nanoseconds
        self._timing.publish(Float64MultiArray(data=[
            state.stamp_ns / 1e9, (now_ns - state.stamp_ns) / 1e6,
            1e3 * (time.monotonic() - start)]))

    def _publish_status(self) -> None:
        self._status.publish(diagnostics.status_message(
            'expert_node', self._spec.robot, diagnostics.OK, 'the scripted expert, no policy',
            {'chunks': self._chunks}))


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('expert_node', ExpertNode, args))


if __name__ == '__main__':
    main()
