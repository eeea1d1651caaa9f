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
Copies of recorded rows in which the arm is not quite where it was, and the chunk leads it back.

A recording shows only states on its own way. A policy that has strayed from it has to come back,
and has to know where the arm is to do so; if only the joints that it is told were noisy, and not
the right answer, it would learn to believe them less.
"""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
import numpy as np

_BACK_SHARE = 0.25  # of a chunk, after which it is where it was


def displaced(positions: FloatArray, chunks: FloatArray, joints: Sequence[int],
              spread: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """
    Return positions (N, S) and chunks (N, H, D) of arms that are elsewhere by ``spread`` (S,).

    The first target moves as far as the arm does, the following less and less. ``joints``: columns
    that positions and chunks have in common and that are led back; other columns of a chunk stay.
    """
    offsets = spread * rng.standard_normal(positions.shape)
    left = np.clip(1 - np.arange(chunks.shape[1]) / (_BACK_SHARE * chunks.shape[1]), 0, 1)
    led = chunks.copy()
    led[..., joints] += offsets[:, None, joints] * left[:, None]
    return positions + offsets, led
