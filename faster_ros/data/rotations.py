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
"""Rotations as columns: unit quaternions (4), or the first two axes of a frame (6)."""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
import numpy as np

WIDTHS = (4, 6)
_SMALLEST = 1e-9


def valid_rotations(rows: FloatArray, rotations: Sequence[Sequence[int]]) -> FloatArray:
    """
    Return rows (..., D) whose columns ``rotations`` are rotations: of unit length, orthogonal.

    A tokenizer decodes each column for itself; a driver may refuse what is no rotation, or worse.
    """
    valid = rows.copy()
    for columns in rotations:
        part = rows[..., list(columns)]
        if len(columns) == 4:
            valid[..., list(columns)] = _unit(part)
        else:
            first = _unit(part[..., :3])
            along = (part[..., 3:] * first).sum(-1, keepdims=True)
            second = part[..., 3:] - along * first
            # Parallel axes name no frame: any direction across the first one is as good.
            across = np.roll(np.eye(3)[np.abs(first).argmax(-1)], 1, -1)
            across = across - (across * first).sum(-1, keepdims=True) * first
            degenerate = np.linalg.norm(second, axis=-1, keepdims=True) < _SMALLEST
            valid[..., list(columns)] = np.concatenate(
                [first, _unit(np.where(degenerate, across, second))], -1)
    return valid


def steady_signs(rows: FloatArray, rotations: Sequence[Sequence[int]]) -> FloatArray:
    """
    Return rows (..., N, D) in time whose quaternions keep the sign that they begin with.

    q and -q are one rotation, and some drivers go from one to the other.
    """
    steady = rows.copy()
    for columns in rotations:
        if len(columns) == 4:
            part = rows[..., list(columns)]
            along = (part[..., 1:, :] * part[..., :-1, :]).sum(-1)
            signs = np.cumprod(np.where(along < 0, -1.0, 1.0), -1)
            steady[..., 1:, list(columns)] = part[..., 1:, :] * signs[..., None]
    return steady


def angles(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the angles in degrees between valid rotations (..., 4) or (..., 6)."""
    if first.shape[-1] == 4:
        cosine = np.abs((first * second).sum(-1))
        half: FloatArray = np.degrees(2 * np.arccos(np.clip(cosine, -1, 1)))
        return half
    frames = [np.stack([part[..., :3], part[..., 3:],
                        np.cross(part[..., :3], part[..., 3:])], -1) for part in (first, second)]
    trace = (frames[0] * frames[1]).sum((-1, -2))
    angle: FloatArray = np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))
    return angle


def _unit(vectors: FloatArray) -> FloatArray:
    """Return vectors (..., n) of length 1; a zero vector becomes the first axis."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    axis = np.eye(vectors.shape[-1])[0]
    unit: FloatArray = np.where(length < _SMALLEST, axis, vectors / np.maximum(length, _SMALLEST))
    return unit
