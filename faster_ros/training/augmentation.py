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
"""Chunks that could have been recorded: later, in other postures, faster, with an offset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from faster_ros.data.recorded_episodes import is_gripper
from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.protocol import LIMIT
from faster_ros.training.chunk_sequence import shifted
import numpy as np

_BLENDED = 0.5  # share of chunks whose posture is blended with that of another chunk
_SWAPPED = 0.5  # share of chunks in which a group moves as in another chunk
_SCALE = 0.2  # spread of the factor on the motion around the posture
_OFFSET = 0.03  # spread of what is added to each column, in normalised units


def augmented(chunks: FloatArray, count: int, groups: Mapping[str, Sequence[int]],
              rng: np.random.Generator) -> FloatArray:
    """
    Return ``count`` chunks (count, H, D) made from chunks (N, H, D) in the order of episodes.

    A chunk begins at any row, also between those that chunks begin at. Its posture, its mean over
    time, moves column by column towards that of another chunk; its motion is scaled, and group by
    group that of another chunk. Held-out episodes differ from those fitted to in posture above
    all. A gripper is taken over as it was: it has few values, and none in between.
    """
    picked = shifted(chunks, rng.integers(len(chunks), size=count), rng)
    posture = picked.mean(1, keepdims=True)
    other = chunks[rng.integers(len(chunks), size=count)].mean(1, keepdims=True)
    columns = chunks.shape[2]
    share = rng.random((count, 1, columns)) * (rng.random((count, 1, 1)) < _BLENDED)
    offset = _OFFSET * rng.standard_normal((count, 1, columns))
    moved = posture + share * (other - posture) + offset
    motion = (picked - posture) * (1 + _SCALE * rng.standard_normal((count, 1, 1)))
    for name, group in groups.items():
        place = list(group)
        donor = np.where(rng.random(count) < _SWAPPED, rng.permutation(count), np.arange(count))
        if is_gripper(name):
            moved[..., place], motion[..., place] = 0.0, picked[donor][..., place]
        else:
            motion[..., place] = motion[donor][..., place]
    clipped: FloatArray = np.clip(moved + motion, -LIMIT, LIMIT)
    return clipped
