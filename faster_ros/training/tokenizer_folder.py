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
"""A fitted FASTerVQ as a folder: config.json and tokenizer.safetensors, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path

from faster_ros.data.column_groups import rotations_of
from faster_ros.data.durable import write_durably
from faster_ros.data.normalisation import Normaliser
from faster_ros.data.recordings import Recording
from faster_ros.data.rotations import steady_signs, valid_rotations
from faster_ros.interfaces import FloatArray
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.tokenizer.protocol import IntArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
import torch

_CONFIG, _WEIGHTS = 'config.json', 'tokenizer.safetensors'
_RATE_TOLERANCE = 0.01


@dataclass(frozen=True)
class FittedTokenizer:
    """
    A tokenizer and what it was fitted to: column names, their ranges, and the rate.

    ``source`` and ``robot`` are those of the recording, '' where it did not tell.
    """

    model: FASTerVQ
    normaliser: Normaliser
    names: list[str]
    rate_hz: float
    source: str = ''
    robot: str = ''

    def encode(self, chunks: FloatArray) -> IntArray:
        """Return the codes (N, K, T) of chunks (N, H, D) in the units of the recording."""
        steady = steady_signs(chunks, self._rotations)
        values = self.normaliser.normalise(steady, self.model.config.output_limit)
        codes: IntArray = self.model.encode(torch.from_numpy(values).float()).numpy()
        return codes

    def decode(self, codes: IntArray) -> FloatArray:
        """
        Return the chunks (N, H, D) of codes (N, k, T), k = 1..K levels, in the recording's units.

        Rotations are valid ones.
        """
        values = self.model.decode(torch.from_numpy(codes)).double().numpy()
        return valid_rotations(self.normaliser.restore(values), self._rotations)

    def check(self, recording: Recording, zero_shot: bool = False) -> list[str]:
        """
        Refuse a recording of other columns, another rate, another robot or another source.

        With ``zero_shot`` only another number of columns is refused; the rest is returned as
        warnings.
        """
        if len(recording.names) != len(self.names):
            raise ValueError(f'the tokenizer was fitted to {len(self.names)} columns, '
                             f'{self.names}; the recording has {len(recording.names)}, '
                             f'{recording.names}')
        found = []
        if recording.names != self.names:
            found.append(f'the tokenizer was fitted to the columns {self.names}, the recording '
                         f'has {recording.names}')
        if abs(recording.rate_hz / self.rate_hz - 1) > _RATE_TOLERANCE:
            found.append(f'the tokenizer was fitted at {self.rate_hz:g} Hz, the recording has '
                         f'{recording.rate_hz:g} Hz; --rate {self.rate_hz:g} resamples it')
        for what, ours, theirs in (('robot', self.robot, recording.robot),
                                   ('source', self.source, recording.source)):
            if ours and theirs and ours != theirs:
                found.append(f'the tokenizer was fitted to the {what} {ours!r}, the recording '
                             f'has {theirs!r}')
        if found and not zero_shot:
            raise ValueError(f"{'; '.join(found)}; --zero-shot applies it all the same")
        return found

    @property
    def horizon_s(self) -> float:
        """Return the seconds of a chunk."""
        return self.model.config.action_horizon / self.rate_hz

    @property
    def _rotations(self) -> list[list[int]]:
        return list(rotations_of(self.names).values())


def save_tokenizer(folder: Path, fitted: FittedTokenizer) -> None:
    """Write a fitted tokenizer; its config comes last, so that it stands for a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CONFIG).unlink(missing_ok=True)
    write_durably(folder / _WEIGHTS, save(fitted.model.state_dict()))
    write_durably(folder / _CONFIG, json.dumps({
        'tokenizer': fitted.model.config.to_dict(), 'normaliser': fitted.normaliser.to_dict(),
        'names': fitted.names, 'rate_hz': fitted.rate_hz, 'source': fitted.source,
        'robot': fitted.robot}, indent=2).encode())


def load_tokenizer(folder: Path) -> FittedTokenizer:
    """Read what ``save_tokenizer`` wrote; anything else is an error that names the folder."""
    for name in (_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f'expected a fitted tokenizer in {folder}, {name} is missing; make '
                             'one with: faster_ros tokenizer fit DATA --out DIR')
    try:
        data = json.loads((folder / _CONFIG).read_text(encoding='utf-8'))
        model = FASTerVQ(TokenizerConfig.from_dict(data['tokenizer'])).eval()
        model.load_state_dict(load_file(folder / _WEIGHTS))
        return FittedTokenizer(model, Normaliser.from_dict(data['normaliser']),
                               list(data['names']), float(data['rate_hz']),
                               str(data.get('source', '')), str(data.get('robot', '')))
    except (KeyError, TypeError, RuntimeError, SafetensorError, ValueError) as error:
        raise ValueError(f'the tokenizer in {folder} is damaged or foreign: {error}') from error
