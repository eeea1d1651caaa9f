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
"""FASTerVQ in the paper's form, a grid of codes trained by gradient, as one of the tokenizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from faster_ros.data.recordings import horizon_rows, Recording
from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.tokenizer.protocol import (
    IntArray,
    LIMIT,
    padded_ids,
    refuse_unfitted,
    TokenizerSpec,
)
from faster_ros.training.data_parallel import ALONE, DataParallel
from faster_ros.training.small_data_stages import BATCH, to_tensor
from faster_ros.training.train_tokenizer import Saving, TokenizerTraining, train_tokenizer
import torch

_TWO_ROWS_FROM = 14  # columns
_STRIDES: tuple[tuple[int, ...], ...] = ((2, 2), (3,), (2,), ())
_CHUNKS_PER_CODE = 4  # fewer, and codes are single chunks learnt by heart


@dataclass
class GridFasterVq:
    """FASTerVQ in the paper's form behind the interface of all tokenizers."""

    name: str
    config: TokenizerConfig
    training: TokenizerTraining
    seed: int = 0
    processes: DataParallel = ALONE
    saving: Saving | None = None
    model: FASTerVQ | None = None

    @staticmethod
    def of(model: FASTerVQ) -> GridFasterVq:
        """Return a tokenizer that is fitted already."""
        return GridFasterVq('FASTerVQ', model.config, TokenizerTraining(0), model=model)

    @property
    def spec(self) -> TokenizerSpec:
        """Return levels x cells tokens; one codebook for each level."""
        config = self.config
        return TokenizerSpec(self.name, config.codebook_size, config.tokens, 'FASTer',
                             levels=config.levels, codebooks=config.levels)

    def fit(self, chunks: FloatArray) -> None:
        """Train for the given steps; chunks are in the order of their episodes."""
        model, _ = train_tokenizer(self.config, to_tensor(chunks), self.training, self.seed,
                                   self.processes, self.saving)
        self.model = model.cpu()

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return the codes of each chunk, level by level."""
        refuse_unfitted(self.spec, self.model is not None)
        assert self.model is not None
        parts = [self.model.encode(part) for part in to_tensor(chunks).split(BATCH)]
        codes: IntArray = torch.cat(parts).flatten(1).numpy()
        return list(codes)

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences or of their beginnings."""
        refuse_unfitted(self.spec, self.model is not None)
        assert self.model is not None
        ids = torch.from_numpy(padded_ids(sequences, self.spec, prefix_decodes=True))
        decoded = self.model.decode(ids.unflatten(1, (self.config.levels, -1)))
        chunks: FloatArray = decoded.double().numpy()
        return chunks


def paper_config(recording: Recording, horizon_s: float, width: int, layers: int,
                 codebook_size: int) -> TokenizerConfig:
    """
    Return the paper's form for a recording: physical groups, C_h of 1 or 2 time rows.

    Two rows where the action has 14 columns and more (appendix, table 4).
    """
    horizon = horizon_rows(recording.rate_hz, horizon_s)
    patch, strides = time_grid(horizon, 1 if len(recording.names) < _TWO_ROWS_FROM else 2)
    return TokenizerConfig(
        action_horizon=horizon, groups=recording.groups, group_patches=True, time_patch=patch,
        time_strides=strides, width=width, layers=layers, heads=8, codebook_size=codebook_size,
        output_limit=LIMIT)


def time_grid(horizon: int, rows: int) -> tuple[int, tuple[int, ...]]:
    """
    Return the time patch and the strides that make so many rows of codes of a horizon.

    Of the strides that do, those that make it coarser in more steps. Drawn for a horizon of 20
    and two rows; patches of 3 would be seven, which strides of 2 and 2 do not divide:

        patches of 5    aaaaa bbbbb ccccc ddddd    stride 2    ab cd
    """
    grids = [(-(-horizon // (rows * math.prod(strides))), strides) for strides in _STRIDES]
    return next((patch, strides) for patch, strides in grids
                if -(-horizon // patch) == rows * math.prod(strides))


def too_many_codes(size: int, chunks: int) -> list[str]:
    """Return a warning where so many training chunks are few for the codes of a level."""
    if chunks >= _CHUNKS_PER_CODE * size:
        return []
    fitting = 2 ** int(math.log2(max(1, chunks / _CHUNKS_PER_CODE)))
    return [f'warning: {chunks} training chunks are fewer than {_CHUNKS_PER_CODE} for each of '
            f'{size} codes, which then learn single chunks by heart; take --codes {fitting}, or '
            'faster_ros tokenizer fit, which is made for few episodes']
