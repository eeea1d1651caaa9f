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
"""The arms of a simulated robot: each with its hand, its place of work and where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from faster_ros.interfaces import FloatArray
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.hand import Hand, hand_of
from faster_ros.sim.workspace import Workspace, workspace_of
import numpy as np

_UPRIGHT = 1e-6  # of the matrix and in m: arms stand upright, all at one height


@dataclass(frozen=True)
class SimArm:
    """
    One arm of a robot, which may be the only one.

    ``part``: its place in the robot's joint vector. ``origin`` (3,) in m and ``axes`` (3, 3):
    where its base stands in the world, the URDF's first link. ``workspace`` is seen from there.
    """

    spec: RobotSpec
    part: slice
    hand: Hand
    workspace: Workspace
    origin: FloatArray
    axes: FloatArray

    def from_world(self, place: FloatArray) -> FloatArray:
        """Return a place (3,) of the world in the arm's base frame, in m."""
        seen: FloatArray = self.axes.T @ (place - self.origin)
        return seen

    def to_world(self, place: FloatArray) -> FloatArray:
        """Return a place (3,) of the arm's base frame in the world, in m."""
        seen: FloatArray = self.origin + self.axes @ place
        return seen


def arms_of(spec: RobotSpec) -> tuple[SimArm, ...]:
    """Return the arms of a robot; raises ValueError when they cannot share a level table."""
    arms = []
    for arm, part in spec.parts.values():
        hand = hand_of(arm)
        arms.append(SimArm(arm, part, hand, workspace_of(arm, hand), *Kinematics(arm).base))
    heights = [float(arm.origin[2]) for arm in arms]
    tilts = [float(np.abs(arm.axes[2] - (0.0, 0.0, 1.0)).max()) for arm in arms]
    if max(tilts) > _UPRIGHT or np.ptp(heights) > _UPRIGHT:
        raise ValueError(f'robot {spec.robot}: the simulation expects arms that stand upright at '
                         f'one height, got bases at {heights} m, tilted by {tilts}')
    return tuple(arms)
