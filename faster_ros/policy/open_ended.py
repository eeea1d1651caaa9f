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
"""FASTerVLA over sequences whose length varies, as those of FAST: token by token until END."""

from __future__ import annotations

from faster_ros.policy.backbones.base import PolicyInput, Prefix
from faster_ros.policy.decode_deadline import DecodeDeadline
from faster_ros.policy.faster_vla import BlockPasses, FASTerVLA
import torch
from torch import Tensor
from torch.nn import functional


class OpenEndedVLA(FASTerVLA):
    """
    The last id of the codebook is END, and fills a sequence up to the config's tokens.

    Codes are (B, 1, T); blocks have one token.
    """

    @property
    def end(self) -> int:
        """Return the id that ends a sequence."""
        return self.config.codebook_size - 1

    def forward(self, batch: PolicyInput, codes: Tensor, books: Tensor | None = None) -> Tensor:
        """Return the cross-entropy (1,) over each sequence and its first END; without books."""
        if books is not None:
            raise ValueError('a sequence that ends has no codebooks, as END is none of its codes')
        flat = codes.flatten(1)
        loss = functional.cross_entropy(
            self.logits(batch, codes).flatten(0, 1), flat.flatten(), reduction='none')
        ended = flat == self.end
        counted = (ended.cumsum(1) - ended.long() == 0).flatten()
        return (loss * counted).sum(0, keepdim=True) / counted.sum()

    @torch.no_grad()
    def decode(self, prefix: Prefix, levels: int | None = None,
               deadline: DecodeDeadline | None = None, shares: bool = False) -> Tensor:
        """Return codes (B, 1, t) that stop with the pass in which the last sequence ends."""
        passes = BlockPasses(self, prefix)
        for token in range(self.config.tokens):
            passes.run(token)
            ended = (passes.codes[:, :token + 1] == self.end).cumsum(1) > 0
            if ended[:, -1].all():
                break
        return passes.codes[:, :ended.shape[1]].masked_fill(ended, self.end)[:, None]
