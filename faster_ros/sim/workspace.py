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

from dataclasses import dataclass

from faster_ros.interfaces import FloatArray
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.hand import Hand
import numpy as np

FORWARD_DOWN = np.diag([1.0, -1.0, -1.0])  # tool x forwards, tool z at the table
CUBE_AREA = ((0.38, 0.62), (-0.20, 0.20))  # x and y range of cube centres at scale 1, m
_SCALES = (1.0, 0.85, 0.7)
_LEANS = (0.0, 0.5)  # rad, of the tool's axis, forwards
_HEIGHTS = (0.02, 0.20)  # m over the table that have to be reached everywhere
_READY = (0.5, 0.0, 0.2)  # m at scale 1
_ALREADY_DOWN = 0.99  # cosine of the angle between the home pose's tool and this
_STEPS = 40
_CLOSE = 0.005  # m, and of the entries of a rotation matrix


@dataclass(frozen=True)
class Workspace:
    """
    The place of work of one arm.

    ``scale``: of ``CUBE_AREA``. ``down``: attitude of the tool over the table, (3, 3). ``turn``:
    its turn about the tool's z against FORWARD_DOWN, (3, 3). ``ready``: joints of a pose with that
    attitude over the table, shape (A,).
    """

    scale: float
    down: FloatArray
    turn: FloatArray
    ready: FloatArray


def workspace_of(spec: RobotSpec, hand: Hand) -> Workspace:
    """Return the first place of which the arm reaches every corner, or raise ValueError."""
    kinematics = Kinematics(spec)
    home = spec.home_positions[:-1]
    _, attitude = kinematics.forward(home)
    turn = max((_turn(quarter) for quarter in range(4)),
               key=lambda turn: round(float(np.sum(attitude * (FORWARD_DOWN @ turn))), 6))
    for lean in _LEANS:
        down: FloatArray = _lean(lean) @ FORWARD_DOWN @ turn
        for scale in _SCALES:
            ready = home
            if attitude[:, 2] @ down[:, 2] < _ALREADY_DOWN:
                place = tool_place(np.array(_READY) * scale, down, hand)
                found = _approach(kinematics, home, place, down)
                if found is None:
                    continue
                ready = found
            if _reaches_all(kinematics, hand, scale, down, ready):
                return Workspace(scale, down, turn, ready)
    raise ValueError(f'robot {spec.robot} reaches no place for the cubes with its tool pointing '
                     f"down; expected one in front of the base ({spec.base_frame}'s x axis)")


def _reaches_all(kinematics: Kinematics, hand: Hand, scale: float, down: FloatArray,
                 ready: FloatArray) -> bool:
    for height in _HEIGHTS:
        for x in CUBE_AREA[0]:
            for y in CUBE_AREA[1]:
                place = tool_place(np.array([x * scale, y * scale, height]), down, hand)
                if _approach(kinematics, ready, place, down) is None:
                    return False
    return True


def _approach(kinematics: Kinematics, start: FloatArray, place: FloatArray,
              down: FloatArray) -> FloatArray | None:
    """Return joints (A,) that the expert's own small steps reach from ``start``, or None."""
    joints = kinematics.step_towards(start, place, down, start, _STEPS)
    reached, attitude = kinematics.forward(joints)
    near = np.linalg.norm(reached - place) < _CLOSE and np.abs(attitude - down).max() < _CLOSE
    return joints if near else None


def tool_place(grip: FloatArray, rotation: FloatArray, hand: Hand) -> FloatArray:
    """Return where the tool frame is when the fingers are about ``grip``, both (3,) in m."""
    place: FloatArray = grip - hand.grip_length * rotation[:, 2]
    return place


def _lean(angle: float) -> FloatArray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])


def _turn(quarter: int) -> FloatArray:
    cosine, sine = [(1, 0), (0, 1), (-1, 0), (0, -1)][quarter]
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
