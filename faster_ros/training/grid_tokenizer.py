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

from faster_ros.data.recordings import horizon_rows, Recording
from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.tokenizer.protocol import (
    check_ids,
    IntArray,
    LIMIT,
    refuse_unfitted,
    TokenizerSpec,
    UndecodableError,
)
from faster_ros.training.data_parallel import ALONE, DataParallel
from faster_ros.training.small_data_stages import BATCH, to_tensor
from faster_ros.training.train_tokenizer import TokenizerTraining, train_tokenizer
import numpy as np
import torch

_TWO_ROWS_FROM = 14  # columns
_DOWN_SAMPLING = 4  # patch rows for each row of codes
_STRIDES = {4: (2, 2), 3: (3,), 2: (2,)}


@dataclass
class GridFasterVq:
    """FASTerVQ in the paper's form behind the interface of all tokenizers."""

    name: str
    config: TokenizerConfig
    training: TokenizerTraining
    seed: int = 0
    processes: DataParallel = ALONE
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
        """Train for the given steps."""
        model, _ = train_tokenizer(self.config, to_tensor(chunks), self.training, self.seed,
                                   self.processes)
        self.model = model.cpu()

    def encode(self, chunks: FloatArray) -> list[IntArray]:
        """Return the codes of each chunk, level by level."""
        refuse_unfitted(self.spec, self.model is not None)
        assert self.model is not None
        parts = [self.model.encode(part) for part in to_tensor(chunks).split(BATCH)]
        codes: IntArray = torch.cat(parts).flatten(1).numpy()
        return list(codes)

    def decode(self, sequences: Sequence[IntArray]) -> FloatArray:
        """Return the chunks of sequences of whole levels."""
        refuse_unfitted(self.spec, self.model is not None)
        assert self.model is not None
        cells = self.config.codes_per_level
        for sequence in sequences:
            check_ids(sequence, self.spec, prefix_decodes=True)
            if len(sequence) % cells:
                raise UndecodableError(f'{self.name}: expected whole levels of {cells} tokens, '
                                       f'got {len(sequence)} tokens')
        chunks = np.zeros((len(sequences), self.config.action_horizon, self.config.action_dim))
        for length in {len(sequence) for sequence in sequences}:
            places = [place for place, sequence in enumerate(sequences) if len(sequence) == length]
            codes = torch.from_numpy(np.stack([sequences[place] for place in places]))
            decoded = self.model.decode(codes.view(len(places), length // cells, cells))
            chunks[places] = decoded.double().numpy()
        return chunks


def paper_config(recording: Recording, horizon_s: float, width: int, layers: int,
                 codebook_size: int) -> TokenizerConfig:
    """
    Return the paper's form for a recording: physical groups, C_h of 1 or 2 time rows.

    Two rows where the action has 14 columns and more (appendix, table 4).
    """
    horizon = horizon_rows(recording.rate_hz, horizon_s)
    rows = 1 if len(recording.names) < _TWO_ROWS_FROM else 2
    patch = max(1, -(-horizon // (_DOWN_SAMPLING * rows)))
    found = -(-horizon // patch)
    strides = _STRIDES[found // rows] if found % rows == 0 and found // rows in _STRIDES else ()
    return TokenizerConfig(
        action_horizon=horizon, groups=recording.groups, group_patches=True, time_patch=patch,
        time_strides=strides, width=width, layers=layers, heads=8, codebook_size=codebook_size,
        output_limit=LIMIT)
