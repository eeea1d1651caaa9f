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
"""Trains FASTerVLA on labelled steps by cross-entropy over codes (paper section 3.2)."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from faster_ros.policy.backbones.base import PolicyInput, PrefixTokens
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.preprocess import image_tensor
from faster_ros.training.demonstrations import batches
from faster_ros.training.train_tokenizer import learning_rate_share
import numpy as np
import torch
from torch import nn, Tensor
from tqdm import tqdm

Model = TypeVar('Model', bound=nn.Module)
_CURVE_PERIOD = 20
_EMA_DECAY = 0.998


@dataclass(frozen=True)
class PolicyTraining:
    """
    How to train: the whole run has ``steps`` steps, in one or several calls.

    ``level_weights`` weighs the cross-entropy of each residual level: coarse codes decide where
    the arm goes. ``brightness`` and ``state_noise`` are the sizes of the augmentation, in
    normalised units.
    """

    steps: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    level_weights: tuple[float, ...] = (1.0, 0.5, 0.25)
    brightness: float = 0.08
    state_noise: float = 0.02


@dataclass
class PolicyData:
    """
    Training rows of one kind each, in V versions that differ in what is committed.

    ``images``: uint8 (N, cameras, height, width, 3); ``words``: (N, L); ``state``: (N, S);
    ``codes``: (N, V, K, T), or what else a model learns; ``committed``: (N, V, C, D + 1), all
    zero in version 0. ``tokens``: of a vision that does not learn, of all rows.
    """

    images: np.ndarray
    words: Tensor
    state: Tensor
    codes: Tensor
    committed: Tensor
    tokens: PrefixTokens | None = None

    def __len__(self) -> int:
        return len(self.words)

    def only(self, rows: np.ndarray, codes: Tensor) -> PolicyData:
        """Return some rows, with the codes that belong to them."""
        return PolicyData(self.images[rows], self.words[rows], self.state[rows], codes,
                          self.committed[rows], self._tokens(rows))

    def tensors(self, rows: np.ndarray, versions: np.ndarray | int = 0) -> PolicyInput:
        """Return some rows as tensors, each in its version."""
        return PolicyInput(image_tensor(self.images[rows]), self.words[rows], self.state[rows],
                           self.committed[rows, versions], self._tokens(rows))

    def _tokens(self, rows: np.ndarray) -> PrefixTokens | None:
        return self.tokens and self.tokens.only(rows)


class PolicyTrainer(Generic[Model]):
    """
    Holds model, averaged weights and optimiser, so that training can go on with more data.

    The model returns its losses (K,) for a batch of inputs and codes, one for each level.
    """

    def __init__(self, model: Model, training: PolicyTraining, seed: int) -> None:
        self.model = model
        self.average = copy.deepcopy(model).eval()
        self.training = training
        self.curve: list[dict[str, float]] = []
        self._step = 0
        self._rng = np.random.default_rng(seed)
        self._optimizer = torch.optim.AdamW(
            model.parameters(), training.learning_rate, (0.9, 0.95),
            weight_decay=training.weight_decay, fused=True)

    def train(self, data: PolicyData, until: int) -> None:
        """Train on ``data`` up to step ``until`` of the schedule."""
        self.model.train()
        source = batches(len(data), self.training.batch_size, self._rng)
        bar = tqdm(range(self._step, until), desc='policy', unit='step', initial=self._step,
                   total=self.training.steps)
        for step in bar:
            rows = next(source)
            count = data.codes.shape[1]
            versions = self._rng.integers(count, size=len(rows)) if count > 1 else 0
            losses = self._update(self._augment(data.tensors(rows, versions)),
                                  data.codes[rows, versions], step)
            if step % _CURVE_PERIOD == 0:
                self.curve.append({'step': step, **{
                    f'level_{level}': float(value) for level, value in enumerate(losses)}})
                bar.set_postfix(loss=' '.join(f'{float(value):.2f}' for value in losses))
        self._step = until

    def _update(self, batch: PolicyInput, codes: Tensor, step: int) -> Tensor:
        training = self.training
        for group in self._optimizer.param_groups:
            group['lr'] = training.learning_rate * learning_rate_share(step, training.steps)
        losses: Tensor = self.model(batch, codes)
        self._optimizer.zero_grad()
        (losses * torch.tensor(training.level_weights)).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        decay = min(_EMA_DECAY, (step + 1) / (step + 20))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.model.parameters()):
                kept.lerp_(new, 1 - decay)
        return losses.detach()

    def _augment(self, batch: PolicyInput) -> PolicyInput:
        training = self.training
        size = (len(batch.state), batch.images.shape[1], 3, 1, 1)
        scale = 1 + training.brightness * torch.randn(size)
        shift = training.brightness * torch.randn(size)
        state = batch.state + training.state_noise * torch.randn_like(batch.state)
        return replace(batch, images=batch.images.mul_(scale).add_(shift), state=state)


@torch.no_grad()
def token_accuracy(model: FASTerVLA, data: PolicyData, rows: np.ndarray,
                   version: int) -> list[float]:
    """Return the share of right codes per level, decoded as at run time."""
    codes = model.generate(data.tensors(rows, version), levels=model.config.levels)
    return [float(x) for x in (codes == data.codes[rows, version]).float().mean((0, 2))]
