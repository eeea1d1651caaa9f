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
Block-wise autoregressive decoding, BAR (paper section 3.2): layout, mask and positions.

The N codes of a chunk, coarse level first, are cut into J = N / B blocks. The expert's input is B
copies of BoBlk and then the blocks themselves; the output at place k of a block is the code at
place k of the NEXT block. Drawn for N = 6, B = 2 (``*`` = may look at):

    input      B B | 1 2 | 3 4            output of B B is block 1 = codes 1 2,
    BoBlk B    * *                        of codes 1 2 is block 2, of codes 3 4 block 3
    BoBlk B    * *
    code  1    * * | * *
    code  2    * * | * *
    code  3    * * | * * | * *
    code  4    * * | * * | * *

Every input also sees the whole prefix, with the text that was said before (``text_mode.py``). A
chunk of fixed length ends by itself, and the call with it: EoBlk, which would return to text, is
never read or written (docs/paper.md).
"""

from __future__ import annotations

import torch
from torch import Tensor


def boblk_id(codebook_size: int) -> int:
    """Return the id of BoBlk, the first after the codes."""
    return codebook_size


def expert_input(codes: Tensor, block_size: int, codebook_size: int) -> Tensor:
    """Return the teacher-forced input (B, N): BoBlk copies, then all blocks but the last."""
    start = codes.new_full((codes.shape[0], block_size), boblk_id(codebook_size))
    return torch.cat([start, codes[:, :-block_size]], 1)


def block_mask(tokens: int, block_size: int) -> Tensor:
    """Return the (tokens, tokens) mask drawn above, true where a row sees a column."""
    block = torch.arange(tokens) // block_size
    return block[:, None] >= block[None, :]


def action_positions(start: Tensor, gaps: Tensor) -> Tensor:
    """
    Return distinct positions (B, T) after ``start`` (B,), given the gaps (B, T) before each.

    Copies of BoBlk at one position would give identical outputs.
    """
    return start[:, None] - 1 + gaps.cumsum(1)


def choose(logits: Tensor, top_k: int, temperature: float) -> Tensor:
    """Return ids (B, T): the likeliest for ``temperature`` 0, else sampled from the top k."""
    if temperature == 0:
        return logits.argmax(-1)
    best, index = logits.topk(min(top_k, logits.shape[-1]), -1)
    share = (best.float() / temperature).softmax(-1)
    # The largest of shares over exponential noise is a draw from them, without asking the device.
    drawn = (share / torch.empty_like(share).exponential_()).argmax(-1, keepdim=True)
    return index.gather(-1, drawn).squeeze(-1)
