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
"""How many tokens and codes the chunks of a small recording can fill."""

from __future__ import annotations

from faster_ros.evaluation.chunk_metrics import component_variances, gaussian_mse
from faster_ros.interfaces import FloatArray
from faster_ros.training.chunk_sequence import held_out_from
import numpy as np

_CHUNKS_PER_CODE = 6  # fewer, and codes would be single chunks learnt by heart
_LARGEST_CODEBOOK = 1024
_SMALLEST_CODEBOOK = 32
_FEW_COLUMNS = 9
_MORE_SLOTS = 4  # times as many at most
_LARGEST_IDEAL_MSE = 0.1 ** 2
_FEWEST_CHUNKS = 10  # that tell how much they vary


def code_layout(chunks: FloatArray) -> tuple[int, int]:
    """
    Return slots and levels for training chunks (N, H, D) in the order of their episodes.

    These are 12 tokens up to 9 columns and 36 above; twice or four times as many where even an
    ideal code of their bits would err by more than 0.1 (RMS, normalised) on held-out chunks.
    """
    slots, levels = (4, 3) if chunks.shape[2] <= _FEW_COLUMNS else (12, 3)
    if len(chunks) < _FEWEST_CHUNKS:
        return slots, levels
    held_out = held_out_from(chunks)
    variances = component_variances(chunks[:held_out], chunks[held_out:])
    bits = levels * np.log2(codebook_size(len(chunks)))
    most = _MORE_SLOTS * slots
    while slots < most and gaussian_mse(variances, slots * bits) > _LARGEST_IDEAL_MSE:
        slots *= 2
    return slots, levels


def codebook_size(chunks: int) -> int:
    """Return the power of two that a number of training chunks can fill with codes."""
    size = 2 ** int(np.log2(max(1, chunks / _CHUNKS_PER_CODE)))
    return int(np.clip(size, _SMALLEST_CODEBOOK, _LARGEST_CODEBOOK))
