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
Drives an FR3 by libfranka on a machine without franka_ros2, behind the same topics.

Takes the joint trajectories that ``control_node`` sends, by the rules of ros2_control's
joint_trajectory_controller, and publishes the joint states. The loop of 1 kHz
(``robots/libfranka_arm.py``) and the hand have a process each; this one speaks ROS.
"""

from __future__ import annotations

from dataclasses import dataclass
import gc
from multiprocessing.connection import Connection
import sys
from threading import Event
import time
from typing import Any

from faster_ros.nodes import diagnostics, qos
from faster_ros.nodes.conversions import to_ns, to_time
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.spinning import run_node
from faster_ros.nodes.worker_process import offer, received, Worker
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.robots.libfranka_arm import ArmReport, connect, FrankaLoop, vendor
from faster_ros.robots.libfranka_hand import FrankaHand
from faster_ros.runtime.scheduling import request_real_time
from faster_ros.sim.trajectory_controller import (
    TrajectoryController,
    TrajectoryPoint,
    TrajectoryRejected,
)
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

_LONGEST_RECOVERY_S = 5.0
_HAND_PERIOD_S = 0.02


@dataclass(frozen=True)
class LibfrankaParameters:
    """Parameters of libfranka_node."""

    robot: str = parameter('fr3_direct', 'robot name or path of its YAML file')
    address: str = parameter('172.16.0.2', 'name or IP address of the arm')
    enforce_real_time: bool = parameter(True, 'refuse a kernel without PREEMPT_RT, as libfranka '
                                        'does')
    realtime_priority: int = parameter(80, 'SCHED_FIFO priority to ask for; 0 asks for none',
                                       0, 99)


@dataclass(frozen=True)
class _Trajectory:
    """A trajectory message as it crosses to the loop."""

    names: tuple[str, ...]
    stamp_ns: int
    points: tuple[TrajectoryPoint, ...]


@dataclass(frozen=True)
class _HandReport:
    """Measured distance of the fingers in m, if there is one, and what is wrong with the hand."""

    width: float | None
    problem: str


class LibfrankaNode(Node):
    """Topics and services of one arm; see ``docs/drivers.md``."""

    def __init__(self) -> None:
        super().__init__('libfranka_node')
        self._config = config = declare(self, LibfrankaParameters)
        self._spec = spec = load_robot_spec(config.robot)
        vendor()  # a missing package is said here, in one line
        if config.realtime_priority > 0:  # below the loop; the hand's process inherits it
            request_real_time(max(1, config.realtime_priority // 2))
        self._log = diagnostics.EdgeLog(self.get_logger())
        self._problem: str | None = None
        self._width: float | None = None
        self._recovered = Event()
        self._states = self.create_publisher(JointState, spec.state_topic, qos.COMMAND)
        self._ready = self.create_publisher(Bool, '~/ready', qos.LATCHED)
        self._note_problem('no state of the arm yet')
        self._arm = Worker(_serve_arm, (config.address, config.enforce_real_time, spec),
                           config.realtime_priority, self._on_arm, self._on_arm_end)
        self._hand = Worker(_serve_hand, (config.address, spec), 0, self._on_hand,
                            self._on_hand_end)
        self.create_subscription(JointTrajectory, spec.command_topic, self._on_trajectory,
                                 qos.COMMAND)
        self.create_subscription(Float64MultiArray, spec.gripper.topic, self._on_gripper,
                                 qos.COMMAND)
        self.create_service(Trigger, '~/recover', self._on_recover)
        self.create_service(Trigger, '~/home_hand', self._on_home)
        self.get_logger().info(
            f'{spec.robot} at {config.address}: trajectories on {spec.command_topic}, states on '
            f'{spec.state_topic}; arm in process {self._arm.pid}, hand in {self._hand.pid}')

    def stop(self) -> None:
        """Let the arm come to rest and release it."""
        self._arm.stop()
        self._hand.stop()

    def _on_trajectory(self, message: JointTrajectory) -> None:
        if any(len(point.effort) for point in message.points):
            self._log.problem('trajectory', f'trajectory on {self._spec.command_topic} rejected: '
                              'expected no effort values, got some')
            return
        points = tuple(
            TrajectoryPoint(to_ns(point.time_from_start), point.positions.tolist(),
                            point.velocities.tolist(), point.accelerations.tolist())
            for point in message.points)
        self._arm.send(_Trajectory(tuple(message.joint_names), to_ns(message.header.stamp),
                                   points))

    def _on_gripper(self, message: Float64MultiArray) -> None:
        if len(message.data) != 1:
            self._log.problem('gripper', f'expected one width on {self._spec.gripper.topic}, got '
                              f'{len(message.data)} numbers')
        else:
            self._hand.send(float(message.data[0]))

    def _on_arm(self, message: Any) -> None:
        if isinstance(message, str):
            self._log.problem('trajectory', message)
            return
        if self.context.ok():
            self._note_problem(message.problem)
            self._publish_state(message)
        if not message.problem:
            self._recovered.set()

    def _publish_state(self, report: ArmReport) -> None:
        spec, width = self._spec, self._width
        if not report.positions:
            return
        message = JointState(name=list(spec.arm_joint_names), position=report.positions,
                             velocity=report.velocities)
        message.header.stamp = to_time(report.stamp_ns)
        if width is not None:  # both fingers, as franka_ros2 names them
            message.name += [spec.gripper.joint, spec.gripper.joint.replace('joint1', 'joint2')]
            message.position.extend((width / 2, width / 2))
            message.velocity.extend((0.0, 0.0))
        self._states.publish(message)

    def _on_arm_end(self) -> None:
        if self.context.ok():
            self._note_problem(f'the loop of the arm has ended ({self._problem}); start this node '
                               'again')

    def _note_problem(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        self._ready.publish(Bool(data=not problem))
        if problem:
            self._log.problem('arm', f'not ready: {problem}')
        else:
            self._log.solved('arm', 'ready: the arm follows trajectories')

    def _on_hand(self, report: _HandReport) -> None:
        self._width = self._width if report.width is None else report.width
        if report.problem:
            self._log.problem('hand', report.problem)
        else:
            self._log.solved('hand', 'the hand answers again')

    def _on_hand_end(self) -> None:
        self._width = None  # arming needs a measured finger
        if self.context.ok():
            self._log.problem('hand', 'the process of the hand has ended; start this node again')

    def _on_recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._recovered.clear()
        self._arm.send('recover')
        response.success = self._recovered.wait(_LONGEST_RECOVERY_S)
        response.message = ('the arm holds its pose; arm control_node again to move'
                            if response.success else str(self._problem))
        return response

    def _on_home(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._hand.send('home')
        response.success = True
        response.message = 'homing: the fingers move'
        return response


def _serve_arm(inbox: Connection, outbox: Connection, address: str, enforce_real_time: bool,
               spec: RobotSpec) -> None:
    """Be the process of the loop of 1 kHz."""
    gc.disable()  # a collection takes longer than a cycle
    names = spec.arm_joint_names
    trajectories = TrajectoryController(names, spec.home_positions[:len(names)])
    try:
        robot = connect(address, enforce_real_time)
    except OSError as error:
        outbox.send(ArmReport(0, (), (), str(error)))
        return

    def tend(loop: FrankaLoop) -> None:
        messages = received(inbox)
        if messages is None:
            loop.stopping = True
            return
        for message in messages:
            if message == 'recover':
                loop.recover()
            elif not loop.problem:
                _set(trajectories, message, loop.now_ns, outbox)

    loop = FrankaLoop(robot, trajectories, spec.limit_array('acceleration')[:len(names)], tend,
                      lambda report: offer(outbox, report), time.time_ns)
    loop.run()


def _set(trajectories: TrajectoryController, message: _Trajectory, now_ns: int,
         outbox: Connection) -> None:
    try:
        trajectories.set_trajectory(message.names, message.stamp_ns, message.points, now_ns)
    except TrajectoryRejected as rejection:
        offer(outbox, f'trajectory rejected: {rejection}')


def _serve_hand(inbox: Connection, outbox: Connection, address: str, spec: RobotSpec) -> None:
    """Be the process of the hand."""
    try:
        _follow_hand(inbox, outbox, FrankaHand(address, spec.gripper))
    except OSError as error:
        outbox.send(_HandReport(None, str(error)))


def _follow_hand(inbox: Connection, outbox: Connection, hand: FrankaHand) -> None:
    width: float | None = None
    while (messages := received(inbox)) is not None:
        for message in messages:
            if message == 'home':
                hand.home()
            else:
                width = message
        if width is not None:
            hand.follow(width, time.monotonic_ns())
        offer(outbox, _HandReport(hand.width(), hand.problem))
        time.sleep(_HAND_PERIOD_S)


def make_node() -> LibfrankaNode:
    """Make the node."""
    return LibfrankaNode()


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('libfranka_node', make_node, args))


if __name__ == '__main__':
    main()
