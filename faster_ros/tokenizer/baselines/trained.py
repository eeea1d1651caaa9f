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
"""What the baselines with a trained network share: cutting time, training, and the interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math
from typing import Protocol

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.protocol import (
    IntArray,
    LIMIT,
    padded_ids,
    refuse_unfitted,
    TokenizerSpec,
)
from faster_ros.tokenizer.residual_quantizer import Quantized, ResidualQuantizer
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

_COMMITMENT = 0.25
_PLACED = 1024  # chunks whose latents the codebooks are first placed on
_ENCODED = 256  # chunks that are encoded or decoded at once
_SMALLEST_BATCH = 8
_WARM = 0.3  # share of the steps before codes are used, so that they begin at real latents
_WARM_UP = 50  # steps in which the learning rate rises


@dataclass(frozen=True)
class Training:
    """
    How long a network is trained, with AdamW and one cosine of the learning rate.

    Each of ``steps`` sees chunks of ``rows`` time steps in all, so that long chunks take no
    longer; it does not look at the clock, so that a seed gives the same codes on any machine.
    """

    steps: int
    rows: int
    seed: int
    rate: float = 2e-3


class Quantizer(Protocol):
    """A module between latents (B, T, width) and codes (B, levels, codes of a level)."""

    def __call__(self, latent: Tensor) -> Quantized:
        """Return codes and what is decoded from them; in training the codes learn as well."""

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the latent of codes; -1 adds nothing."""


class CodedAutoencoder(nn.Module):
    """Encoder -> (B, T, width) -> quantizer -> decoder; chunks are (B, H, D)."""

    def __init__(self, encoder: nn.Module, quantizer: Quantizer, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder

    def forward(self, chunks: Tensor, coded: bool) -> Tensor:
        """Return the loss of a batch, L1 and commitment; ``coded`` False leaves codes out."""
        latent = self.encoder(chunks)
        if not coded:
            return functional.l1_loss(self.decoder(latent), chunks)
        quantized = self.quantizer(latent)
        error = functional.l1_loss(self.decoder(quantized.latent), chunks)
        return error + _COMMITMENT * quantized.commitment


@dataclass(frozen=True)
class Design:
    """A network for chunks of one shape; ``code_shape`` is (levels, codes of a level)."""

    spec: TokenizerSpec
    code_shape: tuple[int, int]
    network: CodedAutoencoder


class TrainedTokenizer:
    """
    An autoencoder with codes behind the interface of all tokenizers.

    ``design`` makes the network for H and D when it is fitted. Tokens go level by level, and any
    prefix decodes, what is missing adding nothing.
    """

    def __init__(self, unfitted: TokenizerSpec, design: Callable[[int, int], Design],
                 training: Training) -> None:
        self._unfitted = unfitted
        self._make_design = design
        self._training = training
        self._design: Design | None = None

    @property
    def spec(self) -> TokenizerSpec:
        """Return a fixed number of tokens."""
        return self._design.spec if self._design else self._unfitted

    def fit(self, chunks: FloatArray) -> None:
        """Train for the given steps."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._training.seed)
            design = self._make_design(chunks.shape[1], chunks.shape[2])
            _train(design.network, _to_tensor(chunks), self._training)
        self._design = design

    @torch.no_grad()
    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return the codes of each chunk, level by level."""
        network = self._fitted().network
        codes = [network.quantizer(network.encoder(part)).codes
                 for part in _to_tensor(chunks).split(_ENCODED)]
        ids: IntArray = torch.cat(codes).flatten(1).numpy()
        return list(ids)

    @torch.no_grad()
    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences or of their beginnings."""
        design = self._fitted()
        ids = torch.from_numpy(padded_ids(sequences, design.spec, prefix_decodes=True))
        latents = design.network.quantizer.lookup(ids.unflatten(1, design.code_shape))
        parts = [design.network.decoder(part) for part in latents.split(_ENCODED)]
        decoded: FloatArray = torch.cat(parts).clamp(-LIMIT, LIMIT).double().numpy()
        return decoded

    def _fitted(self) -> Design:
        refuse_unfitted(self.spec, self._design is not None)
        assert self._design is not None
        return self._design


def _train(network: CodedAutoencoder, chunks: Tensor, training: Training) -> None:
    """Train without codes first, place the codebooks on what is encoded by then, and go on."""
    optimizer = torch.optim.AdamW(network.parameters(), training.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(
        (step + 1) / _WARM_UP, (1 + math.cos(math.pi * step / training.steps)) / 2))
    warm = round(_WARM * training.steps)
    batch = max(_SMALLEST_BATCH, training.rows // chunks.shape[1])
    for step in range(training.steps):
        if step == warm:
            with torch.no_grad():
                network(_drawn(chunks, _PLACED), coded=True)
        loss = network(_drawn(chunks, batch), coded=step >= warm)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network.eval()


def _drawn(chunks: Tensor, count: int) -> Tensor:
    return chunks[torch.randint(len(chunks), (count,))]


def _to_tensor(chunks: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(chunks, dtype=np.float32))


def full_width_codes(width: int, levels: int, codes: int) -> TokenizerConfig:
    """Return a quantizer's part of a configuration: codes as wide as the latent, no dropout."""
    return TokenizerConfig(
        action_horizon=1, groups={'latent': [0]}, time_patch=1, time_strides=(), latent_dim=width,
        code_dim=width, levels=levels, codebook_size=codes, quantizer_dropout=0.0)


def with_plain_projections(quantizer: ResidualQuantizer) -> ResidualQuantizer:
    """Let a quantizer's projections begin as the identity, so that training without codes fits."""
    for projection in (quantizer.project_in, quantizer.project_out):
        nn.init.eye_(projection.weight)
        nn.init.zeros_(projection.bias)
    return quantizer


def cut(chunks: Tensor, count: int) -> Tensor:
    """Return (B, count, rows, D): a chunk in windows of equal length, its last row repeated."""
    rows = -(-chunks.shape[1] // count)
    extra = rows * count - chunks.shape[1]
    padded = torch.cat([chunks, chunks[:, -1:].expand(-1, extra, -1)], 1)
    return padded.unflatten(1, (count, rows))
