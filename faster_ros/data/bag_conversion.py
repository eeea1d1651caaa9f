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
``<topic>/compressed``, and actions from what control_node says it sent. As live, joint states of
other hardware are passed by, and a message that cannot be used is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from faster_ros.data.bag_reader import open_bag
from faster_ros.data.dataset_spec import (
    ACTION,
    DatasetFrame,
    DatasetSpec,
    Feature,
    Source,
    STATE,
)
from faster_ros.data.frame_sampler import FrameSampler
from faster_ros.data.image_messages import compressed_to_rgb, image_to_rgb
from faster_ros.data.joint_messages import (
    action_from_message,
    is_of_other_hardware,
    state_from_message,
    to_ns,
)
from faster_ros.interfaces import RobotState
from faster_ros.robot_spec import RobotSpec
import numpy as np

_JOINTS, _IMAGE = 'sensor_msgs/msg/JointState', 'sensor_msgs/msg/Image'
_COMPRESSED, _HEADER = 'sensor_msgs/msg/CompressedImage', 'std_msgs/msg/Header'
# What a recorder missed while it had no processor stands in its bag one topic after the other: a
# row waits for all of them, as long as the sampler keeps the images of a camera of 30 Hz.
_PATIENCE_NS = 750_000_000


@dataclass(frozen=True)
class BagTopics:
    """
    What is no matter of the robot's file.

    ``action``: topic of JointState of what was sent. ``lead``: of Header, whose ``frame_id`` is
    the word for who leads the arm from then on; before its first one that is ``led_by``.
    """

    action: str = '/control_node/command'
    lead: str = '/teleop_node/lead'
    led_by: Source = Source.NOBODY


class BagEpisode:
    """The rows of a bag, and what is to be said of it after they were handed out."""

    def __init__(self, path: Path, robot: RobotSpec, spec: DatasetSpec,
                 topics: BagTopics | None = None) -> None:
        self._path, self._robot, self._topics = path, robot, topics or BagTopics()
        self._sampler = FrameSampler(spec, _PATIENCE_NS)
        self._sampler.set_source(0, self._topics.led_by)
        self._action = spec.numbers[ACTION]
        self._refused: dict[str, tuple[int, str]] = {}  # topic -> number, fault of the first
        self._lead_told = False

    def frames(self) -> Iterator[DatasetFrame]:
        """Hand out the rows; a topic that the bag lacks is an error that names it."""
        readers = self._readers()
        with open_bag(self._path) as reader:
            offered = {item.topic: item.msgtype for item in reader.connections}
            _check_topics(self._path, self._robot, offered, self._topics)
            connections = [item for item in reader.connections
                           if (item.topic, item.msgtype) in readers]
            for connection, now_ns, raw in reader.messages(connections=connections):
                message = reader.deserialize(raw, connection.msgtype)
                try:
                    readers[connection.topic, connection.msgtype](message)
                except ValueError as error:
                    count, first = self._refused.get(connection.topic, (0, str(error)))
                    self._refused[connection.topic] = count + 1, first
                yield from self._sampler.rows(now_ns)
        if self._sampler.missing:
            raise ValueError('; '.join([
                f"{self._path}: no messages of {', '.join(self._sampler.missing)}",
                *self._refusals()]))

    @property
    def remarks(self) -> list[str]:
        """Return what could not be used by topic, and whether it is unknown who led."""
        unknown = not self._lead_told and self._topics.led_by is Source.NOBODY
        return self._refusals() + ['who led is not said; --led-by says it'] * unknown

    def _refusals(self) -> list[str]:
        return [f'messages of {topic} refused: {count}, the first as {fault}'
                for topic, (count, fault) in self._refused.items()]

    def _readers(self) -> dict[Any, Callable[[Any], None]]:
        """Return what takes a message of a topic and type."""
        arms = _Arms(self._robot, self._sampler)
        found: dict[Any, Callable[[Any], None]] = {
            (arm.state_topic, _JOINTS): partial(arms.add, name)
            for name, (arm, _) in self._robot.parts.items()}
        for name, camera in self._robot.cameras.items():
            size = (camera.width, camera.height)

            def add(message: Any, read: Any, name: str = name, size: Any = size) -> None:
                self._sampler.add_image(name, _stamp(message), read(message, *size))

            found[camera.topic, _IMAGE] = partial(add, read=image_to_rgb)
            found[f'{camera.topic}/compressed', _COMPRESSED] = partial(add, read=compressed_to_rgb)
        found[self._topics.action, _JOINTS] = self._add_action
        found[self._topics.lead, _HEADER] = self._add_lead
        return found

    def _add_action(self, message: Any) -> None:
        action = action_from_message(message, self._robot.action_names)
        self._action.check('action', action)
        self._sampler.add_action(_stamp(message), action)

    def _add_lead(self, message: Any) -> None:
        self._sampler.set_source(to_ns(message.stamp), Source.of(message.frame_id))
        self._lead_told = True


class _Arms:
    """Joins the joint states of all arms, as old as the one that was heard longest ago."""

    def __init__(self, robot: RobotSpec, sampler: FrameSampler) -> None:
        self._robot, self._sampler = robot, sampler
        self._states: dict[str, RobotState] = {}

    def add(self, name: str, message: Any) -> None:
        """Take a message of an arm's topic; what it says wrong is a ValueError."""
        arm, _ = self._robot.parts[name]
        if name in self._states and is_of_other_hardware(message, arm):
            return
        state = state_from_message(message, arm)
        Feature('float64', state.positions.shape, arm.joint_names).check(STATE, state.positions)
        self._states[name] = state
        if len(self._states) == len(self._robot.parts):
            self._sampler.add_state(
                min(state.stamp_ns for state in self._states.values()),
                np.concatenate([self._states[part].positions for part in self._robot.parts]))


def _stamp(message: Any) -> int:
    return to_ns(message.header.stamp)


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
