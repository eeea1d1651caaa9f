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
"""The physical groups that the names of columns tell apart: arms, grippers, poses, hands."""

from __future__ import annotations

from collections.abc import Sequence
import re

from faster_ros.data.recorded_episodes import is_gripper
from faster_ros.data.rotations import WIDTHS

# Words beside the one that tells what a column is: whose it is, and its unit.
_AROUND = {'left', 'right', 'ee', 'eef', 'tcp', 'tcp0', 'tool', 'tool0', 'tip', 'flange', 'end',
           'effector', 'robot0', 'pose', 'delta', 'target', 'action', 'state', 'observation',
           'mm', 'cm', 'm', 'rad', 'deg'}
_POSITION = re.compile(r'd?(p|pos|position|trans|translation|xyz)?[xyz]|[xyz](pos|position)')
# One letter may stand before an axis only: q0 and r1 are joints.
_ROTATION = re.compile(
    r'd?(roll|pitch|yaw|[qr][wxyz]|'
    r'(quat|quaternion|ori|orientation|rot|rotation|rotvec|rot6d|axisangle|euler)[wxyz\d]{1,2})')


def groups_of(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the columns of each physical group, in the order of their first columns."""
    kinds = [kind_of(name) for name in names]
    return {kind: [column for column, other in enumerate(kinds) if other == kind]
            for kind in dict.fromkeys(kinds)}


def rotations_of(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the groups that are quaternions (4), or two axes of a frame (6 named ``rot...``)."""
    return {name: columns for name, columns in groups_of(names).items()
            if 'rotation' in name and len(columns) in WIDTHS and (
                len(columns) == 4 or all('rot' in names[column].lower() for column in columns))}


def kind_of(name: str) -> str:
    """
    Return the physical group that a column's name tells.

    A position or a rotation is of a pose: an axis with at most the words around it, such as
    ``x``, ``left_ee_qw`` or ``delta_yaw``. A joint that is called after an axis, such as
    ``wrist_roll``, is of the arm.
    """
    text = re.sub(r'(left|right)_(inner_|outer_)?knuckle', 'knuckle', name.lower())  # of a gripper
    side = next((f'{side} ' for side in ('left', 'right') if side in text), '')
    if is_gripper(name):
        return f'{side}gripper'
    if any(word in text for word in ('hand', 'finger', 'thumb')):
        return f'{side}hand'
    told = ''.join(word for word in re.split('[^a-z0-9]+', text) if word not in _AROUND)
    if _ROTATION.fullmatch(told):
        return f'{side}rotation'
    return f'{side}position' if _POSITION.fullmatch(told) else f'{side}arm'
