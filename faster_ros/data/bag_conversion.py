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
A raw bag of a robot to an episode, by the FrameSampler that also records live.

Joints are picked by the names of the robot's file, images from the topics of its cameras or from
``<topic>/compressed``, and actions from what control_node says it sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from faster_ros.data.bag_reader import open_bag
from faster_ros.data.dataset_spec import DatasetFrame, DatasetSpec, Source
from faster_ros.data.frame_sampler import FrameSampler
from faster_ros.data.image_messages import compressed_to_rgb, image_to_rgb
from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import RobotSpec
import numpy as np

_JOINTS, _IMAGE = 'sensor_msgs/msg/JointState', 'sensor_msgs/msg/Image'
_COMPRESSED, _HEADER = 'sensor_msgs/msg/CompressedImage', 'std_msgs/msg/Header'


@dataclass(frozen=True)
class BagTopics:
    """
    The topics that are no matter of the robot's file.

    ``action``: JointState of what was sent. ``lead``: Header, whose ``frame_id`` is the word for
    who led the arm; a bag without it was led by a human.
    """

    action: str = '/control_node/command'
    lead: str = '/teleop_node/lead'


def bag_frames(path: Path, robot: RobotSpec, spec: DatasetSpec,
               topics: BagTopics | None = None) -> Iterator[DatasetFrame]:
    """Return the rows of a bag; a topic that it lacks is an error that names it."""
    sampler = FrameSampler(spec)
    readers = _readers(robot, topics or BagTopics(), sampler)
    with open_bag(path) as reader:
        offered = {item.topic: item.msgtype for item in reader.connections}
        _check_topics(path, robot, offered, topics or BagTopics())
        connections = [item for item in reader.connections
                       if (item.topic, item.msgtype) in readers]
        now_ns = 0
        for connection, now_ns, raw in reader.messages(connections=connections):
            message = reader.deserialize(raw, connection.msgtype)
            try:
                readers[connection.topic, connection.msgtype](message)
            except ValueError as error:
                raise ValueError(f'{path}: {connection.topic}: {error}') from error
            yield from sampler.rows(now_ns)
    if sampler.missing:
        raise ValueError(f"{path}: no messages of {', '.join(sampler.missing)}")


def _readers(robot: RobotSpec, topics: BagTopics, sampler: FrameSampler) -> dict[Any, Any]:
    """Return what takes a message of a topic and type."""
    arms = _Arms(robot, sampler)
    found: dict[Any, Any] = {(arm.state_topic, _JOINTS): partial(arms.add, name)
                             for name, (arm, _) in robot.parts.items()}
    for name, camera in robot.cameras.items():
        size = (camera.width, camera.height)

        def add(message: Any, read: Any, name: str = name, size: Any = size) -> None:
            sampler.add_image(name, _stamp(message), read(message, *size))

        found[camera.topic, _IMAGE] = partial(add, read=image_to_rgb)
        found[f'{camera.topic}/compressed', _COMPRESSED] = partial(add, read=compressed_to_rgb)
    found[topics.action, _JOINTS] = lambda message: sampler.add_action(
        _stamp(message), _by_name(message, robot.action_names))
    found[topics.lead, _HEADER] = lambda message: sampler.set_source(
        _ns(message.stamp), Source.of(message.frame_id))
    return found


class _Arms:
    """Joins the joint states of all arms, as old as the one that was heard longest ago."""

    def __init__(self, robot: RobotSpec, sampler: FrameSampler) -> None:
        self._robot, self._sampler = robot, sampler
        self._states: dict[str, tuple[int, FloatArray]] = {}

    def add(self, arm: str, message: Any) -> None:
        spec, _ = self._robot.parts[arm]
        self._states[arm] = _stamp(message), _by_name(message, spec.driver_joint_names)
        if len(self._states) == len(self._robot.parts):
            self._sampler.add_state(
                min(stamp for stamp, _ in self._states.values()),
                np.concatenate([self._states[name][1] for name in self._robot.parts]))


def _by_name(message: Any, names: tuple[str, ...]) -> FloatArray:
    position = dict(zip(message.name, message.position))
    missing = [name for name in names if name not in position]
    if missing:
        raise ValueError(f"expected the joints {', '.join(names)}, "
                         f"{', '.join(missing)} is missing")
    return np.array([position[name] for name in names])


def _stamp(message: Any) -> int:
    return _ns(message.header.stamp)


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _check_topics(path: Path, robot: RobotSpec, offered: dict[str, str],
                  topics: BagTopics) -> None:
    wanted = [[(topic, _JOINTS)] for topic in (*robot.state_topics, topics.action)]
    wanted += [[(camera.topic, _IMAGE), (f'{camera.topic}/compressed', _COMPRESSED)]
               for camera in robot.cameras.values()]
    absent = [' or '.join(topic for topic, _ in choices) for choices in wanted
              if not any(offered.get(topic) == kind for topic, kind in choices)]
    if absent:
        raise ValueError(f"{path}: expected {', '.join(absent)} of {robot.robot}, got "
                         f"{', '.join(sorted(offered)) or 'no topics'}")
