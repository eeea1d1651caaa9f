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
ArmInterface: one command of this package as the messages that a robot's drivers take.

The robot file's ``command_mode`` and ``gripper.mode`` choose the writers; ``docs/drivers.md``
lists them. Nothing here limits or supervises: a command has passed the runtime. Called by
``control_node``, which owns the publishers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from faster_ros.interfaces import JointCommand, RobotState
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.base_command import BaseWriter
from faster_ros.robots.forward_commands import ForwardPositionWriter, ForwardVelocityWriter
from faster_ros.robots.gripper import ForwardGripperWriter, OnChange
from faster_ros.robots.joint_state_command import JointStateWriter
from faster_ros.robots.joint_trajectory import TrajectoryWriter
from faster_ros.robots.zero_when_silent import ZeroWhenSilent
import numpy as np

DRY_RUN = '/dry_run'

Outgoing = list[tuple[str, Any]]  # (topic, message), to be published in this order


@dataclass(frozen=True)
class CommandOptions:
    """
    What does not depend on the robot.

    ``lead_ns``: from a command to its due time. ``stamped``: trajectories state their start.
    ``gripper_repeat_ns``: when an unchanged gripper topic is written again. ``dry_run``: every
    topic gets the prefix ``/dry_run``, and no action is called.
    """

    lead_ns: int = 20_000_000
    stamped: bool = True
    gripper_repeat_ns: int = 1_000_000_000
    dry_run: bool = False


@dataclass(frozen=True)
class _Channel:
    """One topic, its writer, and the joints of a command that it is about."""

    topic: str
    writer: Any
    part: slice

    def write(self, command: JointCommand, state: RobotState | None) -> Any:
        part, accelerations, stop = self.part, command.accelerations, command.stop
        return self.writer.write(
            replace(command, positions=command.positions[part],
                    velocities=command.velocities[part],
                    accelerations=None if accelerations is None else accelerations[part],
                    stop=stop and replace(stop, rows=stop.rows[:, :, part])),
            state and replace(state, positions=state.positions[part],
                              velocities=state.velocities[part]))


class ArmInterface:
    """
    The writers of one robot, arm after arm.

    ``topics``: name -> message type of what has to be published. ``late`` may be called from
    another thread than the rest.
    """

    def __init__(self, spec: RobotSpec, options: CommandOptions | None = None) -> None:
        options = options or CommandOptions()
        self._prefix = DRY_RUN if options.dry_run else ''
        self._names = spec.joint_names
        self._channels: list[_Channel] = []
        for arm, part in spec.parts.values():
            self._add(arm.command_topic, _arm_writer(arm, options), part)
            self._add(arm.gripper.topic, _gripper_writer(arm, options), part)
        if spec.base is not None:
            self._add(spec.base.topic, BaseWriter(), slice(0, 0))
        self._moving = [channel for channel in self._channels
                        if isinstance(channel.writer, ZeroWhenSilent)]
        self.topics = {channel.topic: channel.writer.message_type for channel in self._channels}

    def _add(self, topic: str, writer: Any, part: slice) -> None:
        if writer is not None:
            self._channels.append(_Channel(self._prefix + topic, writer, part))

    def write(self, command: JointCommand, state: RobotState | None) -> Outgoing:
        """Return the messages of one command; all are made before any can be sent."""
        base = np.zeros(2) if command.base is None else command.base
        if not all(np.isfinite(values).all()
                   for values in (command.positions, command.velocities, base)):
            raise ValueError('expected a finite command of all joints, got positions '
                             f'{command.positions} and velocities {command.velocities} of '
                             f"{', '.join(self._names)}, and {base} of a base")
        return _existing((channel.topic, channel.write(command, state))
                         for channel in self._channels)

    @property
    def silence_moves(self) -> bool:
        """Return whether something would go on moving if nothing were sent any more."""
        return bool(self._moving)

    def rest(self) -> Outgoing:
        """Return what is to be sent in a period without a command; at last nothing."""
        return _existing((channel.topic, channel.writer.rest()) for channel in self._moving)

    def late(self, silent_s: float) -> Outgoing:
        """Return what stops the motion if the loop has been silent for too long."""
        return _existing((channel.topic, channel.writer.late(silent_s))
                         for channel in self._moving)


def _existing(outgoing: Iterable[tuple[str, Any]]) -> Outgoing:
    return [(topic, message) for topic, message in outgoing if message is not None]


def _arm_writer(spec: RobotSpec, options: CommandOptions) -> Any:
    if spec.command_mode == 'joint_trajectory':
        return TrajectoryWriter(spec, slice(0, spec.gripper_index), options.lead_ns,
                                options.stamped)
    if spec.command_mode.startswith('ee_'):
        from faster_ros.robots import ee_commands  # with the kinematics: few arms need it

        return {'ee_pose': ee_commands.EePoseWriter,
                'ee_pose_matrix': ee_commands.EePoseMatrixWriter,
                'ee_twist': ee_commands.EeTwistWriter}[spec.command_mode](spec)
    return {'forward_position': ForwardPositionWriter, 'forward_velocity': ForwardVelocityWriter,
            'joint_state': JointStateWriter}[spec.command_mode](spec)


def _gripper_writer(spec: RobotSpec, options: CommandOptions) -> OnChange | None:
    """Return the writer of the gripper's own topic, if it has one."""
    index = spec.gripper_index
    if spec.gripper.mode == 'joint_trajectory':
        writer: Any = TrajectoryWriter(spec, slice(index, index + 1), options.lead_ns,
                                       options.stamped)
    elif spec.gripper.mode == 'forward_position':
        writer = ForwardGripperWriter(spec)
    else:
        return None
    return OnChange(writer, index, options.gripper_repeat_ns)
