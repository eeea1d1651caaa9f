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
"""The box in which the tool may be, by the robot file's ``workspace``; used by Supervisor."""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
import numpy as np

_AXES = 'xyz'


class Workspace:
    """Walls across the axes of the base frame, in m; an axis without a wall is open."""

    def __init__(self, spec: RobotSpec) -> None:
        walls = spec.workspace
        self._lower = np.array([walls.get(f'{axis}_min', -np.inf) for axis in _AXES])
        self._upper = np.array([walls.get(f'{axis}_max', np.inf) for axis in _AXES])
        self._arm = len(spec.arm_joint_names)
        self._frames = f'{spec.tool_frame} in {spec.base_frame}'
        self._kinematics = Kinematics(spec)

    def problem(self, positions: FloatArray) -> str:
        """Return '' or which wall the tool is behind at these joints, shape (D,)."""
        place, _ = self._kinematics.forward(positions[:self._arm])
        past = np.maximum(self._lower - place, place - self._upper)
        axis = int(np.argmax(past))
        if past[axis] <= 0:
            return ''
        end, wall = (('min', self._lower) if place[axis] < self._lower[axis]
                     else ('max', self._upper))
        return (f'{self._frames} at {_AXES[axis]} = {place[axis]:.3f} m; the robot file has '
                f'workspace.{_AXES[axis]}_{end} {wall[axis]:g} m')


def stopping_place(positions: FloatArray, velocities: FloatArray, acceleration: FloatArray,
                   period_s: float) -> FloatArray:
    """
    Return where an arm stands that brakes after one more period, all arrays (D,).

    Within one period of full acceleration the place moves on by two periods of travel.
    """
    return np.asarray(positions + velocities * (
        2 * period_s + np.abs(velocities) / (2 * acceleration)))
