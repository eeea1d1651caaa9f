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
import os
from threading import Thread
import time
from typing import Any

from faster_ros.bringup import fast_dds_variable
from faster_ros.doctor.diagnose import diagnose
from faster_ros.doctor.facts import (
    CameraFacts,
    CheckpointFacts,
    Facts,
    MissingPackage,
    SystemFacts,
    TargetFacts,
)
from faster_ros.doctor.machine import machine_facts, missing_modules
from faster_ros.doctor.report import Report
from faster_ros.nodes import images, qos
from faster_ros.nodes.doctor_arm import ArmWatch
from faster_ros.nodes.doctor_watch import endpoints, type_name, WatchedTopic
from faster_ros.nodes.policy_loading import connect
from faster_ros.policy.compatibility import read_config
from faster_ros.policy.hub import local_folder
from faster_ros.policy_server.settings import is_server
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.arm_interface import ArmInterface
from faster_ros.runtime.scheduling import request_real_time
from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CompressedImage, Image

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
        self._arms = [ArmWatch(node, name, arm) for name, (arm, _) in spec.parts.items()]
        self._cameras = {name: self._watch_camera(camera.topic)
                         for name, camera in spec.cameras.items()}
        self._watched: list[ArmWatch | WatchedTopic] = [*self._arms, *self._cameras.values()]
        self._begin_s = time.monotonic()
        self._end_s: float | None = None
        self._timer = node.create_timer(_POLL_S, self._step)

    def close(self) -> None:
        """Disconnect; belongs to the executor's thread."""
        self._node.destroy_timer(self._timer)
        for watched in self._watched:
            watched.destroy()

    def _watch_camera(self, topic: str) -> WatchedTopic:
        if self._settings.compressed:
            return WatchedTopic(self._node, CompressedImage, f'{topic}/compressed', qos.CAMERA)
        return WatchedTopic(self._node, Image, topic, qos.CAMERA)

    def _step(self) -> None:
        for watched in self._watched:
            watched.poll()
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
        return (all(arm.speaks for arm in self._arms)
                and all(camera.newest is not None for camera in self._cameras.values()))

    def _facts(self) -> Facts:
        settings, spec = self._settings, self._settings.spec
        missing = tuple(package for arm in self._arms for package in arm.missing)
        if settings.checkpoint and not is_server(settings.checkpoint):
            missing += missing_modules()
        targets = self._targets()
        return Facts(
            spec=spec, arms=tuple(
                watched.facts(self._watched_s, _of_arm(arm, targets))
                for watched, (arm, _) in zip(self._arms, spec.parts.values())),
            cameras=tuple(self._camera_facts(name) for name in spec.cameras),
            base=targets[spec.base.topic] if spec.base else None,
            system=_system(settings.environment, missing),
            checkpoint=checkpoint_facts(settings.checkpoint, spec), dry_run=settings.dry_run)

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

    def _targets(self) -> dict[str, TargetFacts]:
        """Return all that will be commanded, by topic."""
        node = self._node
        return {topic: TargetFacts(topic, type_name(kind),
                                   endpoints(node.get_subscriptions_info_by_topic(topic)),
                                   endpoints(node.get_publishers_info_by_topic(topic)))
                for topic, kind in ArmInterface(self._settings.spec).topics.items()}


def _of_arm(arm: RobotSpec, targets: Mapping[str, TargetFacts]) -> tuple[TargetFacts, ...]:
    """Return the topics of one arm and of its gripper, which may be the same or an action."""
    topics = dict.fromkeys((arm.command_topic, arm.gripper.topic))
    return tuple(targets[topic] for topic in topics if topic in targets)


def checkpoint_facts(folder: str, spec: RobotSpec) -> CheckpointFacts:
    """Return what is known of a checkpoint in a folder, or behind a policy server."""
    if not folder:
        return CheckpointFacts()
    try:
        if is_server(folder):
            policy = connect(folder, spec)
            policy.close()
            return CheckpointFacts(folder, policy.served.config, served=True)
        place = local_folder(folder)
        return CheckpointFacts(str(place), read_config(place))
    except ValueError as error:
        return CheckpointFacts(folder, problem=str(error))


def _system(environment: Mapping[str, str],
            missing: tuple[MissingPackage, ...]) -> SystemFacts:
    answer: list[bool] = []
    thread = Thread(target=lambda: answer.append(request_real_time(_PRIORITY)))
    thread.start()  # a thread of its own: the priority stays with who asked for it
    thread.join()
    return machine_facts(environment, fast_dds_variable(), get_rmw_implementation_identifier(),
                         answer[0], missing)
