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
The topics and services that ur_robot_driver adds to a simulated UR arm; used by sim_node.

``robot_program_running`` (latched) and ``speed_scaling`` (percent, 100 Hz) stand in the robot
file. The services have the driver's names. Two things exist in the simulation only: the parameter
``speed_slider``, which on a robot is a slider on the pendant, and ``~/protective_stop``.
"""

from __future__ import annotations

from collections.abc import Callable

from faster_ros.nodes import qos
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.real_time import RealTimeSimulation
from faster_ros.sim.ur_driver import ScaledTrajectoryController, UrProgram
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.node import Node
from std_msgs.msg import Bool, Float64
from std_srvs.srv import Trigger

_SCALING_RATE_HZ = 100.0


class SimulatedUr:
    """The program and the slider of one arm; all of it belongs to the executor."""

    def __init__(self, node: Node, spec: RobotSpec, simulation: RealTimeSimulation) -> None:
        self._node = node
        self._simulation = simulation
        self._program = UrProgram()
        descriptor = ParameterDescriptor(
            description='position of the speed slider in percent',
            floating_point_range=[FloatingPointRange(from_value=1.0, to_value=100.0)],
        )
        node.declare_parameter('speed_slider', 100.0, descriptor)
        self._ready = node.create_publisher(Bool, spec.driver_ready_topic, qos.LATCHED)
        self._scaling = node.create_publisher(Float64, spec.driver_speed_topic, qos.STATUS)
        dashboard = '/dashboard_client'
        for name, call in (
            ('~/protective_stop', self._stop),
            (f'{dashboard}/unlock_protective_stop', self._unlock),
            (f'{dashboard}/play', self._play),
            ('/io_and_status_controller/resend_robot_program', self._play),
        ):
            node.create_service(Trigger, name, self._answering(call))
        node.create_timer(1.0 / _SCALING_RATE_HZ, self._publish_scaling)
        self._ready.publish(Bool(data=True))

    @property
    def running(self) -> bool:
        """Return whether the arm takes commands."""
        return self._program.running

    def _answering(
        self, call: Callable[[], str]
    ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.message = call()
            response.success = not response.message
            self._ready.publish(Bool(data=self._program.running))
            return response

        return answer

    def _stop(self) -> str:
        self._program.protective_stop(self._now_ns())
        self._simulation.hold_arm()
        return ''

    def _unlock(self) -> str:
        return self._program.unlock(self._now_ns())

    def _play(self) -> str:
        # The motion controllers become active again and hold where the arm is.
        self._simulation.hold_arm()
        return self._program.start()

    def _publish_scaling(self) -> None:
        percent = self._node.get_parameter('speed_slider').value if self.running else 0.0
        arm = self._simulation.channels[0].follower
        if isinstance(arm, ScaledTrajectoryController):
            arm.percent = percent
        self._scaling.publish(Float64(data=percent))

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)
