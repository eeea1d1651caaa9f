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
A simulated arm behind the topics of a real one.

Publishes camera images, camera_info and joint states with true stamps and follows
JointTrajectory messages by the rules of the joint_trajectory_controller. ``~/reset`` lays out the
episode of parameter ``seed``; ``~/task`` tells how it goes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
import sys

from faster_ros.interfaces import RobotState
from faster_ros.nodes import qos
from faster_ros.nodes.conversions import to_ns, to_time
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.polling import NO_PUBLISHER_EVENTS, PolledSubscription
from faster_ros.nodes.sim_cameras import CameraSettings, CameraStreams
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.real_time import RealTimeSimulation
from faster_ros.sim.simulator import Simulator
from faster_ros.sim.trajectory_controller import (
    TrajectoryController,
    TrajectoryPoint,
    TrajectoryRejected,
)
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

_TASK_RATE_HZ = 10.0
_REPEATED_REJECTION_NS = 1_000_000_000  # the same rejection is logged once in this time


@dataclass(frozen=True)
class SimParameters:
    """Parameters of sim_node, beside ``seed``, which may change while it runs."""

    robot: str = parameter('fr3', 'robot name or path of its YAML file')
    camera_rate_hz: float = parameter(
        0.0, "images per second in Hz; 0 takes the robot file's", 0.0, 120.0
    )
    compressed_rate_hz: float = parameter(
        0.0, 'compressed images per second in Hz; 0 compresses every image', 0.0, 120.0
    )
    width: int = parameter(0, "width of all images in pixels; 0 takes the robot file's", 0, 1280)
    height: int = parameter(0, "height of all images in pixels; 0 takes the robot file's", 0, 960)


class SimNode(Node):
    """The simulated robot; a physics and a camera thread beside the executor's."""

    def __init__(self) -> None:
        super().__init__('sim_node')
        seed = self._declare_seed()
        parameters = declare(self, SimParameters)
        spec = load_robot_spec(parameters.robot)
        simulator = Simulator(spec)
        self.simulation = RealTimeSimulation(
            simulator,
            self._now_ns,
            spec.state_rate_hz,
            on_state=self._publish_state,
            take_commands=self._take_commands,
        )
        self.cameras = CameraStreams(
            self,
            simulator,
            self.simulation.copy_state,
            CameraSettings(
                parameters.camera_rate_hz,
                parameters.compressed_rate_hz,
                parameters.width,
                parameters.height,
            ),
        )
        self._states = self.create_publisher(
            JointState, spec.state_topic, qos.COMMAND, event_callbacks=NO_PUBLISHER_EVENTS
        )
        self._task = self.create_publisher(
            String, '~/task', qos.STATUS, event_callbacks=NO_PUBLISHER_EVENTS
        )
        self._command_time_ns = 0
        self._rejected = 0
        self._last_rejection = ('', 0)
        self._commands = [
            self._follow(spec.command_topic, self.simulation.arm),
            self._follow(spec.gripper.topic, self.simulation.gripper),
        ]
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_timer(1.0 / _TASK_RATE_HZ, self._publish_task)
        self.simulation.reset(seed)
        self.get_logger().info(
            f'robot {spec.robot}: physics {1 / simulator.timestep_s:.0f} Hz, joints on '
            f'{spec.state_topic}, arm on {spec.command_topic}, gripper on {spec.gripper.topic}, '
            f'{self.cameras.summary}'
        )

    def start(self) -> None:
        """Start the physics and the camera thread."""
        self.simulation.start()
        self.cameras.start()

    def stop(self) -> None:
        """End both threads."""
        self.cameras.stop()
        self.simulation.stop()

    @property
    def failure(self) -> BaseException | None:
        """Return the error that ended one of the threads, if one did."""
        return self.simulation.failure or self.cameras.failure

    def _declare_seed(self) -> int:
        # Declared by hand, as it may change at run time, unlike the parameters of ``declare``.
        descriptor = ParameterDescriptor(
            description='layout that the next ~/reset starts',
            integer_range=[IntegerRange(from_value=0, to_value=2**31 - 1, step=1)],
        )
        seed: int = self.declare_parameter('seed', 0, descriptor).value
        self._parameter_overrides.pop('seed', None)
        return seed

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _follow(self, topic: str, controller: TrajectoryController) -> PolledSubscription:
        def follow(message: JointTrajectory, _: object) -> None:
            try:
                _set_trajectory(controller, message, self._command_time_ns)
            except TrajectoryRejected as rejection:
                self._rejected += 1
                self._log_rejection(f'trajectory on {topic} rejected: {rejection}')

        return PolledSubscription(self, JointTrajectory, topic, follow, qos.COMMAND)

    def _take_commands(self, now_ns: int) -> None:
        self._command_time_ns = now_ns
        for subscription in self._commands:
            subscription.poll()

    def _log_rejection(self, text: str) -> None:
        now_ns = self._now_ns()
        last_text, last_ns = self._last_rejection
        if text != last_text or now_ns - last_ns > _REPEATED_REJECTION_NS:
            self.get_logger().warning(text)
            self._last_rejection = (text, now_ns)

    def _publish_state(self, state: RobotState) -> None:
        message = JointState()
        message.header.stamp = to_time(state.stamp_ns)
        message.name = list(self.simulation.joint_names)
        message.position = state.positions.tolist()
        message.velocity = state.velocities.tolist()
        if self.context.ok():
            self._states.publish(message)

    def _publish_task(self) -> None:
        if self.failure is not None:
            raise RuntimeError('a thread of sim_node failed') from self.failure
        values = asdict(self.simulation.task())
        values['rejected_trajectories'] = self._rejected
        values['frames'] = self.cameras.frame_count
        self._task.publish(String(data=json.dumps(values)))

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        layout = self.simulation.reset(self.get_parameter('seed').value)
        response.success = True
        response.message = layout.instruction
        self.get_logger().debug(f'episode {layout.seed}: {layout.instruction}')
        return response


def _set_trajectory(
    controller: TrajectoryController, message: JointTrajectory, now_ns: int
) -> None:
    if any(len(point.effort) for point in message.points):
        raise TrajectoryRejected('expected no effort values, got some')
    points = [
        TrajectoryPoint(
            to_ns(point.time_from_start), point.positions, point.velocities, point.accelerations
        )
        for point in message.points
    ]
    controller.set_trajectory(message.joint_names, to_ns(message.header.stamp), points, now_ns)


def make_node() -> SimNode:
    """Make the node and start its threads."""
    # The physics thread gets Python's lock within this time instead of 5 ms.
    sys.setswitchinterval(0.0005)
    node = SimNode()
    node.start()
    return node


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('sim_node', make_node, args))


if __name__ == '__main__':
    main()
