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
FASTerVQ for a user's own 20 to 200 episodes, within minutes on a CPU.

It starts from PCA and residual k-means over augmented chunks, in a metric of its own where chunks
would jump at their seams, refits each slot's codes together by least squares, then trains the
decoder's conv-transformer on the codes. What these two stages do is kept only where it lowers the
error on held-out chunks, those of the last episodes. Where these still jump as they meet, codes
are chosen to spare their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.baselines.pca_rvq import PcaResidualKMeans
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.tokenizer.protocol import check_ids, IntArray, LIMIT, TokenizerSpec
from faster_ros.training.augmentation import augmented
from faster_ros.training.chunk_sequence import held_out_from, stretches
from faster_ros.training.code_sizes import codebook_size
from faster_ros.training.seam_metric import end_error, SeamMetric
from faster_ros.training.small_data_stages import (
    BATCH,
    held_out_error,
    refitted,
    slot_parts,
    to_tensor,
    trained,
)
from faster_ros.training.tokenizer_probes import border_jump
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

_FEWEST_CHUNKS = 10
_LATENT = 96
_BEAM = 16
_SEAM_WEIGHT = 0.5
_LARGEST_END_ERROR = 0.5  # of the recording's p99 step; above it chunks jump two such steps
_LARGEST_JUMP = 1.25  # of held-out chunks, in p99 steps: a margin to 1.5, wanted of unseen ones
_END_WEIGHTS = (1.0, 2.0, 4.0)  # more costs over a tenth of the squared error


@dataclass(frozen=True)
class SmallDataSettings:
    """
    ``codebook_size`` None is chosen from the data.

    ``seconds`` is the budget of the fit, which ends with the step that is running then; ``chunks``
    is the number of recorded chunks that codes are fitted to, beside ``augmented`` times as many
    made from them. ``slot_width``: latent numbers of a slot, more where there are few slots.
    ``seam_weight``: what the ends and steps of a chunk weigh more where codes are fitted, and
    ``end_weight`` its ends where they are chosen; None is chosen from the data.
    """

    slots: int
    levels: int
    codebook_size: int | None = None
    seconds: float = 540.0
    chunks: int = 12_000
    conv_transformer: bool = True
    seed: int = 0
    slot_width: int = 16
    augmented: int = 3
    seam_weight: float | None = None
    end_weight: float | None = None


class SmallDataFasterVq:
    """FASTerVQ behind the interface of all tokenizers; any prefix of the tokens decodes."""

    def __init__(self, settings: SmallDataSettings, groups: dict[str, list[int]]) -> None:
        self.settings = settings
        self._groups = groups
        self.model: FASTerVQ | None = None
        self.log: list[str] = []

    @staticmethod
    def of(model: FASTerVQ) -> SmallDataFasterVq:
        """Return a tokenizer that is fitted already."""
        config = model.config
        tokenizer = SmallDataFasterVq(
            SmallDataSettings(config.codes_per_level, config.levels, config.codebook_size),
            config.groups)
        tokenizer.model = model
        return tokenizer

    @property
    def spec(self) -> TokenizerSpec:
        """Return slots x levels tokens, coarse level first."""
        settings = self.settings
        tokens = settings.slots * settings.levels
        size = self.model.config.codebook_size if self.model else settings.codebook_size or 0
        return TokenizerSpec(f'FASTerVQ {settings.slots}x{settings.levels}', size, tokens,
                             'FASTer, in the small-data form', levels=settings.levels,
                             codebooks=tokens)

    def fit(self, chunks: FloatArray) -> None:
        """Fit within the budget; chunks are in the order of their episodes."""
        start = perf_counter()
        torch.manual_seed(self.settings.seed)
        rng = np.random.default_rng(self.settings.seed)
        if len(chunks) < _FEWEST_CHUNKS:
            raise ValueError(f'expected at least {_FEWEST_CHUNKS} chunks of {chunks.shape[1]} '
                             f'rows to fit {self.spec.name} to, got {len(chunks)}')
        held_out = held_out_from(chunks)
        train, judge = chunks[:held_out], to_tensor(chunks[held_out:])
        model = self._chosen_start(train, judge, rng)
        judging = perf_counter()
        best = held_out_error(model, judge)
        seconds_a_chunk = (perf_counter() - judging) / len(judge)
        self.log.append(f'PCA and k-means: held-out MSE {best:.2e}')
        some = train[rng.permutation(len(train))[:self.settings.chunks]]
        pool = self._with_augmented(train, some, rng)
        with tqdm(total=self.settings.seconds, unit='s', desc='FASTerVQ', leave=False,
                  bar_format='{desc}: {percentage:3.0f}%|{bar}| {postfix}') as bar:
            def show(stage: str, error: float) -> float:
                elapsed = perf_counter() - start
                bar.n = min(elapsed, bar.total)
                bar.set_postfix_str(f'{stage}, held-out MSE {error:.2e}')
                return self.settings.seconds - elapsed

            model, best = refitted(model, to_tensor(pool), judge, best, show,
                                   seconds_a_chunk * len(pool))
            self.log.append(f'codes refitted: held-out MSE {best:.2e}')
            if self.settings.conv_transformer:
                model, best = trained(model, to_tensor(pool), judge, best, show)
                self.log.append(f'decoder trained: held-out MSE {best:.2e}')
        self.model = model.eval()
        self._spare_ends(stretches(chunks[held_out:]))

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return slots * levels codes for each chunk, level by level."""
        model = self._fitted()
        parts = [model.encode(part) for part in to_tensor(chunks).split(BATCH)]
        codes: IntArray = torch.cat(parts).flatten(1).numpy()
        return list(codes)

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences or of their beginnings."""
        model, spec = self._fitted(), self.spec
        assert spec.tokens is not None
        codes = np.full((len(sequences), spec.tokens), -1)
        for row, sequence in zip(codes, sequences):
            check_ids(sequence, spec, prefix_decodes=True)
            row[:len(sequence)] = sequence
        chunks = model.decode(torch.from_numpy(codes).unflatten(1, (spec.levels, -1)))
        decoded: FloatArray = chunks.double().numpy()
        return decoded

    def _fitted(self) -> FASTerVQ:
        if self.model is None:
            raise ValueError(f'{self.spec.name} must be fitted to chunks before it encodes or '
                             'decodes')
        return self.model

    def _with_augmented(self, train: FloatArray, some: FloatArray,
                        rng: np.random.Generator) -> FloatArray:
        made = augmented(train, self.settings.augmented * len(some), self._groups, rng)
        return np.concatenate([some, made])

    def _chosen_start(self, train: FloatArray, judge: Tensor,
                      rng: np.random.Generator) -> FASTerVQ:
        """Return the initial model; its ends and steps weigh more where chunks would jump."""
        weight = self.settings.seam_weight
        self.log = []
        model = self._initial(train, rng, weight or 0.0)
        if weight is not None:
            return model
        error = end_error(model.decode(model.encode(judge)).double().numpy(),
                          judge.double().numpy())
        if error <= _LARGEST_END_ERROR:
            return model
        self.log = [f'the ends of chunks err by {error:.2f} of a large step of the recording: '
                    'ends and steps weigh more']
        return self._initial(train, rng, _SEAM_WEIGHT)

    def _spare_ends(self, episodes: list[FloatArray]) -> None:
        """Give the ends the weight with which chunks of ``episodes`` jump least, or enough."""
        if self.settings.end_weight is not None:
            self._weigh_ends(self.settings.end_weight)
            return
        first = least = self._jump(episodes)
        chosen = 0.0
        for weight in _END_WEIGHTS:
            if least <= _LARGEST_JUMP:
                break
            self._weigh_ends(weight)
            jump = self._jump(episodes)
            if jump < least:
                chosen, least = weight, jump
        self._weigh_ends(chosen)
        if chosen:
            self.log.append(f'chunks jump by {first:.2f} of a large step where they meet, and by '
                            f'{least:.2f} as codes are chosen to spare their ends (weight '
                            f'{chosen:g})')

    def _weigh_ends(self, weight: float) -> None:
        model = self._fitted()
        model.config = replace(model.config, end_weight=weight)

    def _jump(self, episodes: list[FloatArray]) -> float:
        """Return the border jump, chunks of an episode begun at each quarter of a chunk."""
        horizon = self._fitted().config.action_horizon
        later = range(0, horizon, max(1, horizon // 4))
        begun = [episode[rows:] for episode in episodes for rows in later]
        return border_jump(self, begun, horizon) or 0.0

    def _initial(self, train: FloatArray, rng: np.random.Generator, seams: float) -> FASTerVQ:
        """Return a model whose linear path and codebooks are PCA and residual k-means."""
        settings, (horizon, columns) = self.settings, train.shape[1:]
        size = settings.codebook_size or codebook_size(len(train))
        width = min(max(settings.slot_width, _LATENT // settings.slots),
                    horizon * columns // settings.slots)
        start = PcaResidualKMeans(settings.slots, settings.levels, size, width, settings.seed)
        some = train[rng.permutation(len(train))[:settings.chunks]]
        metric = SeamMetric.of(horizon, seams)
        start.fit(metric.root @ self._with_augmented(train, some, rng))
        model = FASTerVQ(TokenizerConfig(
            action_horizon=horizon, groups=self._groups, time_patch=_time_patch(horizon),
            time_strides=_strides(horizon), width=48, layers=1, latent_dim=width,
            levels=settings.levels, codebook_size=size, slots=settings.slots, beam=_BEAM,
            conv_transformer=False, output_limit=LIMIT, mse_weight=50.0, dct_weight=0.3))
        encoder, quantizer, decoder = slot_parts(model)
        axes, mean = (part.reshape(-1, horizon, columns)
                      for part in (start.pca.axes, start.pca.mean))
        with torch.no_grad():
            encoder.linear.weight.copy_(to_tensor(metric.root @ axes).flatten(1))
            encoder.linear.bias.copy_(to_tensor(-start.pca.axes @ start.pca.mean))
            decoder.linear.weight.copy_(to_tensor(metric.inverse @ axes).flatten(1).T)
            decoder.linear.bias.copy_(to_tensor(metric.inverse @ mean).flatten())
            quantizer.codebooks.copy_(to_tensor(start.books))
        return model.eval()


def _strides(horizon: int) -> tuple[int, ...]:
    rows = -(-horizon // _time_patch(horizon))
    return (2, 2) if rows % 4 == 0 else (2,) if rows % 2 == 0 else ()


def _time_patch(horizon: int) -> int:
    return max(1, -(-horizon // 8))
