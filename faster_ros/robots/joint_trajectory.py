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
Commands for a ros2_control joint_trajectory_controller, of an arm or of a gripper.

A message has the set point with its velocity and acceleration, due ``lead_ns`` after the command,
and a braking tail that ends at rest: the controller interpolates smoothly, accepts the end, and
stops the arm by itself if nothing follows. A stop is one message with the whole way to rest.
"""

from __future__ import annotations

from array import array
from typing import Any

from faster_ros.braking import braking_tail, SHORTEST_BRAKE_S
from faster_ros.interfaces import FloatArray, JointCommand, RobotState, StopPath
from faster_ros.robot_spec import RobotSpec
import numpy as np


class TrajectoryWriter:
    """Writes ``part`` of a command as a JointTrajectory."""

    def __init__(self, spec: RobotSpec, part: slice, lead_ns: int, stamped: bool) -> None:
        """``stamped``: state the start time; otherwise the receiver starts on arrival."""
        from builtin_interfaces.msg import Duration
        from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

        self.message_type = JointTrajectory
        self._point_type, self._duration_type = JointTrajectoryPoint, Duration
        self._part = part
        self._names = list(spec.driver_joint_names[part])
        self._acceleration = (spec.limit_array('acceleration') * spec.acceleration_scale)[part]
        self._lower = spec.limit_array('lower')[part]
        self._upper = spec.limit_array('upper')[part]
        self._lead_ns = lead_ns
        self._stamped = stamped

    def write(self, command: JointCommand, _: RobotState | None = None) -> Any:
        """Return the message for one command; None in a stop that has been told."""
        if command.stop is not None:
            return self._write_stop(command.stamp_ns, command.stop)
        positions, velocities = command.positions[self._part], command.velocities[self._part]
        bends = None if command.accelerations is None else command.accelerations[self._part]
        brake_s, stop = braking_tail(positions, velocities, bends, self._acceleration,
                                     self._lower, self._upper)
        rest = np.zeros(len(stop))
        return self._message(command.stamp_ns, [
            self._point(self._lead_ns, positions, velocities, bends),
            self._point(self._lead_ns + round(brake_s * 1e9), stop, rest,
                        None if bends is None else rest)])

    def _write_stop(self, stamp_ns: int, stop: StopPath) -> Any:
        if not len(stop.rows):
            return None
        rows = stop.rows[:, :, self._part]
        points = [self._point(self._lead_ns + index * stop.step_ns, *row)
                  for index, row in enumerate(rows)]
        end_ns = (self._lead_ns + (len(rows) - 1) * stop.step_ns
                  + round(SHORTEST_BRAKE_S * 1e9))
        rest = np.zeros(rows.shape[2])
        return self._message(stamp_ns, [*points, self._point(end_ns, rows[-1, 0], rest, rest)])

    def _message(self, stamp_ns: int, points: list[Any]) -> Any:
        message = self.message_type(joint_names=self._names, points=points)
        if self._stamped:
            message.header.stamp.sec = stamp_ns // 10**9
            message.header.stamp.nanosec = stamp_ns % 10**9
        return message

    def _point(self, time_ns: int, positions: FloatArray, velocities: FloatArray,
               accelerations: FloatArray | None) -> Any:
        return self._point_type(
            positions=array('d', positions), velocities=array('d', velocities),
            accelerations=array('d', () if accelerations is None else accelerations),
            time_from_start=self._duration_type(sec=time_ns // 10**9, nanosec=time_ns % 10**9))
