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
Commands for drivers and controllers that take the pose or the velocity of the tool.

Both are computed from the joint command, by forward kinematics and by the Jacobian: all limits and
gates have acted on the joints before. The tool is ``tool_frame``, seen from ``base_frame``. An
arm with a redundant joint may stray from the commanded joints behind a right tool pose; the gate
``tracking_error`` sees it.
"""

from __future__ import annotations

from array import array
from typing import Any

from faster_ros.interfaces import FloatArray, JointCommand, RobotState
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.zero_when_silent import ZeroWhenSilent
import numpy as np
from scipy.spatial.transform import Rotation

_ALMOST_ZERO = 1e-9
_PULL = 2.0            # 1/s, share of the pose error that goes into the twist
_LARGEST_ERROR_M = 0.05    # of the position that is pulled at
_LARGEST_ERROR_RAD = 0.2   # of the rotation


class EePoseWriter:
    """Writes the commanded tool pose as a PoseStamped; its quaternion never changes sign."""

    def __init__(self, spec: RobotSpec) -> None:
        from geometry_msgs.msg import PoseStamped

        self.message_type = PoseStamped
        self._kinematics = Kinematics(spec)
        self._frame = spec.base_frame
        self._arm = slice(0, spec.gripper_index)
        self._last = np.array([0.0, 0.0, 0.0, 1.0])

    def write(self, command: JointCommand, _: RobotState | None = None) -> Any:
        """Return the message for one command."""
        position, rotation = self._kinematics.forward(command.positions[self._arm])
        quaternion = Rotation.from_matrix(rotation).as_quat()
        if quaternion @ self._last < 0:  # the same rotation; a receiver may interpolate
            quaternion = -quaternion
        self._last = quaternion
        message = self.message_type()
        _stamp(message.header, command.stamp_ns, self._frame)
        place, turn = message.pose.position, message.pose.orientation
        place.x, place.y, place.z = position.tolist()
        turn.x, turn.y, turn.z, turn.w = quaternion.tolist()
        return message


class EePoseMatrixWriter:
    """
    Writes the commanded tool pose as 12 numbers: x, y, z in m, then the rotation row by row.

    As multipanda's Cartesian impedance controller takes it. That discards a message whose first
    number is exactly 0 and ignores a rotation whose last one is, so 1e-9 is sent for these.
    """

    def __init__(self, spec: RobotSpec) -> None:
        from std_msgs.msg import Float64MultiArray

        self.message_type = Float64MultiArray
        self._kinematics = Kinematics(spec)
        self._arm = slice(0, spec.gripper_index)

    def write(self, command: JointCommand, _: RobotState | None = None) -> Any:
        """Return the message for one command."""
        position, rotation = self._kinematics.forward(command.positions[self._arm])
        values = np.concatenate([position, rotation.ravel()])
        return self.message_type(data=array('d', np.where(values == 0.0, _ALMOST_ZERO, values)))


class EeTwistWriter(ZeroWhenSilent):
    """
    Writes the tool's velocity as a TwistStamped, in m/s and rad/s, axes of the base frame.

    It has a pull towards the commanded pose, without which the arm would drift from it. An arm
    commanded to rest gets exact zeros.
    """

    def __init__(self, spec: RobotSpec) -> None:
        from geometry_msgs.msg import TwistStamped

        super().__init__()
        self.message_type = TwistStamped
        self._kinematics = Kinematics(spec)
        self._frame = spec.base_frame
        self._arm = slice(0, spec.gripper_index)
        self._stamp_ns = 0

    def write(self, command: JointCommand, state: RobotState | None = None) -> Any:
        """Return the message for one command; ``state`` is the measured one."""
        self.told()
        self._stamp_ns = command.stamp_ns
        positions, velocities = command.positions[self._arm], command.velocities[self._arm]
        twist = self._kinematics.jacobian(positions) @ velocities
        if np.any(velocities) and state is not None:
            measured = state.positions[self._arm]
            if np.isfinite(measured).all():
                twist = twist + _PULL * self._pose_error(positions, measured)
        return self._message(twist)

    def zero(self) -> Any:
        """Return a twist of rest, stamped like the last command."""
        return self._message(np.zeros(6))

    def _pose_error(self, commanded: FloatArray, measured: FloatArray) -> FloatArray:
        """Return how far the tool is behind, (6,) in m and rad, at most the largest errors."""
        place, attitude = self._kinematics.forward(commanded)
        present, turned = self._kinematics.forward(measured)
        turn = Rotation.from_matrix(attitude @ turned.T).as_rotvec()
        return np.concatenate([_at_most(place - present, _LARGEST_ERROR_M),
                               _at_most(turn, _LARGEST_ERROR_RAD)])

    def _message(self, twist: FloatArray) -> Any:
        message = self.message_type()
        _stamp(message.header, self._stamp_ns, self._frame)
        linear, angular = message.twist.linear, message.twist.angular
        linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = twist.tolist()
        return message


def _at_most(vector: FloatArray, length: float) -> FloatArray:
    return np.asarray(vector * min(1.0, length / max(float(np.linalg.norm(vector)), 1e-12)))


def _stamp(header: Any, stamp_ns: int, frame: str) -> None:
    header.frame_id = frame
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 10**9)
