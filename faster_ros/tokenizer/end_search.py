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
A choice of codes that spares the ends of a chunk, where the chunk before and the next one meet.

The best sum of each slot leaves little of the whole chunk, but what the slots leave adds up at its
first and last row. Here they choose in turn, each among its best few sums, the one with the least

    |what is left of the latent|^2 + weight * |error of the first and the last row|^2

given what the others chose, so that their errors at the ends cancel. Drawn for one end and two
slots: the second-best sum of slot 2 leaves a little more, and nothing at the end.

    slot 1 leaves 0.3 there    slot 2: 0.2 (best), -0.3 (second)    0.3 - 0.3 = 0
"""

from __future__ import annotations

from faster_ros.tokenizer.slot_autoencoder import SlotDecoder
from faster_ros.tokenizer.slot_quantizer import SlotQuantizer
import torch
from torch import Tensor

_SUMS = 64  # among which a slot chooses
_ROUNDS = 2
_AT_ONCE = 32  # chunks: more do not fit into the caches of a CPU


@torch.no_grad()
def codes_sparing_ends(quantizer: SlotQuantizer, decoder: SlotDecoder, latent: Tensor,
                       chunks: Tensor, weight: float) -> Tensor:
    """Return codes (B, K, slots) of latents (B, slots, latent_dim) of chunks (B, H, D)."""
    parts = [_codes(quantizer, decoder, *some, weight)
             for some in zip(latent.split(_AT_ONCE), chunks.split(_AT_ONCE))]
    return torch.cat(parts)


def _codes(quantizer: SlotQuantizer, decoder: SlotDecoder, latent: Tensor, chunks: Tensor,
           weight: float) -> Tensor:
    slots, horizon = latent.shape[1], chunks.shape[1]
    codes, rest = quantizer.best_sums(latent, _SUMS)
    rows = decoder.linear.weight.unflatten(0, (horizon, -1))[[0, -1]]
    at_ends = rows.flatten(0, 1).unflatten(1, (slots, -1)).transpose(0, 1)  # slots, 2 D, latent
    errors = torch.einsum('sec,sbmc->sbme', at_ends, rest)
    alone = rest.square().sum(-1) + weight * errors.square().sum(-1)  # slots, B, sums
    unheld = chunks - decoder.straight(latent)  # what no code holds
    place = torch.zeros_like(codes[:, :, 0, 0])
    of_chunk = torch.arange(len(chunks), device=codes.device)
    total = unheld[:, [0, -1]].flatten(1) + errors[:, :, 0].sum(0)
    for _ in range(_ROUNDS):
        for slot in range(slots):
            others = total - errors[slot, of_chunk, place[slot]]
            together = (errors[slot] * others[:, None]).sum(-1)
            place[slot] = (alone[slot] + 2 * weight * together).argmin(-1)
            total = others + errors[slot, of_chunk, place[slot]]
    chosen = codes.gather(2, place[..., None, None].expand(-1, -1, -1, codes.shape[-1]))
    return chosen[:, :, 0].permute(1, 2, 0)
