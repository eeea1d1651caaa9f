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
"""The stages of fitting FASTerVQ to small data; each returns what held-out chunks prefer."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from time import perf_counter

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.tokenizer.losses import reconstruction_loss
from faster_ros.tokenizer.slot_autoencoder import SlotDecoder, SlotEncoder
from faster_ros.tokenizer.slot_quantizer import SlotQuantizer
import numpy as np
import torch
from torch import Tensor

BATCH = 256
_REFITS = 4
_ROUND_STEPS = 50
_PATIENCE = 6  # rounds without a lower held-out error before training ends
_LEARNING_RATE = 1e-3
_LINEAR_RATE = 1e-4

Show = Callable[[str, float], float]  # (stage, held-out error) -> seconds left


def refitted(model: FASTerVQ, pool: Tensor, judge: Tensor, best: float,
             show: Show, longest: float) -> tuple[FASTerVQ, float]:
    """
    Search and refit the codes in turn while that lowers the held-out error.

    A round of ``longest`` seconds, or of what one took, is begun only where the budget has them.
    """
    with torch.no_grad():
        latent = model.latent(pool)
    for _ in range(_REFITS):
        if show('codes', best) < longest:
            break
        start = perf_counter()
        candidate = deepcopy(model)
        slot_parts(candidate)[1].refit(latent)
        error = held_out_error(candidate, judge)
        longest = max(longest, perf_counter() - start)
        if error >= best:
            break
        model, best = candidate, error
    return model, best


def trained(model: FASTerVQ, pool: Tensor, judge: Tensor, best: float,
            show: Show) -> tuple[FASTerVQ, float]:
    """
    Train the decoder on codes that stay as they are while the held-out error falls.

    It sees some chunks by their first levels only, so that it decodes these as well.
    """
    if show('decoder', best) <= 0:
        return model, best
    with torch.no_grad():
        codes = torch.cat([model.encode(part) for part in pool.split(BATCH)])
    candidate = FASTerVQ(replace(model.config, conv_transformer=True))
    candidate.load_state_dict(model.state_dict())
    (_, quantizer, decoder), config = slot_parts(candidate), candidate.config
    optimizer = torch.optim.AdamW([
        {'params': list(decoder.linear.parameters()), 'lr': _LINEAR_RATE},
        {'params': [value for name, value in decoder.named_parameters()
                    if not name.startswith('linear')], 'lr': _LEARNING_RATE}])
    stale, longest = 0, 0.0
    while stale < _PATIENCE and show('decoder', best) > longest:
        start = perf_counter()
        candidate.train()
        for _ in range(_ROUND_STEPS):
            batch = torch.randint(len(pool), (BATCH,))
            kept = quantizer.kept_levels(len(batch))
            latent = quantizer.lookup(codes[batch].masked_fill(~kept[..., None], -1))
            decoded = decoder(latent)
            loss = reconstruction_loss(decoded, pool[batch], candidate.dct, config.dct_weight)
            loss = loss + config.mse_weight * (decoded - pool[batch]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        error = held_out_error(candidate.eval(), judge)
        stale += 1
        longest = max(longest, perf_counter() - start)
        if error < best:
            model, best, stale = deepcopy(candidate), error, 0
    return model, best


def held_out_error(model: FASTerVQ, chunks: Tensor) -> float:
    """Return the MSE of chunks (N, H, D) after their codes."""
    squares = [(model.decode(model.encode(part)) - part).square().sum()
               for part in chunks.split(BATCH)]
    return float(sum(squares)) / chunks.numel()


def slot_parts(model: FASTerVQ) -> tuple[SlotEncoder, SlotQuantizer, SlotDecoder]:
    """Return the parts of a model with slots."""
    encoder, quantizer, decoder = model.encoder, model.quantizer, model.decoder
    assert isinstance(encoder, SlotEncoder)
    assert isinstance(quantizer, SlotQuantizer)
    assert isinstance(decoder, SlotDecoder)
    return encoder, quantizer, decoder


def to_tensor(array: FloatArray) -> Tensor:
    """Return an array as a contiguous float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
