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
Committed actions as an input: what the arm will do whatever the policy answers.

While the policy thinks, the arm goes on with earlier actions. A policy that is given them can
answer with a chunk that continues them. They are rows of an array (C, D + 1): the actions as
normalised deltas, as the tokenizer sees them, and in the last column 1; rows that are not
committed are 0. The chunk repeats the committed rows and goes on after them.
"""

from __future__ import annotations

from faster_ros.data.normalisation import Normaliser
from faster_ros.interfaces import FloatArray
from faster_ros.policy.action_representation import to_deltas
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.config import PolicyConfig
import numpy as np
from numpy.typing import NDArray
from torch import nn, Tensor


class CommittedToken(nn.Module):
    """The committed actions of an observation as one token of the prefix."""

    def __init__(self, config: PolicyConfig, width: int) -> None:
        super().__init__()
        self.shape = (config.committed_rows, config.state_dim + 1)
        self.project = nn.Sequential(nn.Linear(self.shape[0] * self.shape[1], width), nn.GELU(),
                                     nn.Linear(width, width))

    def forward(self, batch: PolicyInput) -> Tensor:
        """Return the token (B, 1, width); without committed actions that of none."""
        rows = batch.committed
        if rows is None:
            rows = batch.state.new_zeros((len(batch.state), *self.shape))
        out: Tensor = self.project(rows.flatten(1))[:, None]
        return out


def committed_input(committed: FloatArray | None, positions: FloatArray, grippers: list[int],
                    normaliser: Normaliser, rows: int) -> NDArray[np.float32]:
    """
    Return the input (rows, D + 1) for targets ``committed`` (C, D) and measured joints (D,).

    More than ``rows`` targets are cut off: so long a delay is not what the policy has learned.
    """
    joints = len(positions)
    values = np.zeros((rows, joints + 1), np.float32)
    if committed is None or not rows:
        return values
    if committed.ndim != 2 or committed.shape[1] != joints or not np.isfinite(committed).all():
        raise ValueError(f'committed actions must be finite numbers of shape (C, {joints}), got '
                         f'shape {committed.shape}')
    count = min(len(committed), rows)
    deltas = to_deltas(committed[:count], positions, grippers)
    joint_columns = Normaliser(normaliser.low[:joints], normaliser.high[:joints])
    values[:count, :joints] = joint_columns.normalise(deltas)
    values[:count, joints] = 1.0
    return values
