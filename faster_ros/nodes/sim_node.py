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
A simulated robot behind the topics of a real one.

Publishes camera images, camera_info and joint states with true stamps and follows commands as each
arm's driver does (``sim_driver.py``, ``sim_ur.py``). ``~/reset`` lays out the episode of
parameter ``seed``; ``~/task`` tells how it goes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
import sys

from faster_ros.interfaces import RobotState
from faster_ros.nodes import qos
from faster_ros.nodes.conversions import to_time
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.polling import NO_PUBLISHER_EVENTS
from faster_ros.nodes.sim_cameras import CameraSettings, CameraStreams
from faster_ros.nodes.sim_driver import SimDriver
from faster_ros.nodes.sim_ur import SimulatedUr
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import load_robot_spec, NO_TOPIC, RobotSpec
from faster_ros.sim.followers import AGX_TOPIC
from faster_ros.sim.real_time import RealTimeSimulation
from faster_ros.sim.simulator import Simulator
from faster_ros.sim.tasks import task_named, TASKS
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

_TASK_RATE_HZ = 10.0
_TRUTH_RATE_HZ = 20.0


@dataclass(frozen=True)
class SimParameters:
    """Parameters of sim_node, beside ``seed``, which may change while it runs."""

    robot: str = parameter('fr3', 'robot name or path of its YAML file')
    task: str = parameter('pick', f'what is asked of the arm: {", ".join(TASKS)}')
    camera_rate_hz: float = parameter(
        0.0, "images per second in Hz; 0 takes the robot file's", 0.0, 120.0
    )
    compressed_rate_hz: float = parameter(
        0.0, 'compressed images per second in Hz; 0 compresses every image', 0.0, 120.0
    )
    width: int = parameter(0, "width of all images in pixels; 0 takes the robot file's", 0, 1280)
    height: int = parameter(0, "height of all images in pixels; 0 takes the robot file's", 0, 960)
    camera_offsets: tuple[float, ...] = parameter(
        (0.0,), 's from the trigger to the exposure: one number, or one for each camera', 0.0, 0.1
    )
    camera_delays: tuple[float, ...] = parameter(
        (0.0,), 's by which images are delivered late, likewise', 0.0, 1.0
    )


class SimNode(Node):
    """The simulated robot; a physics and a camera thread beside the executor's."""

    def __init__(self) -> None:
        super().__init__('sim_node')
        seed = self._declare_seed()
        parameters = declare(self, SimParameters)
        spec = self._spec = load_robot_spec(parameters.robot)
        simulator = Simulator(spec, task_named(parameters.task))
        self.simulation = RealTimeSimulation(
            simulator,
            self._now_ns,
            spec.state_rate_hz,
            on_state=self._publish_state,
            take_commands=lambda now_ns: self._driver.poll(now_ns),
        )
        self.cameras = CameraStreams(
            self,
            simulator,
            self.simulation,
            CameraSettings(
                parameters.camera_rate_hz,
                parameters.compressed_rate_hz,
                parameters.width,
                parameters.height,
                parameters.camera_offsets,
                parameters.camera_delays,
            ),
        )
        self._arms = {arm.state_topic: arm for arm, _ in spec.parts.values()}
        self._states = {
            topic: self.create_publisher(
                JointState, topic, qos.COMMAND, event_callbacks=NO_PUBLISHER_EVENTS
            )
            for topic in self._arms
        }
        self._task = self.create_publisher(
            String, '~/task', qos.STATUS, event_callbacks=NO_PUBLISHER_EVENTS
        )
        self._truth = self.create_publisher(
            PointStamped, '~/true_cube', qos.STATUS, event_callbacks=NO_PUBLISHER_EVENTS
        )
        self._ur = self._simulated_ur()
        self._driver = SimDriver(self, spec.base, self.simulation.channels, self._driver_runs)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_timer(1.0 / _TASK_RATE_HZ, self._publish_task)
        self.create_timer(1.0 / _TRUTH_RATE_HZ, self._publish_truth)
        self.simulation.reset(seed)
        topics = ', '.join(
            f'joints on {arm.state_topic}, arm on {arm.command_topic}, gripper on '
            f'{arm.gripper.topic}' for arm in self._arms.values()
        )
        self.get_logger().info(
            f'robot {spec.robot}: physics {1 / simulator.timestep_s:.0f} Hz, {topics}, '
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

    def _simulated_ur(self) -> SimulatedUr | None:
        spec = self._spec
        signals = [NO_TOPIC not in (arm.driver_ready_topic, arm.driver_speed_topic)
                   for arm in self._arms.values()]
        if spec.arms and any(signals):
            raise ValueError(f'robot {spec.robot}: the simulation has driver_ready_topic and '
                             f"driver_speed_topic of one arm only, got {', '.join(spec.arms)}")
        return SimulatedUr(self, spec, self.simulation) if signals == [True] else None

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _driver_runs(self) -> bool:
        return self._ur is None or self._ur.running

    def _publish_state(self, state: RobotState) -> None:
        message = JointState()
        message.header.stamp = to_time(state.stamp_ns)
        message.name = list(self.simulation.joint_names[state.topic])
        message.position = state.positions.tolist()
        message.velocity = _shown_velocities(self._arms[state.topic], state.velocities.tolist())
        if self.context.ok():
            self._states[state.topic].publish(message)

    def _publish_truth(self) -> None:
        """Publish what no robot knows: where the cube that is due is."""
        if self._truth.get_subscription_count() == 0:
            return
        stamp_ns, cube = self.simulation.told_cube()
        message = PointStamped()
        message.header.stamp = to_time(stamp_ns)
        message.header.frame_id = self._spec.base_frame
        message.point.x, message.point.y, message.point.z = cube.tolist()
        self._truth.publish(message)

    def _publish_task(self) -> None:
        if self.failure is not None:
            raise RuntimeError('a thread of sim_node failed') from self.failure
        values = asdict(self.simulation.task())
        values['rejected_trajectories'] = self._driver.rejected
        values['frames'] = self.cameras.frame_count
        if self._spec.base is not None:
            values['base_velocity'] = self._driver.base_velocity
        self._task.publish(String(data=json.dumps(values)))

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        layout = self.simulation.reset(self.get_parameter('seed').value)
        response.success = True
        response.message = layout.instruction
        self.get_logger().debug(f'episode {layout.seed}: {layout.instruction}')
        return response


def _shown_velocities(arm: RobotSpec, velocities: list[float]) -> list[float]:
    """Return what the driver tells: piper_ros leaves the gripper out, agx_arm_ros sends 0."""
    if arm.command_topic == AGX_TOPIC:
        return [0.0] * len(velocities)
    return velocities[:-1] if arm.command_mode == 'joint_state' else velocities


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
