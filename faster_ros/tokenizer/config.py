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
"""The size and shape of a FASTerVQ tokenizer (paper section 3.1 and appendix A.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
import math
from typing import Any

ENCODERS = ('conv-transformer', 'cnn', 'transformer')


@dataclass(frozen=True)
class TokenizerConfig:
    """
    What defines a tokenizer besides its weights.

    ``groups``: group name -> column indices of the action, in the order of the paper's action
    axis (arm, gripper, ...); together they name every column once. ``time_patch`` is h, the rows
    of one patch; ``time_strides`` divide the patch rows m = ceil(H / h) down to C_h. ``levels``
    is the residual depth N_c and ``codebook_size`` is K of the paper.

    ``encoder`` is one of ENCODERS, for the encoder and its mirror; ``group_patches`` lets the
    columns of a group mix within a patch, as the paper's patches do.

    ``slots`` above 0 is the form for small data: so many codes per level, each of the whole chunk
    and with codebooks of its own, searched with ``beam`` candidates; ``conv_transformer`` False
    leaves only the linear path of its decoder; ``end_weight`` is what the squared error of the
    first and the last row counts more where codes are chosen. ``output_limit`` is where decoded
    chunks are clipped; ``mse_weight`` adds the squared error to the loss.
    """

    action_horizon: int
    groups: dict[str, list[int]]
    time_patch: int = 4
    time_strides: tuple[int, ...] = (2, 2)
    width: int = 64
    layers: int = 2
    heads: int = 4
    latent_dim: int = 128
    code_dim: int = 8
    levels: int = 3
    codebook_size: int = 256
    ema_decay: float = 0.98
    dead_threshold: float = 0.05
    quantizer_dropout: float = 0.25
    commitment: float = 0.25
    dct_weight: float = 1.0
    encoder: str = 'conv-transformer'
    group_patches: bool = False
    slots: int = 0
    beam: int = 1
    end_weight: float = 0.0
    conv_transformer: bool = True
    output_limit: float = 1.0
    mse_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a shape that cannot work, naming the values."""
        columns = sorted(index for group in self.groups.values() for index in group)
        if columns != list(range(len(columns))):
            raise ValueError(f'groups must name every action column once, got {self.groups}')
        for name in ('time_patch', 'latent_dim', 'code_dim', 'levels', 'codebook_size'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be at least 1, got {getattr(self, name)}')
        if not 0 <= self.quantizer_dropout <= 1:
            raise ValueError('quantizer_dropout must be from 0 to 1, got '
                             f'{self.quantizer_dropout:g}')
        if self.end_weight < 0 or self.end_weight and not self.slots:
            raise ValueError('end_weight must be 0, or above it with slots, got '
                             f'{self.end_weight:g} with {self.slots} slots')
        if self.patch_rows % math.prod(self.time_strides):
            raise ValueError(
                f'time_strides {self.time_strides} must divide the {self.patch_rows} patch rows '
                f'of action_horizon {self.action_horizon} with time_patch {self.time_patch}')
        if self.encoder not in ENCODERS:
            raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, got {self.encoder}")
        if self.width % self.heads:
            raise ValueError(f'width {self.width} must be a multiple of heads {self.heads}')

    @property
    def action_dim(self) -> int:
        """Return D, the columns of an action."""
        return sum(len(group) for group in self.groups.values())

    @property
    def patch_rows(self) -> int:
        """Return the patch rows m; where h does not divide H, the last row is repeated."""
        return -(-self.action_horizon // self.time_patch)

    @property
    def code_rows(self) -> int:
        """Return C_h, the time rows of the code grid."""
        return self.patch_rows // math.prod(self.time_strides)

    @property
    def codes_per_level(self) -> int:
        """Return the codes of one residual level: the slots, or one for each grid cell."""
        return self.slots or self.grid_cells

    @property
    def grid_cells(self) -> int:
        """Return C_h * C_a, the cells of the coarsest grid; C_a is the action columns."""
        return self.code_rows * self.action_dim

    @property
    def tokens(self) -> int:
        """Return N = N_c * C_h * C_a (N_c * slots), the fixed number of tokens of a chunk."""
        return self.levels * self.codes_per_level

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> TokenizerConfig:
        """Build from ``to_dict``; an unknown key is an error."""
        unknown = set(data) - {field.name for field in fields(TokenizerConfig)}
        if unknown:
            raise ValueError(f"tokenizer config: unknown key {', '.join(sorted(unknown))}")
        return TokenizerConfig(**{**data, 'time_strides': tuple(data['time_strides'])})
