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
Parameters of a node from one frozen dataclass: names, defaults, texts and ranges in one place.

rclpy checks the range of a single number, but not of an array, and ignores a misspelt name
without a word; both are errors here. Called by every node in its constructor.
"""

from __future__ import annotations

from dataclasses import dataclass, Field, field, fields
from difflib import get_close_matches
from typing import Any, TypeVar

from faster_ros.robot_spec import load_robot_spec, RobotSpec
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
)
from rclpy.node import Node

Config = TypeVar('Config')
_OF_RCLPY = ('use_sim_time', 'start_type_description_service', 'qos_overrides')


def parameter(default: Any, text: str, low: float | None = None,
              high: float | None = None) -> Any:
    """Return a dataclass field: ``text`` says the unit, ``low`` and ``high`` include the ends."""
    return field(default=default, metadata={'text': text, 'low': low, 'high': high})


@dataclass(frozen=True)
class RobotParameters:
    """The parameters that say which robot, of every node that talks to one."""

    robot: str = parameter('fr3', 'robot name or path of its YAML file')
    joint_prefix: str = parameter('', 'what the driver puts before its joint names, such as left_')
    driver_namespace: str = parameter('', 'namespace of the driver, before the topics of arm and '
                                      'gripper')

    def load(self) -> RobotSpec:
        """Return the robot, or raise a ValueError that names what is wrong."""
        return load_robot_spec(self.robot, self.joint_prefix, self.driver_namespace)


def declare(node: Node, config: type[Config]) -> Config:
    """Declare the fields of ``config`` on ``node``; returns it filled, or raises ValueError."""
    entries = fields(config)  # type: ignore[arg-type]
    _refuse_unknown(node, [entry.name for entry in entries])
    return config(**{entry.name: _declare(node, entry) for entry in entries})


def _refuse_unknown(node: Node, known: list[str]) -> None:
    for name in node._parameter_overrides:  # rclpy has no public way to ask for them
        if name in known or name.split('.')[0] in _OF_RCLPY:
            continue
        near = get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        raise ValueError(f"{node.get_name()} has no parameter '{name}'; {hint}")


def _declare(node: Node, entry: Field[Any]) -> Any:
    default: Any = entry.default
    low, high = entry.metadata['low'], entry.metadata['high']
    sequence = isinstance(default, tuple)
    element = default[0] if sequence else default
    descriptor = ParameterDescriptor(description=entry.metadata['text'], read_only=True)
    if low is not None and not sequence:
        if isinstance(element, float):
            descriptor.floating_point_range = [FloatingPointRange(
                from_value=float(low), to_value=float(high))]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high),
                                                     step=1)]
    expected = f"{'list of ' if sequence else ''}{type(element).__name__}"
    if low is not None:
        expected += f' in [{low}, {high}]'
    try:
        value = node.declare_parameter(entry.name, list(default) if sequence else default,
                                       descriptor).value
    except (InvalidParameterException, InvalidParameterTypeException,
            InvalidParameterValueException):
        given = node._parameter_overrides[entry.name].value
        raise ValueError(_wrong(node, entry, expected, given)) from None
    if sequence:
        value = tuple(value)
        if low is not None and not all(low <= item <= high for item in value):
            raise ValueError(_wrong(node, entry, expected, list(value)))
    return value


def _wrong(node: Node, entry: Field[Any], expected: str, given: Any) -> str:
    hint = ' (write 30.0, not 30)' if 'float' in expected and isinstance(given, int) else ''
    return (f"{node.get_name()} parameter '{entry.name}' ({entry.metadata['text']}): expected "
            f'{expected}, got {given!r}{hint}')
