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
Commands for ros2_control's forward controllers: one Float64MultiArray, in joint order.

These controllers have no timeout: they write the last command for ever. For positions that is a
hold. For velocities it is an arm that keeps moving, so zeros follow. What is sent here is not
interpolated any more, so it has to come at 250 to 500 Hz.
"""

from __future__ import annotations

from array import array
from typing import Any

from faster_ros.interfaces import FloatArray, JointCommand, RobotState
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.zero_when_silent import ZeroWhenSilent
import numpy as np

# Controllers that read an exact 0 of the first joint as "no message" are known (multipanda).
_ALMOST_ZERO = 1e-9
_PULL = 2.0  # 1/s, share of the position error that goes into the velocity


class ForwardPositionWriter:
    """Writes the arm's positions in rad; an exact 0 is sent as 1e-9."""

    def __init__(self, spec: RobotSpec) -> None:
        from std_msgs.msg import Float64MultiArray

        self.message_type = Float64MultiArray
        self._arm = slice(0, spec.gripper_index)

    def write(self, command: JointCommand, _: RobotState | None = None) -> Any:
        """Return the message for one command."""
        positions = command.positions[self._arm]
        return self.message_type(
            data=array('d', np.where(positions == 0.0, _ALMOST_ZERO, positions)))


class ForwardVelocityWriter(ZeroWhenSilent):
    """
    Writes the arm's velocities in rad/s, with a pull towards the commanded positions.

    Without the pull the arm would drift from them. An arm commanded to rest gets exact zeros.
    """

    def __init__(self, spec: RobotSpec) -> None:
        from std_msgs.msg import Float64MultiArray

        super().__init__()
        self.message_type = Float64MultiArray
        self._arm = slice(0, spec.gripper_index)
        self._limit = (spec.limit_array('velocity') * spec.velocity_scale)[self._arm]

    def write(self, command: JointCommand, state: RobotState | None = None) -> Any:
        """Return the message for one command; ``state`` is the measured one."""
        self.told()
        velocities = command.velocities[self._arm]
        if np.any(velocities) and state is not None:
            error = command.positions[self._arm] - state.positions[self._arm]
            if np.isfinite(error).all():
                velocities = velocities + _PULL * error
        return self._message(np.clip(velocities, -self._limit, self._limit))

    def zero(self) -> Any:
        """Return zeros for all joints of the arm."""
        return self._message(np.zeros_like(self._limit))

    def _message(self, velocities: FloatArray) -> Any:
        return self.message_type(data=array('d', velocities))
