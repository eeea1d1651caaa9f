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
"""Joints that keep an arm's tool at a wanted pose, for leaders that think in poses."""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
import numpy as np

_TOLERANCE = 1e-6  # in m and rad: what is left is not added up, but would show
_JUMP_RAD = 0.3    # of one joint for one step of the tool


class ToolFollower:
    """
    The tool's wanted pose and joints that reach it; not thread-safe.

    The wanted pose is kept as it was asked for: what the joints leave does not add up.
    """

    def __init__(self, arm: RobotSpec) -> None:
        """``arm``: the one arm, seen from its base frame."""
        self._kinematics = Kinematics(arm)
        self.joints = arm.home_positions[:-1]
        self.place, self.rotation = self._kinematics.forward(self.joints)
        self.note = ''

    def start(self, joints: FloatArray) -> None:
        """Begin at joints (A,); where they are those of the last pose, that pose stays."""
        if not np.array_equal(joints, self.joints):
            self.joints = joints.copy()
            self.place, self.rotation = self._kinematics.forward(joints)

    def go(self, place: FloatArray, rotation: FloatArray) -> FloatArray:
        """Return joints (A,) for a pose near the last one, or the last ones and a ``note``."""
        solution = self._kinematics.solve(place, rotation, self.joints, _TOLERANCE, attempts=1)
        if solution is None:
            self.note = 'the pose is out of reach from where the arm is'
        elif np.abs(solution.positions - self.joints).max() > _JUMP_RAD:
            self.note = 'the pose needs a joint to jump'
        else:
            self.note = ''
            self.joints, self.place, self.rotation = solution.positions, place, rotation
        return self.joints
