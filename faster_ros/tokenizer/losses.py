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
"""The reconstruction loss of FASTerVQ: L1 in time and L1 of the DCT (paper section 3.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dct_matrix(length: int) -> Tensor:
    """Return the orthonormal DCT-II as a (length, length) matrix; rows are frequencies."""
    time = torch.arange(length)
    matrix = torch.cos(math.pi / length * (time + 0.5) * time[:, None]) * math.sqrt(2 / length)
    matrix[0] /= math.sqrt(2)
    return matrix


def reconstruction_loss(decoded: Tensor, target: Tensor, dct: Tensor,
                        dct_weight: float) -> Tensor:
    """Return mean |A - A^| + dct_weight * mean |DCT(A) - DCT(A^)| over (B, H, D) chunks."""
    error = decoded - target
    return error.abs().mean() + dct_weight * (dct @ error).abs().mean()
