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
"""From what a policy generates to normalised chunks, as its config asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faster_ros.policy.config import PolicyConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from torch import Tensor


def chunk_decoder(tokenizer: FASTerVQ, config: PolicyConfig) -> Callable[[Tensor], Tensor]:
    """Return what makes chunks (B, H, D) of a policy's codes, or of its shares for the mean."""
    return tokenizer.decode_mean if config.mean_latent else tokenizer.decode_chosen


def generated_chunks(generate: Callable[..., Tensor], tokenizer: FASTerVQ, config: PolicyConfig,
                     **how: Any) -> Tensor:
    """
    Return chunks (B, H, D): of the mean latent over all codes, or of the likeliest codes.

    ``generate`` is called with ``how`` and, for the mean, ``shares``; see ``FASTerVLA.generate``.
    """
    return chunk_decoder(tokenizer, config)(generate(shares=config.mean_latent, **how))
