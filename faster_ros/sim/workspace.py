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
Where on the table an arm works: the cubes' area, scaled until the arm reaches all of it.

The area of scale 1 is that of the FR3. The tool points straight down, or leans where the wrist's
range does not allow it (Piper); of the four turns about its axis it takes the one that is nearest
to the home pose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from faster_ros.interfaces import FloatArray
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.hand import Hand
import numpy as np

FORWARD_DOWN = np.diag([1.0, -1.0, -1.0])  # tool x forwards, tool z at the table
CUBE_AREA = ((0.38, 0.62), (-0.20, 0.20))  # x and y range of cube centres at scale 1, m
_SCALES = (1.0, 0.85, 0.7)
_LEANS = (0.0, 0.25, 0.35, 0.5)  # rad, of the tool's axis
_HEIGHTS = (0.02, 0.14)  # m over the table that have to be reached everywhere
_READY = (0.5, 0.0, 0.2)  # m at scale 1
_ALREADY_DOWN = 0.99  # cosine of the angle between the home pose's tool and this
_STEPS = 40
_CLOSE = 0.005  # m, and of the entries of a rotation matrix


@dataclass(frozen=True)
class Workspace:
    """
    The place of work of one arm.

    ``scale``: of ``CUBE_AREA``. ``lean``: of the tool's axis, away from the base, in rad.
    ``turn``: of the tool about its z against FORWARD_DOWN, (3, 3). ``ready``: joints of a pose
    over the table, shape (A,).
    """

    scale: float
    lean: float
    turn: FloatArray
    ready: FloatArray

    def attitude(self, place: FloatArray) -> FloatArray:
        """Return how the tool is turned over the table at ``place`` (3,); shape (3, 3)."""
        down: FloatArray = FORWARD_DOWN @ self.turn
        if self.lean:
            outwards = _about_z(np.arctan2(place[1], place[0]))
            down = outwards @ _lean(self.lean) @ outwards.T @ down
        return down


def workspace_of(spec: RobotSpec, hand: Hand) -> Workspace:
    """Return the first place of which the arm reaches every corner, or raise ValueError."""
    kinematics = Kinematics(spec)
    home = spec.home_positions[:-1]
    _, attitude = kinematics.forward(home)
    turn = max((np.round(_about_z(quarter * np.pi / 2)) for quarter in range(4)),
               key=lambda turn: round(float(np.sum(attitude * (FORWARD_DOWN @ turn))), 6))
    for lean in _LEANS:
        for scale in _SCALES:
            place = Workspace(scale, lean, turn, home)
            over = np.array(_READY) * scale
            if attitude[:, 2] @ place.attitude(over)[:, 2] < _ALREADY_DOWN:
                ready = _approach(kinematics, place, over, hand)
                if ready is None:
                    continue
                place = replace(place, ready=ready)
            if all(_approach(kinematics, place, corner, hand) is not None
                   for corner in _corners(scale)):
                return place
    raise ValueError(f'robot {spec.robot} reaches no place for the cubes with its tool pointing '
                     f"down; expected one in front of the base ({spec.base_frame}'s x axis)")


def _corners(scale: float) -> list[FloatArray]:
    return [np.array([x * scale, y * scale, height])
            for height in _HEIGHTS for x in CUBE_AREA[0] for y in CUBE_AREA[1]]


def _approach(kinematics: Kinematics, work: Workspace, grip: FloatArray,
              hand: Hand) -> FloatArray | None:
    """Return joints (A,) that small steps like the expert's reach from ``ready``, or None."""
    attitude = work.attitude(grip)
    place = tool_place(grip, attitude, hand)
    joints = kinematics.step_towards(work.ready, place, attitude, work.ready, _STEPS)
    reached, turned = kinematics.forward(joints)
    near = np.linalg.norm(reached - place) < _CLOSE and np.abs(turned - attitude).max() < _CLOSE
    return joints if near else None


def tool_place(grip: FloatArray, rotation: FloatArray, hand: Hand) -> FloatArray:
    """Return where the tool frame is when the fingers are about ``grip``, both (3,) in m."""
    place: FloatArray = grip - hand.grip_length * rotation[:, 2]
    return place


def _lean(angle: float) -> FloatArray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])


def _about_z(angle: float) -> FloatArray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
