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
_PATH_PLACES = 5  # of an arm on its way to a stop


class Workspace:
    """Walls across the axes of the base frame, in m; an axis without a wall is open."""

    def __init__(self, spec: RobotSpec) -> None:
        walls = spec.workspace
        self._lower = np.array([walls.get(f'{axis}_min', -np.inf) for axis in _AXES])
        self._upper = np.array([walls.get(f'{axis}_max', np.inf) for axis in _AXES])
        self._arm = len(spec.arm_joint_names)
        self._frames = f'{spec.tool_frame} in {spec.base_frame}'
        self._kinematics = Kinematics(spec)

    def problem(self, positions: FloatArray, reach: FloatArray | None = None) -> str:
        """
        Return '' or which wall the tool is behind at these joints, shape (D,).

        ``reach``: how far each joint may go on, each by itself; the tool must not get out.
        """
        joints = positions[:self._arm]
        place, _ = self._kinematics.forward(joints)
        low = high = place
        if reach is not None:
            moves = [self._kinematics.forward(joints + row)[0] - place
                     for row in np.diag(reach[:self._arm])]
            low = place + np.minimum(moves, 0.0).sum(0)
            high = place + np.maximum(moves, 0.0).sum(0)
        under, over = self._lower - low, high - self._upper
        past = np.maximum(under, over)
        axis = int(np.argmax(past))
        if past[axis] <= 0:
            return ''
        end, wall, there = (('min', self._lower, low) if under[axis] > over[axis]
                            else ('max', self._upper, high))
        return (f'{self._frames} at {_AXES[axis]} = {there[axis]:.3f} m; the robot file has '
                f'workspace.{_AXES[axis]}_{end} {wall[axis]:g} m')


def stopping_path(velocities: FloatArray, acceleration: FloatArray) -> FloatArray:
    """
    Return how far (N, D) an arm is from here at places of its way to a stop, the stop last.

    Joints stop one after the other, so the tool's path is no straight line.
    """
    to_stop = np.abs(velocities) / acceleration
    times = np.linspace(0.0, to_stop.max(), _PATH_PLACES)[:, None].clip(max=to_stop)
    return np.asarray(velocities * times - np.sign(velocities) * acceleration * times ** 2 / 2)


def reach_of_one_period(velocities: FloatArray, acceleration: FloatArray,
                        period_s: float) -> FloatArray:
    """Return how much farther (D,) joints stop that speed up for a period and brake then."""
    return np.asarray(2 * velocities * period_s
                      + np.sign(velocities) * acceleration * period_s ** 2)
