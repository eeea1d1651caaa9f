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
Watches one arm for the doctor: its joint states, what its driver says, who takes its commands.

One for each arm of a robot; ``doctor_examination`` makes, polls and asks them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
import time
from typing import Any

from faster_ros.doctor.facts import ArmFacts, JointFacts, MissingPackage, TargetFacts
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.doctor_controllers import ControllerQuery
from faster_ros.nodes.doctor_watch import WatchedTopic
from faster_ros.robot_spec import config_path, RobotSpec
from faster_ros.robots.driver_gate import DriverGate, Signal
from faster_ros.robots.gripper_actions import ACTION_MODES, gripper_actions
from faster_ros.robots.optional_messages import apt_package, load, MissingMessagesError
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String


class ArmWatch:
    """Keeps what is heard of one arm; ``missing``: the packages that it lacks here."""

    def __init__(self, node: Node, name: str, spec: RobotSpec) -> None:
        """Subscribe; ``name`` is '' for the only arm of a robot, ``spec`` is of this arm."""
        self._node = node
        self._name = name
        self._spec = spec
        self._complete = 0
        self._problem = ''
        self.missing: list[MissingPackage] = []
        self._gate = DriverGate(spec)
        self._joints = WatchedTopic(node, JointState, spec.state_topic, qos.HISTORY,
                                    self._on_joints)
        self._driver = self._watch_driver()
        self._description = WatchedTopic(node, String, f'{spec.driver_root}/robot_description',
                                         qos.LATCHED)
        self._controllers = ControllerQuery(node, f'{spec.driver_root}/controller_manager')
        self._actions = self._gripper_actions()

    @property
    def speaks(self) -> bool:
        """Return whether a message has come on every topic that is needed."""
        return all(watched.newest is not None for watched in (self._joints, *self._driver))

    def poll(self) -> None:
        """Take what has arrived."""
        for watched in (self._joints, *self._driver, self._description):
            watched.poll()
        self._controllers.step()

    def facts(self, watched_s: float, targets: tuple[TargetFacts, ...]) -> ArmFacts:
        """Return what was seen in this time; ``targets``: where the arm is commanded."""
        topic, description = self._describe()
        return ArmFacts(
            self._name, self._spec, self._joint_facts(watched_s), targets,
            self._controllers.facts, tuple(watched.facts(watched_s) for watched in self._driver),
            self._gate.problem(time.monotonic()), ', '.join(self._actions),
            all(self._node.count_publishers(f'{name}/_action/status') for name in self._actions),
            topic, description)

    def destroy(self) -> None:
        """Disconnect; belongs to the executor's thread."""
        self._controllers.destroy()
        for watched in (self._joints, *self._driver, self._description):
            watched.destroy()

    def _watch_driver(self) -> list[WatchedTopic]:
        watched = []
        for topic, signal in list(self._gate.signals.items()):
            kind = self._type_of(topic, signal)
            # The controllers are asked apart; a gate without its messages cannot judge.
            if kind is None or signal.kind[1] == 'srv':
                self._gate.ignore(topic)
                continue
            watched.append(WatchedTopic(self._node, kind, topic,
                                        qos.LATCHED if signal.latched else qos.SENSOR,
                                        partial(self._on_driver, topic)))
        return watched

    def _type_of(self, topic: str, signal: Signal) -> Any:
        """Return the type of a signal, or None and note that its messages are missing."""
        try:
            return load(*signal.kind, needed_for=f'watching {topic}')
        except MissingMessagesError as error:
            until = '; until then this gate is off' if signal.optional else ''
            self._miss(error, f'watching {topic}{until}', signal.optional)
            return None

    def _gripper_actions(self) -> list[str]:
        """Return the names of the gripper's actions, none if it is commanded by topic."""
        gripper = self._spec.gripper
        if gripper.mode not in ACTION_MODES:
            return []
        try:
            return sorted({action.name for action in gripper_actions(gripper).values()})
        except MissingMessagesError as error:
            self._miss(error, f'the gripper on {gripper.topic}')
            return [gripper.topic]

    def _miss(self, error: MissingMessagesError, purpose: str, optional: bool = False) -> None:
        name = str(error.name)
        self.missing.append(MissingPackage(
            name, purpose, f'sudo apt install {apt_package(name)}, or build {name} in your '
            'workspace', optional))

    def _on_driver(self, topic: str, message: Any) -> None:
        self._gate.hear(topic, message, time.monotonic())

    def _on_joints(self, message: JointState) -> None:
        try:
            conversions.state_from_message(message, self._spec)
        except ValueError as error:
            self._problem = str(error)
        else:
            self._complete += 1

    def _joint_facts(self, watched_s: float) -> JointFacts:
        newest = self._joints.newest
        return JointFacts(self._joints.facts(watched_s),
                          () if newest is None else tuple(newest.name),
                          () if newest is None else tuple(newest.position),
                          self._complete, self._problem)

    def _describe(self) -> tuple[str, str]:
        """Return the URDF and where it comes from: the topic, else the file of the robot."""
        watched = self._description
        if watched.newest is not None:
            return watched.topic, watched.newest.data
        try:
            file = config_path(str(Path('urdf', self._spec.urdf)))
            return str(file), file.read_text()
        except OSError:
            return watched.topic, ''
