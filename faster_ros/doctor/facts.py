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
What the doctor knows about a robot's surroundings before it judges them.

Plain values that ``nodes/doctor_examination.py`` collects over ROS 2 and tests write by hand; the
files ``*_checks.py`` beside this one turn them into lines of the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from faster_ros.robot_spec import RobotSpec


@dataclass(frozen=True)
class Quality:
    """The part of a quality of service that can keep two endpoints apart; deadline in s."""

    reliable: bool = True
    transient_local: bool = False
    deadline_s: float = inf


@dataclass(frozen=True)
class Endpoint:
    """One publisher or one subscription: full name of its node, message type, quality."""

    node: str
    type_name: str
    quality: Quality = Quality()


@dataclass(frozen=True)
class StreamFacts:
    """
    What arrived on one topic while the doctor watched for ``seconds``.

    ``stamps_ns`` and ``arrivals_ns``: one entry per message, in order of arrival, ROS clock.
    ``similar``: other topics of the same type that somebody publishes.
    """

    topic: str
    type_name: str
    requested: Quality
    seconds: float
    publishers: tuple[Endpoint, ...] = ()
    stamps_ns: tuple[int, ...] = ()
    arrivals_ns: tuple[int, ...] = ()
    similar: tuple[str, ...] = ()


@dataclass(frozen=True)
class JointFacts:
    """
    The joint states: names and positions of the newest message, in its own order.

    ``complete``: messages with every joint of the robot; ``problem``: why the last incomplete
    one could not be used.
    """

    stream: StreamFacts
    names: tuple[str, ...] = ()
    positions: tuple[float, ...] = ()
    complete: int = 0
    problem: str = ''


@dataclass(frozen=True)
class CameraFacts:
    """
    One camera: its newest image as the policy would read it.

    ``unreadable``: the reader's error, or ''; ``size_bytes``: of the message's data;
    ``compressed_offered``: whether somebody publishes the topic + ``/compressed``.
    """

    name: str
    stream: StreamFacts
    encoding: str = ''
    width: int = 0
    height: int = 0
    size_bytes: int = 0
    unreadable: str = ''
    compressed_offered: bool = False


@dataclass(frozen=True)
class TargetFacts:
    """A topic that will be commanded, what is sent there, and who is at its two ends."""

    topic: str
    type_name: str
    receivers: tuple[Endpoint, ...] = ()
    publishers: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class ControllerFacts:
    """
    Controllers and their states, as the controller manager lists them.

    ``manager``: its service, '' if there is none; ``problem``: why it could not be asked.
    """

    manager: str = ''
    states: Mapping[str, str] = field(default_factory=dict)
    problem: str = ''


@dataclass(frozen=True)
class ArmFacts:
    """
    One arm with its driver: ``name``, '' if it is the only one, and its own ``spec``.

    ``targets``: where arm and gripper are commanded. ``driver``: the topics with which the driver
    says whether it follows; ``driver_problem``: what it said. ``gripper_action``: the name of the
    gripper's action, '' if it is commanded by topic. ``description``: the URDF on
    ``description_topic``, or else the robot file's, whose path then stands for the topic; '' if
    there is neither.
    """

    name: str
    spec: RobotSpec
    joints: JointFacts
    targets: tuple[TargetFacts, ...] = ()
    controllers: ControllerFacts = ControllerFacts()
    driver: tuple[StreamFacts, ...] = ()
    driver_problem: str = ''
    gripper_action: str = ''
    gripper_served: bool = False
    description_topic: str = ''
    description: str = ''


@dataclass(frozen=True)
class MissingPackage:
    """A package that is not installed: what for, how to get it; ``optional``: all else runs."""

    name: str
    purpose: str
    remedy: str
    optional: bool = False


@dataclass(frozen=True)
class CheckpointFacts:
    """
    A checkpoint: its folder ('' if none is meant), its config, or why that is unreadable.

    ``served``: behind a policy server, which has been compared with the robot already.
    """

    folder: str = ''
    config: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ''
    served: bool = False


@dataclass(frozen=True)
class SystemFacts:
    """
    The machine and the middleware.

    ``real_time``: whether SCHED_FIFO may be asked for. ``governor``: of the first core, '' if
    unknown. ``profile``: the file that Fast DDS is told to read, '' if none. ``segment_bytes``:
    the shared memory that this file gives a participant, 0 if it does not say.
    """

    real_time: bool = False
    real_time_kernel: bool = False
    governor: str = ''
    cores: int = 1
    middleware: str = ''
    profile_variable: str = ''
    profile: str = ''
    segment_bytes: int = 0
    missing: tuple[MissingPackage, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Everything that one examination found; ``base``: where a mobile base is commanded."""

    spec: RobotSpec
    arms: tuple[ArmFacts, ...]
    cameras: tuple[CameraFacts, ...]
    base: TargetFacts | None = None
    system: SystemFacts = SystemFacts()
    checkpoint: CheckpointFacts = CheckpointFacts()
    dry_run: bool = False
