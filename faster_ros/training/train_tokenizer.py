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

from collections.abc import Iterator
from dataclasses import asdict, dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

from faster_ros.data.durable import write_durably
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ, TokenizerLoss
from faster_ros.training.data_parallel import ALONE, DataParallel
from faster_ros.training.demonstrations import batches
from faster_ros.training.small_data_stages import held_out_error
from faster_ros.training.tokenizer_state import read_state, write_state
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor
from tqdm import tqdm

_CURVE_PERIOD = 20  # steps between points of a loss curve
_LAST_RATE_SHARE = 0.02
_HELD_OUT, _MOST_HELD_OUT = 0.05, 2000  # share of the chunks, and how many at most
_STATE, _CURVE = 'state.safetensors', 'curve.json'


@dataclass(frozen=True)
class TokenizerTraining:
    """How long and how fast to train."""

    steps: int
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_steps: int = 100


@dataclass(frozen=True)
class Saving:
    """
    That a training keeps its state in ``folder``, ``every`` so many steps and at its end.

    A small share of the chunks, the last ones, is held out then, and their error is measured as
    often. ``resume`` goes on with what an interrupted training kept there.
    """

    folder: Path
    every: int
    resume: bool = False


def train_tokenizer(config: TokenizerConfig, chunks: Tensor, training: TokenizerTraining,
                    seed: int, processes: DataParallel = ALONE, saving: Saving | None = None
                    ) -> tuple[FASTerVQ, list[dict[str, float]]]:
    """
    Fit a tokenizer to chunks (N, H, D) in [-1, 1]; return it and its loss curve.

    Several processes share each batch and end with the same tokenizer.
    """
    run = TokenizerRun(config, chunks, training, seed, processes, saving)
    run.run()
    return run.model.eval(), run.curve


class TokenizerRun:
    """One training: model, optimiser, and where they are in the schedule."""

    def __init__(self, config: TokenizerConfig, chunks: Tensor, training: TokenizerTraining,
                 seed: int, processes: DataParallel, saving: Saving | None) -> None:
        self.training, self.seed, self.processes, self.saving = training, seed, processes, saving
        torch.manual_seed(seed)  # in all processes, which therefore draw alike
        self.model = FASTerVQ(config).to(processes.device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), training.learning_rate, (0.9, 0.95),
            weight_decay=training.weight_decay)
        self.step = 0
        self.curve: list[dict[str, float]] = []
        self.held_out: list[dict[str, float]] = []
        self.chunks, self._judge = chunks, chunks[:0]
        if saving is not None:
            if len(chunks) < 2:
                raise ValueError(f'expected at least 2 training chunks, got {len(chunks)}: one '
                                 'is held out')
            # Chunks overlap, so that random ones would be known from their neighbours.
            count = min(_MOST_HELD_OUT, max(1, round(_HELD_OUT * len(chunks))))
            self.chunks, self._judge = chunks[:-count], chunks[-count:]
            self._begin(saving)

    def run(self) -> None:
        """Train to the end, measuring and saving on the way."""
        steps, saving, parallel = self.training.steps, self.saving, self.processes.wrap(self.model)
        bar = tqdm(range(self.step, steps), desc='tokenizer', unit='step', initial=self.step,
                   total=steps, disable=not self.processes.first)
        for step, rows in zip(bar, self._batches()):
            loss = self._update(parallel, step, rows)
            self.step = step + 1
            if step % _CURVE_PERIOD == 0:
                self.curve.append({'step': step, 'reconstruction': float(loss.reconstruction),
                                   'commitment': float(loss.commitment)})
            if saving and (self.step % saving.every == 0 or self.step == steps):
                self._measure_and_save(saving.folder)
            bar.set_postfix(self._progress(), refresh=False)

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        """Yield this process's rows of each step from the present one on."""
        size = min(self.training.batch_size, len(self.chunks))
        source = batches(len(self.chunks), size, np.random.default_rng(self.seed))
        for step, rows in enumerate(source):
            if step >= self.step:
                yield self.processes.part(rows)

    def _update(self, parallel: torch.nn.Module, step: int,
                rows: NDArray[np.int64]) -> TokenizerLoss:
        training = self.training
        share = learning_rate_share(step, training.steps, training.warmup_steps)
        for group in self.optimizer.param_groups:
            group['lr'] = training.learning_rate * share
        loss: TokenizerLoss = parallel(self.chunks[rows].to(self.processes.device))
        self.optimizer.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss

    def _progress(self) -> dict[str, str]:
        """Return what stands behind the progress bar."""
        shown = {'loss': f"{self.curve[-1]['reconstruction']:.4f}"}
        if self.held_out:
            shown['held_out_mse'] = f"{self.held_out[-1]['mse']:.2e}"
        return shown

    def _measure_and_save(self, folder: Path) -> None:
        if not self.processes.first:
            return
        error = held_out_error(self.model.eval(), self._judge.to(self.processes.device))
        self.model.train()
        self.held_out.append({'step': self.step, 'mse': error})
        curves = {'loss': self.curve, 'held_out': self.held_out}
        write_state(folder / _STATE, self.model, self.optimizer,
                    {'run': self._facts(), 'step': self.step, **curves})
        write_durably(folder / _CURVE, (json.dumps(curves, indent=2) + '\n').encode())

    def _begin(self, saving: Saving) -> None:
        """Go on where the last save of this run was, or see that there is none."""
        file = saving.folder / _STATE
        if not saving.resume:
            if file.exists():
                raise ValueError(f'{saving.folder} holds an earlier run: --resume goes on with '
                                 'it, or name another --out')
            return
        progress = read_state(file, self.model, self.optimizer, self._facts())
        self.step, self.curve = progress['step'], progress['loss']
        self.held_out = progress['held_out']

    def _facts(self) -> dict[str, Any]:
        """Return what tells this run from others, which its state does not fit."""
        content = np.ascontiguousarray(self.chunks.numpy())
        return {**self.model.config.to_dict(), **asdict(self.training), 'seed': self.seed,
                'chunks': len(content),
                'checksum of chunks': hashlib.sha256(content.data).hexdigest()[:16]}


def learning_rate_share(step: int, steps: int, warmup_steps: int = 100) -> float:
    """Return the share of the peak rate: linear warm-up, then cosine to a small rest."""
    warmup = min(1.0, (step + 1) / warmup_steps)
    cosine = 0.5 * (1 + np.cos(np.pi * step / steps))
    return float(warmup * (_LAST_RATE_SHARE + (1 - _LAST_RATE_SHARE) * cosine))
