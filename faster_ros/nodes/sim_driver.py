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
The command topics of a simulated robot, read as its driver reads them; used by sim_node.

One subscription for each channel of ``sim/followers.py``, and one for a mobile base, of which the
simulation only keeps what it was told. A command that is refused is counted
and logged, as the real drivers do; nobody is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from faster_ros.nodes import qos
from faster_ros.nodes.conversions import to_ns
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.robot_spec import BaseSpec, GripperSpec
from faster_ros.sim.followers import Channel
from faster_ros.sim.forward_controller import ForwardController
from faster_ros.sim.joint_state_driver import JointStateDriver
from faster_ros.sim.trajectory_controller import (
    CommandRejected,
    TrajectoryController,
    TrajectoryPoint,
    TrajectoryRejected,
)
from geometry_msgs.msg import Twist
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

_REPEATED_REJECTION_NS = 1_000_000_000  # the same rejection is logged once in this time


class SimDriver:
    """
    Commands the followers; ``rejected`` counts what was refused.

    ``base_velocity``: what a mobile base was told last, in m/s and rad/s.
    """

    def __init__(self, node: Node, base: BaseSpec | None, channels: Sequence[Channel],
                 runs: Callable[[], bool]) -> None:
        """Subscribe; ``runs`` tells whether the driver takes commands, others are lost."""
        self.rejected = 0
        self.base_velocity = (0.0, 0.0)
        self._node = node
        self._runs = runs
        self._now_ns = 0
        self._last_rejection = ('', 0)
        takers = [(channel.topic, *self._taker(channel)) for channel in channels]
        if base is not None:
            takers.append((base.topic, Twist, self._take_twist))
        self._subscriptions = [
            PolledSubscription(node, kind, topic, self._guarded(topic, take), qos.COMMAND)
            for topic, kind, take in takers]

    def poll(self, now_ns: int) -> None:
        """Take the commands that have come; belongs to the physics thread."""
        self._now_ns = now_ns
        for subscription in self._subscriptions:
            subscription.poll()

    def _taker(self, channel: Channel) -> tuple[type[Any], Callable[[Any], None]]:
        """Return the message type of a channel and the function that commands its follower."""
        follower, gripper = channel.follower, channel.gripper
        if isinstance(follower, TrajectoryController):
            return JointTrajectory, lambda message: _set_trajectory(follower, message,
                                                                    self._now_ns)
        if isinstance(follower, JointStateDriver):
            return JointState, lambda message: follower.set_command(
                message.name, message.position, message.velocity)
        assert isinstance(follower, ForwardController)
        return Float64MultiArray, lambda message: follower.set_command(
            [_from_driver(gripper, value) for value in message.data])

    def _take_twist(self, message: Twist) -> None:
        self.base_velocity = (message.linear.x, message.angular.z)

    def _guarded(self, topic: str, take: Callable[[Any], None]) -> Callable[[Any, object], None]:
        def guarded(message: Any, _: object) -> None:
            if not self._runs():
                return
            try:
                take(message)
            except CommandRejected as rejection:
                self.rejected += 1
                kind = 'trajectory' if isinstance(rejection, TrajectoryRejected) else 'command'
                self._log(f'{kind} on {topic} rejected: {rejection}')

        return guarded

    def _log(self, text: str) -> None:
        last_text, last_ns = self._last_rejection
        if text != last_text or self._now_ns - last_ns > _REPEATED_REJECTION_NS:
            self._node.get_logger().warning(text)
            self._last_rejection = (text, self._now_ns)


def _set_trajectory(controller: TrajectoryController, message: JointTrajectory,
                    now_ns: int) -> None:
    if any(len(point.effort) for point in message.points):
        raise TrajectoryRejected('expected no effort values, got some')
    points = [
        TrajectoryPoint(
            to_ns(point.time_from_start), point.positions, point.velocities, point.accelerations
        )
        for point in message.points
    ]
    controller.set_trajectory(message.joint_names, to_ns(message.header.stamp), points, now_ns)


def _from_driver(gripper: GripperSpec | None, value: float) -> float:
    """Return a joint position for what a driver is told."""
    if gripper is None:
        return float(value)
    share = (value - gripper.command_closed) / (gripper.command_open - gripper.command_closed)
    return float(gripper.closed + share * (gripper.open - gripper.closed))
