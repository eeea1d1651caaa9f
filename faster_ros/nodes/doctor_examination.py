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
One examination of a robot: subscribe, watch for some seconds, look at the graph, judge.

The judging is in ``faster_ros/doctor``; this collects the facts. Nothing is published and no
service is called but the list of controllers. Used by ``doctor_node`` and ``faster_ros doctor``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
import os
from pathlib import Path
from threading import Thread
import time
from typing import Any

from faster_ros.bringup import fast_dds_variable
from faster_ros.doctor.diagnose import diagnose
from faster_ros.doctor.facts import (
    CameraFacts,
    CheckpointFacts,
    Facts,
    JointFacts,
    SystemFacts,
    TargetFacts,
)
from faster_ros.doctor.machine import machine_facts, missing_modules
from faster_ros.doctor.report import Report
from faster_ros.nodes import conversions, images, qos
from faster_ros.nodes.doctor_controllers import ControllerQuery
from faster_ros.nodes.doctor_watch import endpoints, type_name, WatchedTopic
from faster_ros.policy.compatibility import read_config
from faster_ros.robot_spec import config_path, RobotSpec
from faster_ros.robots.arm_interface import ArmInterface
from faster_ros.robots.driver_gate import DriverGate, Signal
from faster_ros.robots.gripper_actions import ACTION_MODES, gripper_actions
from faster_ros.robots.optional_messages import apt_package, load, MissingMessagesError
from faster_ros.runtime.scheduling import request_real_time
from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String

_POLL_S = 0.02
_PRIORITY = 20  # what control_node asks for
_DISCOVERY_S = 4.0  # nodes that run already have found each other by then


@dataclass(frozen=True)
class Settings:
    """What is examined, for how long; ``environment``: of the shell that starts the drivers."""

    spec: RobotSpec
    checkpoint: str = ''
    compressed: bool = False
    dry_run: bool = False
    seconds: float = 3.0
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class Examination:
    """Watches from its making on; ``done`` gets the report, then all is destroyed."""

    def __init__(self, node: Node, settings: Settings, done: Callable[[Report], None]) -> None:
        self._node = node
        self._settings = settings
        self._done = done
        spec = settings.spec
        self._complete = 0
        self._problem = ''
        self._gate = DriverGate(spec)
        self._joints = WatchedTopic(node, JointState, spec.state_topic, qos.HISTORY,
                                    self._on_joints)
        self._cameras = {name: self._watch_camera(camera.topic)
                         for name, camera in spec.cameras.items()}
        self._driver = self._watch_driver()
        space = driver_root(spec)
        self._description = WatchedTopic(node, String, f'{space}/robot_description', qos.LATCHED)
        self._watched = [self._joints, *self._cameras.values(), *self._driver, self._description]
        self._controllers = ControllerQuery(node, f'{space}/controller_manager')
        self._begin_s = time.monotonic()
        self._end_s: float | None = None
        self._timer = node.create_timer(_POLL_S, self._step)

    def close(self) -> None:
        """Disconnect; belongs to the executor's thread."""
        self._node.destroy_timer(self._timer)
        self._controllers.destroy()
        for watched in self._watched:
            watched.destroy()

    def _watch_camera(self, topic: str) -> WatchedTopic:
        if self._settings.compressed:
            return WatchedTopic(self._node, CompressedImage, f'{topic}/compressed', qos.CAMERA)
        return WatchedTopic(self._node, Image, topic, qos.CAMERA)

    def _watch_driver(self) -> list[WatchedTopic]:
        watched = []
        for topic, signal in list(self._gate.signals.items()):
            # The controllers are asked apart; a package that is missing turns the gate off.
            kind = None if signal.kind[1] == 'srv' else self._type_of(topic, signal)
            if kind is None:
                self._gate.ignore(topic)
                continue
            watched.append(WatchedTopic(self._node, kind, topic,
                                        qos.LATCHED if signal.latched else qos.SENSOR,
                                        partial(self._on_driver, topic)))
        return watched

    @staticmethod
    def _type_of(topic: str, signal: Signal) -> Any:
        try:
            return load(*signal.kind, needed_for=f'watching {topic}')
        except MissingMessagesError:
            if not signal.optional:
                raise
            return None

    def _on_driver(self, topic: str, message: Any) -> None:
        self._gate.hear(topic, message, time.monotonic())

    def _on_joints(self, message: JointState) -> None:
        try:
            conversions.state_from_message(message, self._settings.spec)
        except ValueError as error:
            self._problem = str(error)
        else:
            self._complete += 1

    def _step(self) -> None:
        for watched in self._watched:
            watched.poll()
        self._controllers.step()
        now_s = time.monotonic()
        discovered = self._all_speak or now_s > self._begin_s + _DISCOVERY_S
        if self._end_s is None and discovered:
            self._end_s = now_s + self._settings.seconds
        if self._end_s is None or now_s < self._end_s:
            return
        report = diagnose(self._facts())
        self.close()
        self._done(report)

    @property
    def _watched_s(self) -> float:
        return round(time.monotonic() - self._begin_s, 1)

    @property
    def _all_speak(self) -> bool:
        streams = (self._joints, *self._cameras.values(), *self._driver)
        return all(stream.newest is not None for stream in streams)

    def _facts(self) -> Facts:
        settings, spec = self._settings, self._settings.spec
        watched_s = self._watched_s
        actions, missing = _gripper_needs(spec)
        if settings.checkpoint:
            missing += missing_modules()
        topic, description = self._describe()
        return Facts(
            spec=spec, joints=self._joint_facts(),
            cameras=tuple(self._camera_facts(name) for name in spec.cameras),
            targets=self._targets(), system=_system(settings.environment, missing),
            checkpoint=_checkpoint(settings.checkpoint), controllers=self._controllers.facts,
            driver=tuple(watched.facts(watched_s) for watched in self._driver),
            driver_problem=self._gate.problem(time.monotonic()), gripper_action=', '.join(actions),
            gripper_served=all(self._node.count_publishers(f'{name}/_action/status')
                               for name in actions),
            description_topic=topic, description=description, dry_run=settings.dry_run)

    def _describe(self) -> tuple[str, str]:
        """Return the URDF and where it comes from: the topic, else the file of the robot."""
        watched = self._description
        if watched.newest is not None:
            return watched.topic, watched.newest.data
        try:
            file = config_path(str(Path('urdf', self._settings.spec.urdf)))
            return str(file), file.read_text()
        except OSError:
            return watched.topic, ''

    def _joint_facts(self) -> JointFacts:
        newest = self._joints.newest
        return JointFacts(self._joints.facts(self._watched_s),
                          () if newest is None else tuple(newest.name),
                          () if newest is None else tuple(newest.position),
                          self._complete, self._problem)

    def _camera_facts(self, name: str) -> CameraFacts:
        watched, spec = self._cameras[name], self._settings.spec.cameras[name]
        stream, newest = watched.facts(self._watched_s), watched.newest
        if newest is None:
            offered = self._node.count_publishers(f'{spec.topic}/compressed') > 0
            return CameraFacts(name, stream,
                               compressed_offered=offered and not self._settings.compressed)
        compressed = isinstance(newest, CompressedImage)
        read: Any = images.compressed_to_rgb if compressed else images.image_to_rgb
        try:
            read(newest, spec.width, spec.height)
            unreadable = ''
        except ValueError as error:
            unreadable = str(error)
        if compressed:
            return CameraFacts(name, stream, newest.format, spec.width, spec.height,
                               len(newest.data), unreadable)
        return CameraFacts(name, stream, newest.encoding, newest.width, newest.height,
                           len(newest.data), unreadable)

    def _targets(self) -> tuple[TargetFacts, ...]:
        node = self._node
        return tuple(
            TargetFacts(topic, type_name(kind),
                        endpoints(node.get_subscriptions_info_by_topic(topic)),
                        endpoints(node.get_publishers_info_by_topic(topic)))
            for topic, kind in ArmInterface(self._settings.spec).topics.items())


def driver_root(spec: RobotSpec) -> str:
    """Return the namespace of the driver, '' for the root."""
    return f'/{spec.driver_namespace.strip("/")}' if spec.driver_namespace else ''


def _gripper_needs(spec: RobotSpec) -> tuple[list[str], tuple[tuple[str, str, str], ...]]:
    """Return the names of the gripper's actions and, if they are missing, their messages."""
    if spec.gripper.mode not in ACTION_MODES:
        return [], ()
    try:
        return sorted({action.name for action in gripper_actions(spec.gripper).values()}), ()
    except MissingMessagesError as error:
        package = str(error.name)
        return [spec.gripper.topic], (
            (package, f'the gripper on {spec.gripper.topic}',
             f'sudo apt install {apt_package(package)}'),)


def _checkpoint(folder: str) -> CheckpointFacts:
    if not folder:
        return CheckpointFacts()
    try:
        return CheckpointFacts(folder, read_config(Path(folder)))
    except ValueError as error:
        return CheckpointFacts(folder, problem=str(error))


def _system(environment: Mapping[str, str],
            missing: tuple[tuple[str, str, str], ...]) -> SystemFacts:
    answer: list[bool] = []
    thread = Thread(target=lambda: answer.append(request_real_time(_PRIORITY)))
    thread.start()  # a thread of its own: the priority stays with who asked for it
    thread.join()
    return machine_facts(environment, fast_dds_variable(), get_rmw_implementation_identifier(),
                         answer[0], missing)
