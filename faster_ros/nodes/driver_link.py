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
DriverLink: the topics and actions between ``control_node`` and the drivers of one robot.

``robots.ArmInterface`` makes the messages; this publishes them, watches for silence where silence
would let the arm move on, and drives a gripper that is an action.
"""

from __future__ import annotations

import time

from faster_ros.interfaces import JointCommand, RobotState
from faster_ros.nodes import diagnostics, qos
from faster_ros.nodes.gripper_client import GripperClient
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.arm_interface import ArmInterface, CommandOptions, DRY_RUN, Outgoing
from faster_ros.robots.gripper_actions import ACTION_MODES
from rclpy.action.client import ActionClient
from rclpy.node import Node

_WATCH_PERIOD_S = 0.05
_SIMULATOR = 'sim_node'


class DriverLink:
    """``send``, ``pause`` and ``rest`` belong to the control loop, all else to the executor."""

    def __init__(self, node: Node, spec: RobotSpec, options: CommandOptions,
                 log: diagnostics.EdgeLog) -> None:
        self._node = node
        self._spec = spec
        self._log = log
        self._arm = ArmInterface(spec, options)
        self._prefix = DRY_RUN if options.dry_run else ''
        self._sent_at = time.monotonic()
        self._sending_since: float | None = None
        self._publishers = {topic: node.create_publisher(kind, topic, qos.COMMAND)
                            for topic, kind in self._arm.topics.items()}
        self._grippers = {} if options.dry_run else {
            index: GripperClient(gripper, lambda kind, name: ActionClient(node, kind, name))
            for index, gripper in zip(spec.gripper_indices, spec.grippers)
            if gripper.mode in ACTION_MODES}
        if self._grippers:
            node.create_timer(_WATCH_PERIOD_S, self._follow_grippers)
        if self._arm.silence_moves:
            node.create_timer(_WATCH_PERIOD_S, self._watch)

    def table(self, rate_hz: float) -> list[str]:
        """Return the lines of the start-up table."""
        lines = []
        for name, (arm, _) in self._spec.parts.items():
            whose = f'{name} ' if name else ''
            where = '' if arm.gripper.mode in ACTION_MODES else self._prefix
            lines += [f'  arm      {whose}{arm.command_mode} on {self._prefix}{arm.command_topic} '
                      f'at {rate_hz:g} Hz',
                      f'  gripper  {whose}{arm.gripper.mode} on {where}{arm.gripper.topic}']
        base = self._spec.base
        return lines + ([f'  base     Twist on {self._prefix}{base.topic}'] if base else [])

    def send(self, command: JointCommand, state: RobotState | None) -> None:
        """Publish one command; ``state`` is the measured one."""
        self._publish(self._arm.write(command, state))
        self._sent_at = time.monotonic()
        self._sending_since = self._sending_since or self._sent_at
        for index, gripper in self._grippers.items():
            gripper.position = float(command.positions[index])

    def pause(self) -> None:
        """Publish what belongs into a period without a command."""
        self._sending_since = None
        self._publish(self._arm.rest())

    def rest(self) -> None:
        """Publish all that makes silence safe from here on."""
        while outgoing := self._arm.rest():
            self._publish(outgoing)
            time.sleep(0.005)

    def commanded_s(self) -> float:
        """Return for how long commands have been sent without a pause."""
        since = self._sending_since
        return 0.0 if since is None else time.monotonic() - since

    def restart(self) -> None:
        """Leave each gripper as it is until the commands say otherwise."""
        for gripper in self._grippers.values():
            gripper.restart()

    def rival(self) -> str:
        """
        Return '' or why commands would not do what they are meant to.

        Someone else commands an arm or a base whose topic is easily shared, or a real robot
        listens beside the simulated one.
        """
        for topic in self._spec.state_topics:
            names = [info.node_name for info in self._node.get_publishers_info_by_topic(topic)]
            if _SIMULATOR in names and len(names) > 1:
                return (f'{", ".join(sorted(names))} report joints on {topic}: expected no robot '
                        'beside the simulated one, which would move with it; start it with '
                        'another ROS_DOMAIN_ID')
        shared = [(arm.command_topic, 'arm', 'a leader arm, a joint_state_publisher or a driver '
                   'that reports there') for arm, _ in self._spec.parts.values()
                  if arm.command_mode == 'joint_state']
        if self._spec.base is not None:
            shared.append((self._spec.base.topic, 'base', 'a joystick or a navigation stack'))
        for topic, what, who in shared:
            others = self._node.count_publishers(self._prefix + topic) - 1
            if others >= 1:
                return (f'{others} other publishers on {self._prefix}{topic}, which moves the '
                        f'{what}; expected none ({who}?)')
        return ''

    def _publish(self, outgoing: Outgoing) -> None:
        for topic, message in outgoing:
            self._publishers[topic].publish(message)

    def _watch(self) -> None:
        self._publish(self._arm.late(time.monotonic() - self._sent_at))

    def _follow_grippers(self) -> None:
        for index, gripper in self._grippers.items():
            problem = gripper.step(time.monotonic_ns())
            if problem:
                self._log.problem(f'gripper {index}', problem)
            else:
                self._log.solved(f'gripper {index}', 'the gripper answers again')
