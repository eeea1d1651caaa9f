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
Goals for grippers that are actions: Franka's hand and Robotiq's.

``gripper_command``: control_msgs/GripperCommand (Franka's ``gripper_action``, which takes half the
width; Robotiq on Humble). ``parallel_gripper_command``: control_msgs/ParallelGripperCommand
(Robotiq on Jazzy and later). ``franka``: franka_msgs Move to open, Grasp to close, in full width.
The values are ``command_closed`` and ``command_open`` of the robot file, in the driver's unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from faster_ros.robot_spec import GripperSpec
from faster_ros.robots.optional_messages import load

ACTION_MODES = ('gripper_command', 'parallel_gripper_command', 'franka')


@dataclass(frozen=True)
class GripperAction:
    """One action: its type, its name, and the function that makes its goal."""

    kind: Any
    name: str
    goal: Callable[[], Any]


def gripper_actions(gripper: GripperSpec) -> dict[bool, GripperAction]:
    """Return the actions that open (True) and close (False), or MissingMessagesError."""
    return _MAKERS[gripper.mode](gripper)


def _value(gripper: GripperSpec, is_open: bool) -> float:
    return gripper.command_open if is_open else gripper.command_closed


def _gripper_command(gripper: GripperSpec) -> dict[bool, GripperAction]:
    kind = load('control_msgs', 'action', 'GripperCommand', f'the gripper on {gripper.topic}')

    def make(is_open: bool) -> Any:
        goal = kind.Goal()
        goal.command.position = _value(gripper, is_open)
        goal.command.max_effort = gripper.effort  # left at 0 N it would not hold anything
        return goal

    return _both(kind, gripper.topic, make)


def _parallel_gripper_command(gripper: GripperSpec) -> dict[bool, GripperAction]:
    kind = load('control_msgs', 'action', 'ParallelGripperCommand',
                f'the gripper on {gripper.topic}')

    def make(is_open: bool) -> Any:
        goal = kind.Goal()
        goal.command.name = [gripper.joint]
        goal.command.position = [_value(gripper, is_open)]
        goal.command.velocity = [gripper.speed]
        goal.command.effort = [gripper.effort]
        return goal

    return _both(kind, gripper.topic, make)


def _franka(gripper: GripperSpec) -> dict[bool, GripperAction]:
    purpose = f'the Franka hand on {gripper.topic}'
    move = load('franka_msgs', 'action', 'Move', purpose)
    grasp = load('franka_msgs', 'action', 'Grasp', purpose)

    def opening() -> Any:
        return move.Goal(width=gripper.command_open, speed=gripper.speed)

    def closing() -> Any:
        goal = grasp.Goal(width=gripper.command_closed, speed=gripper.speed, force=gripper.effort)
        # Whatever lies between the fingers counts as grasped.
        goal.epsilon.inner = goal.epsilon.outer = gripper.command_open
        return goal

    topic = gripper.topic.rstrip('/')
    return {True: GripperAction(move, f'{topic}/move', opening),
            False: GripperAction(grasp, f'{topic}/grasp', closing)}


def _both(kind: Any, name: str, make: Callable[[bool], Any]) -> dict[bool, GripperAction]:
    return {True: GripperAction(kind, name, lambda: make(True)),
            False: GripperAction(kind, name, lambda: make(False))}


_MAKERS: dict[str, Callable[[GripperSpec], dict[bool, GripperAction]]] = {
    'gripper_command': _gripper_command,
    'parallel_gripper_command': _parallel_gripper_command,
    'franka': _franka,
}
