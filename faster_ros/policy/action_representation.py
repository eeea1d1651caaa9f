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
Delta actions: what the tokenizer sees of a chunk of joint targets.

An arm joint is the step from the target before it (row 0: from the measured position); a
gripper, two values rather than a path, stays absolute. ``gripper``: its column, or all of theirs.
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
import numpy as np


def to_deltas(actions: FloatArray, positions: FloatArray,
              gripper: int | list[int]) -> FloatArray:
    """Return deltas (..., H, D) of absolute targets, given measured joints (..., D)."""
    deltas = np.diff(actions, axis=-2, prepend=positions[..., None, :])
    deltas[..., gripper] = actions[..., gripper]
    return deltas


def from_deltas(deltas: FloatArray, positions: FloatArray,
                gripper: int | list[int]) -> FloatArray:
    """Return the absolute targets (..., H, D); the inverse of ``to_deltas``."""
    actions: FloatArray = positions[..., None, :] + np.cumsum(deltas, axis=-2)
    actions[..., gripper] = deltas[..., gripper]
    return actions
