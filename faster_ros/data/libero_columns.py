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
The columns of LIBERO: what its recordings and its simulation both hold.

State and action have the same seven: the tool's position, its rotation, the gripper. An action is
a step of the tool, each column in [-1, 1] (1 is 5 cm or 0.5 rad), and a gripper that 1 closes.
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray, ImageArray
import numpy as np

COLUMNS = ('x', 'y', 'z', 'rotation_x', 'rotation_y', 'rotation_z', 'gripper')
# The policy's name of a camera -> that of the simulation; recordings have <name>_rgb.
CAMERAS = {'agentview': 'agentview', 'eye_in_hand': 'robot0_eye_in_hand'}
RATE_HZ = 20
_WIDEST_M = 0.08  # between the fingers of LIBERO's Panda


def state_of(position: FloatArray, rotation: FloatArray, fingers: FloatArray) -> FloatArray:
    """
    Return states (..., 7).

    ``position`` (..., 3) in m; ``rotation`` (..., 3), axis times angle in rad; ``fingers``
    (..., 2) in m, which becomes 1 closed to -1 open, as an action counts it.
    """
    opening = fingers[..., :1] - fingers[..., 1:]
    return np.concatenate([position, rotation, 1 - 2 * opening / _WIDEST_M], -1)


def turned(image: ImageArray) -> ImageArray:
    """
    Return an image of LIBERO as it is used: turned by half a turn.

    OpenGL's first row is the lowest. Turned and not mirrored is what the data sets and policies of
    LIBERO have in common.
    """
    return np.ascontiguousarray(image[::-1, ::-1])
