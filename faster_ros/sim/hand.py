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
The gripper of a simulated arm: two fingers on slides, whatever its driver and its URDF call them.

The robot file's one gripper joint leads both fingers. It may be a finger itself (Franka), a stroke
that the URDF's fingers mimic (Piper), or a joint that the URDF does not have (Robotiq on a UR):
then the simulation adds a plain parallel gripper to the tool frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from faster_ros.robot_spec import config_path, RobotSpec

ADDED_FINGERS = ('added_left_finger', 'added_right_finger')
ADDED_HALF_WIDTH = 0.0425  # m, each finger of the added gripper from closed to open
ADDED_LENGTH = 0.14  # m from the tool frame to the middle of what it holds


@dataclass(frozen=True)
class Finger:
    """A slide at ``offset`` + ``scale`` x gripper joint, in m; 0 where the fingers touch."""

    joint: str
    scale: float
    offset: float


@dataclass(frozen=True)
class Hand:
    """
    Both fingers and what else the scene has to know.

    ``grip_length``: from the tool frame to the middle of what is held, along the tool's z, in m.
    ``added``: the fingers are not in the URDF. ``stroke``: a URDF joint without a body, or ''.
    """

    fingers: tuple[Finger, ...]
    grip_length: float = 0.0
    added: bool = False
    stroke: str = ''

    def half_opening(self, gripper: float) -> float:
        """Return how far each finger is from the middle, in m."""
        finger = self.fingers[0]
        return finger.offset + finger.scale * gripper


def hand_of(spec: RobotSpec) -> Hand:
    """Return the hand of a robot; raises ValueError when its fingers do not slide."""
    root = ElementTree.parse(config_path(f'urdf/{spec.urdf}')).getroot()
    joints = {joint.get('name', ''): joint for joint in root.iter('joint')}
    name = spec.gripper.joint
    if name not in joints:
        gripper = spec.gripper
        scale = ADDED_HALF_WIDTH / (gripper.open - gripper.closed)
        fingers = tuple(Finger(finger, scale, -scale * gripper.closed)
                        for finger in ADDED_FINGERS)
        return Hand(fingers, ADDED_LENGTH, added=True)
    followers = tuple(
        Finger(other, float(mimic.get('multiplier', 1.0)), float(mimic.get('offset', 0.0)))
        for other, joint in joints.items()
        if (mimic := joint.find('mimic')) is not None and mimic.get('joint') == name)
    has_body = _has_shape(root, joints[name])
    hand = Hand((Finger(name, 1.0, 0.0), *followers) if has_body else followers,
                stroke='' if has_body else name)
    wrong = [finger.joint for finger in hand.fingers
             if joints[finger.joint].get('type') != 'prismatic']
    if wrong or len(hand.fingers) != 2:
        found = ', '.join(finger.joint for finger in hand.fingers) or 'none'
        raise ValueError(f'urdf/{spec.urdf}: the simulation expects two prismatic fingers that '
                         f"gripper.joint '{name}' moves, got {found}")
    return hand


def _has_shape(root: ElementTree.Element, joint: ElementTree.Element) -> bool:
    child = joint.find('child')
    name = '' if child is None else child.get('link')
    return any(link.get('name') == name and link.find('visual') is not None
               for link in root.iter('link'))
