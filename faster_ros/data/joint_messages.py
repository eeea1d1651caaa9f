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
Joint states to arrays, joints by name and never by place, live or from a bag.

A message that cannot be used is a ValueError that says what was expected and what came.
"""

from __future__ import annotations

from typing import Any, Protocol

from faster_ros.interfaces import FloatArray, RobotState
from faster_ros.robot_spec import RobotSpec
import numpy as np


class Stamp(Protocol):
    """The fields of a stamp or a duration, whoever made the message."""

    sec: Any
    nanosec: Any


class JointState(Protocol):
    """The fields of sensor_msgs/JointState that are read."""

    header: Any
    name: Any
    position: Any
    velocity: Any


def to_ns(time: Stamp) -> int:
    """Return a stamp or a duration in ns."""
    return int(time.sec) * 10**9 + int(time.nanosec)


def state_from_message(message: JointState, spec: RobotSpec) -> RobotState:
    """
    Pick the joints of a robot with one arm by its driver's names.

    Other joints are ignored, velocities that are not sent are NaN.
    """
    index = {name: place for place, name in enumerate(message.name)}
    names = spec.driver_joint_names
    missing = [name for name in names if name not in index]
    if missing:
        raise ValueError(f"joint state on {spec.state_topic} lacks {', '.join(missing)}; it has "
                         f"{', '.join(sorted(message.name)) or 'no joints'}")
    if len(message.position) != len(message.name):
        raise ValueError(f'joint state on {spec.state_topic} has {len(message.name)} names and '
                         f'{len(message.position)} positions; expected as many')
    order = [index[name] for name in names]
    positions = np.array([message.position[place] for place in order])
    velocities = np.full(len(order), np.nan)
    if len(message.velocity) == len(message.name):
        velocities = np.array([message.velocity[place] for place in order])
    return RobotState(to_ns(message.header.stamp), positions, velocities, spec.state_topic)


def is_of_other_hardware(message: JointState, arm: RobotSpec) -> bool:
    """Return whether joint states are of none of an arm's joints: wheels, a pan-tilt head."""
    return set(arm.driver_joint_names).isdisjoint(message.name)


def action_from_message(message: JointState, names: tuple[str, ...]) -> FloatArray:
    """Return what control_node says it sent, as a row (D,) of a chunk with these names."""
    if tuple(message.name) != names:
        raise ValueError(f"has {', '.join(message.name)}; expected {', '.join(names)}")
    return np.array(message.position)
