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
"""FASTerVQ (paper section 3.1): an action chunk as a fixed number of discrete codes."""

from __future__ import annotations

from dataclasses import dataclass

from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.end_search import codes_sparing_ends
from faster_ros.tokenizer.losses import dct_matrix, reconstruction_loss
from faster_ros.tokenizer.patchify import Patchifier
from faster_ros.tokenizer.residual_quantizer import ResidualQuantizer
from faster_ros.tokenizer.slot_autoencoder import SlotDecoder, SlotEncoder
from faster_ros.tokenizer.slot_quantizer import SlotQuantizer
from faster_ros.tokenizer.transformer import GridDecoder, GridEncoder
import torch
from torch import nn, Tensor


@dataclass
class TokenizerLoss:
    """``total`` is minimised; ``reconstruction`` and ``commitment`` are its parts."""

    total: Tensor
    reconstruction: Tensor
    commitment: Tensor


class FASTerVQ(nn.Module):
    """
    Encodes normalised chunks (B, H, D) in [-1, 1] to codes (B, K, T) and back.

    K residual levels, T = C_h * C_a codes per level, row-major over (time row, action column).
    """

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.patchifier = Patchifier(config)
        slots = config.slots > 0
        self.encoder: nn.Module = SlotEncoder(config) if slots else GridEncoder(config)
        self.quantizer: SlotQuantizer | ResidualQuantizer = (
            SlotQuantizer(config) if slots else ResidualQuantizer(config))
        self.decoder: nn.Module = SlotDecoder(config) if slots else GridDecoder(config)
        self.register_buffer('dct', dct_matrix(config.action_horizon), persistent=False)
        self.dct: Tensor

    def forward(self, chunks: Tensor) -> TokenizerLoss:
        """Return the training loss of a batch of chunks (B, H, D)."""
        quantized = self.quantizer(self.latent(chunks))
        decoded = self._decode_latent(quantized.latent)
        reconstruction = reconstruction_loss(decoded, chunks, self.dct, self.config.dct_weight)
        if self.config.mse_weight:
            squared = (decoded - chunks).square().mean()
            reconstruction = reconstruction + self.config.mse_weight * squared
        total = reconstruction + self.config.commitment * quantized.commitment
        return TokenizerLoss(total, reconstruction.detach(), quantized.commitment.detach())

    @torch.no_grad()
    def encode(self, chunks: Tensor) -> Tensor:
        """Return the codes (B, K, T) of chunks (B, H, D)."""
        expected = (self.config.action_horizon, self.config.action_dim)
        if chunks.shape[1:] != expected:
            raise ValueError(f'chunk must have shape {expected}, got {tuple(chunks.shape[1:])}')
        latent = self.latent(chunks)
        if self.config.end_weight:
            assert isinstance(self.quantizer, SlotQuantizer)
            assert isinstance(self.decoder, SlotDecoder)
            return codes_sparing_ends(self.quantizer, self.decoder, latent, chunks,
                                      self.config.end_weight)
        codes: Tensor = self.quantizer(latent).codes
        return codes

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """
        Return chunks (B, H, D) within the output limit of codes (B, k, T), k = 1..K levels.

        A code of -1 stands for one that is not known and adds nothing.
        """
        config = self.config
        if codes.ndim != 3 or not 1 <= codes.shape[1] <= config.levels or (
                codes.shape[2] != config.codes_per_level):
            raise ValueError(f'codes must have shape (B, 1..{config.levels}, '
                             f'{config.codes_per_level}), got {tuple(codes.shape)}')
        outside = (codes < -1) | (codes >= config.codebook_size)
        if outside.any():
            place = tuple(outside.nonzero()[0].tolist())
            raise ValueError(f'code at (batch, level, position) {place} must be in '
                             f'[0, {config.codebook_size}), got {int(codes[place])}')
        return self.decode_chosen(codes)

    @torch.no_grad()
    def decode_chosen(self, codes: Tensor) -> Tensor:
        """Decode codes that a policy chose, or -1: looking through them would wait for a GPU."""
        limit = self.config.output_limit
        return self._decode_latent(self.quantizer.lookup(codes)).clamp(-limit, limit)

    @torch.no_grad()
    def decode_mean(self, shares: Tensor) -> Tensor:
        """
        Return chunks (B, H, D) of the mean latent, k = 1..K levels.

        ``shares`` (B, k, T, V): how likely each code is. Where no code is sure, the mean is nearer
        to what was meant than the likeliest one: residual codes that are wrong are mere noise.
        """
        limit = self.config.output_limit
        return self._decode_latent(self.quantizer.mean(shares)).clamp(-limit, limit)

    def latent(self, chunks: Tensor) -> Tensor:
        """Return z (B, T, latent_dim), what the quantizer sees."""
        if self.config.slots:
            latents: Tensor = self.encoder(chunks)
            return latents
        grid: Tensor = self.encoder(self.patchifier(chunks))
        return grid.flatten(2).transpose(1, 2)  # B, T, latent_dim

    def _decode_latent(self, latent: Tensor) -> Tensor:
        if self.config.slots:
            chunks: Tensor = self.decoder(latent)
            return chunks
        grid = latent.transpose(1, 2).unflatten(2, (self.config.code_rows, -1))
        return self.patchifier.unpatchify(self.decoder(grid))
