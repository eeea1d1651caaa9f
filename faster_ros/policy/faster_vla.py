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
"""FASTerVLA (paper section 3.2): observation in, the codes of an action chunk out."""

from __future__ import annotations

from collections.abc import Callable

from faster_ros.policy.action_expert import make_decoder
from faster_ros.policy.backbones.base import (
    Backbone,
    KeyValueCache,
    PolicyInput,
    Prefix,
    PrefixTokens,
    TeacherForced,
)
from faster_ros.policy.backbones.registry import make_backbone
from faster_ros.policy.block_decoding import (
    action_positions,
    block_mask,
    boblk_id,
    choose,
    expert_input,
)
from faster_ros.policy.code_distance import code_distances
from faster_ros.policy.config import PolicyConfig
from faster_ros.policy.decode_deadline import DecodeDeadline
from faster_ros.policy.text_mode import text_loss, TextMode
from faster_ros.policy.visual_tokens import merge_alike
import torch
from torch import nn, Tensor
from torch.nn import functional


class FASTerVLA(nn.Module):
    """
    Codes are (B, K, T) as FASTerVQ gives them; inside they are flat, coarse level first.

    Without a ``backbone`` an untrained one is made, as the config describes it.
    """

    def __init__(self, config: PolicyConfig, backbone: Backbone | None = None) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config) if backbone is None else backbone
        self.expert = make_decoder(config, self.backbone)
        width = self.backbone.geometry.width
        self.text = TextMode(config.text_tokens, width) if config.text_tokens else None
        self.register_buffer('mask', block_mask(config.tokens, config.block_size),
                             persistent=False)
        self.mask: Tensor

    def embed(self, batch: PolicyInput) -> PrefixTokens:
        """Return the observation as tokens, image tokens merged if the config says so."""
        return merge_alike(batch.tokens or self.backbone.embed(batch), self.config.image_share)

    def prefix(self, batch: PolicyInput) -> Prefix:
        """Encode the observation once."""
        return self.backbone.encode(self.embed(batch))

    def logits(self, batch: PolicyInput, codes: Tensor, prefix: Prefix | None = None) -> Tensor:
        """Return the scores (B, N, V) of codes (B, K, T), these and the text teacher-forced."""
        prefix = prefix or self._followed(batch)[0]
        flat = codes.flatten(1)
        ids = expert_input(flat, self.config.block_size, self.config.codebook_size)
        positions = action_positions(prefix.next_position, self._gaps(flat))
        out: Tensor = self.expert(ids, positions, TeacherForced(prefix), self.mask)
        return out

    def forward(self, batch: PolicyInput, codes: Tensor, books: Tensor | None = None) -> Tensor:
        """
        Return the cross-entropy (K,) of each residual level for codes (B, K, T).

        With the tokenizer's codebooks (K, V, C), (2, K): beside it the distances of
        ``code_distance.py``. A policy with text mode gives K + 1, that of the text last, whose
        distance is 0.
        """
        prefix, said = self._followed(batch)
        logits = self.logits(batch, codes, prefix)
        loss = functional.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction='none')
        levels = torch.cat([loss.unflatten(0, codes.shape).mean((0, 2)), said])
        if books is None:
            return levels
        distances = code_distances(logits, codes, books)
        return torch.stack([levels, functional.pad(distances, (0, len(said)))])

    def _followed(self, batch: PolicyInput) -> tuple[Prefix, Tensor]:
        """Return the prefix with the given text, and its loss: (1,), or (0,) without text mode."""
        prefix = self.prefix(batch)
        if self.text is None:
            return prefix, prefix.mask.new_zeros(0, dtype=torch.float)
        assert batch.text is not None, 'text mode is taught by the text of the batch'
        prefix, scores = self.text.follow(self.backbone, prefix, batch.text)
        return prefix, text_loss(scores, batch.text)[None]

    @torch.no_grad()
    def generate(self, batch: PolicyInput, levels: int | None = None,
                 deadline: DecodeDeadline | None = None, shares: bool = False) -> Tensor:
        """
        Return codes (B, k, T) decoded block by block with the prefix computed once.

        In text mode a text is said before, see ``TextMode.said``.

        ``levels`` below N_c stops early with the coarse levels, as ``decode_levels`` of the
        config does; a ``deadline`` ends with the whole levels that are ready, one at least.
        With ``shares``, which need ``mean_latent``, how likely each code
        was, (B, k, T, V), given those that were chosen in the blocks before.
        """
        return self.decode(self.prefix(batch), levels, deadline, shares)

    @torch.no_grad()
    def decode(self, prefix: Prefix, levels: int | None = None,
               deadline: DecodeDeadline | None = None, shares: bool = False) -> Tensor:
        """Return codes (B, k, T) that continue a prefix, or shares; see ``generate``."""
        if self.text is not None:
            prefix = self.text.say(self.backbone, prefix)
        passes = BlockPasses(self, prefix)
        return self.run_passes(passes.run, passes.shares if shares else passes.codes, levels,
                               deadline)

    def run_passes(self, run: Callable[[int], object], found: Tensor, levels: int | None = None,
                   deadline: DecodeDeadline | None = None) -> Tensor:
        """Run passes 0, 1, ... that fill ``found`` (B, N, ...); return what is wanted of it."""
        config = self.config
        wanted = (levels or config.decode_levels or config.levels) * config.codes_per_level
        if deadline:
            deadline.begin()
        ready = 0
        while ready < wanted:
            run(ready // config.block_size)
            ready += config.block_size
            level_ends = ready % config.codes_per_level == 0
            if deadline and level_ends and deadline.passed():
                wanted = min(wanted, ready)
        return found[:, :wanted].unflatten(1, (-1, config.codes_per_level))

    def _gaps(self, flat: Tensor) -> Tensor:
        """Return position gaps (B, N): drawn in training, fixed otherwise."""
        if not self.training:
            return torch.full_like(flat, self.config.gap)
        low, high = self.config.train_gap
        return torch.randint_like(flat, low, high + 1)


class BlockPasses:
    """
    The J passes that decode a chunk, each of a fixed shape, over buffers that stay.

    Pass j reads its block of the input and writes the next one, the codes that it chooses, or
    draws where the config has a temperature; run again it does so again. ``shares`` (B, N, V):
    how likely each code was, where V is 0 unless the config asks for a ``mean_latent``.
    """

    def __init__(self, policy: FASTerVLA, prefix: Prefix) -> None:
        config, start = policy.config, prefix.next_position
        self._policy = policy
        self._ids = start.new_full((len(start), config.block_size + config.tokens),
                                   boblk_id(config.codebook_size))
        self._positions = action_positions(
            start, start.new_full((len(start), config.tokens), config.gap))
        self._cache = KeyValueCache(prefix, config.tokens)
        codes = config.codebook_size if config.mean_latent else 0
        self.shares = torch.zeros((len(start), config.tokens, codes), device=start.device)

    @property
    def codes(self) -> Tensor:
        """Return codes of shape (B, N); those of passes that have not run are BoBlk."""
        return self._ids[:, self._policy.config.block_size:]

    def run(self, block: int) -> None:
        """Run pass ``block``; the ones before it have run."""
        config = self._policy.config
        size = config.block_size
        here = slice(block * size, (block + 1) * size)
        self._cache.length = here.start
        logits = self._policy.expert(self._ids[:, here], self._positions[:, here], self._cache,
                                     self._policy.mask[here, :here.stop])
        self._ids[:, here.stop:here.stop + size] = choose(
            logits, config.top_k, config.temperature)
        if config.mean_latent:
            self.shares[:, here] = logits.float().softmax(-1)
