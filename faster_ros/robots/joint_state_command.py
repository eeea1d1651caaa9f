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
Commands for arms that take a sensor_msgs/JointState: AgileX Piper and its relatives.

Their drivers move a joint that a message does not name to 0 rad, so every message has all joints
and the gripper, in RobotSpec order, gripper last. Both further fields have one entry a joint, of
which only the last means anything: ``velocity[-1]`` is the speed of the whole arm in percent,
``effort[-1]`` the force of the gripper. Without them a driver moves at full speed.
"""

from __future__ import annotations

from array import array
from typing import Any

from faster_ros.interfaces import JointCommand, RobotState
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.gripper import Deadband, GripperMap


class JointStateWriter:
    """Writes a whole command as a JointState: rad, and the gripper in its driver's unit."""

    def __init__(self, spec: RobotSpec) -> None:
        from sensor_msgs.msg import JointState

        self.message_type = JointState
        self._names = list(spec.driver_joint_names)
        self._gripper = spec.gripper_index
        self._map = GripperMap(spec.gripper)
        self._deadband = Deadband(spec.gripper)
        others = [0.0] * (len(self._names) - 1)
        self._speed = array('d', [*others, float(spec.command_speed_percent)])
        self._effort = array('d', [*others, spec.gripper.effort])

    def write(self, command: JointCommand, _: RobotState | None = None) -> Any:
        """Return the message for one command."""
        positions = array('d', command.positions)
        positions[self._gripper] = self._map.to_driver(
            self._deadband.step(positions[self._gripper]))
        message = self.message_type(name=self._names, position=positions, velocity=self._speed,
                                    effort=self._effort)
        message.header.stamp.sec = command.stamp_ns // 10**9
        message.header.stamp.nanosec = command.stamp_ns % 10**9
        return message
