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
"""Trains FASTerVQ on normalised action chunks (paper section 3.1, appendix A.2)."""

from __future__ import annotations

from dataclasses import dataclass

from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.data_parallel import ALONE, DataParallel
from faster_ros.training.demonstrations import batches
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

_CURVE_PERIOD = 20  # steps between points of a loss curve
_LAST_RATE_SHARE = 0.02


@dataclass(frozen=True)
class TokenizerTraining:
    """How long and how fast to train."""

    steps: int
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_steps: int = 100


def train_tokenizer(config: TokenizerConfig, chunks: Tensor, training: TokenizerTraining,
                    seed: int, processes: DataParallel = ALONE
                    ) -> tuple[FASTerVQ, list[dict[str, float]]]:
    """
    Fit a tokenizer to chunks (N, H, D) in [-1, 1]; return it and its loss curve.

    Several processes share each batch and end with the same tokenizer.
    """
    torch.manual_seed(seed)
    model = FASTerVQ(config).to(processes.device)
    parallel = processes.wrap(model)
    if not processes.first:  # which levels are dropped is drawn anew in each process
        torch.manual_seed(seed + processes.rank)
    optimizer = torch.optim.AdamW(model.parameters(), training.learning_rate, (0.9, 0.95),
                                  weight_decay=training.weight_decay)
    warmup = training.warmup_steps
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_share(step, training.steps, warmup))
    curve = []
    source = batches(len(chunks), min(training.batch_size, len(chunks)),
                     np.random.default_rng(seed))
    bar = tqdm(range(training.steps), desc='tokenizer', unit='step', disable=not processes.first)
    for step in bar:
        loss = parallel(chunks[processes.part(next(source))].to(processes.device))
        optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % _CURVE_PERIOD == 0:
            curve.append({'step': step, 'reconstruction': float(loss.reconstruction),
                          'commitment': float(loss.commitment)})
            bar.set_postfix(loss=f'{float(loss.reconstruction):.4f}')
    return model.eval(), curve


def learning_rate_share(step: int, steps: int, warmup_steps: int = 100) -> float:
    """Return the share of the peak rate: linear warm-up, then cosine to a small rest."""
    warmup = min(1.0, (step + 1) / warmup_steps)
    cosine = 0.5 * (1 + np.cos(np.pi * step / steps))
    return float(warmup * (_LAST_RATE_SHARE + (1 - _LAST_RATE_SHARE) * cosine))
