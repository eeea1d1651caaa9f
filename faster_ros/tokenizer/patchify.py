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
The action patchifier (paper section 3.1): a chunk as a one-channel image, cut into patches.

Time is cut uniformly into m rows of h steps; the action axis is cut into n physical groups of
unequal width, each padded to the widest, d. Drawn for H = 4, h = 2, groups arm (3) and gripper
(1); ``.`` is padding:

    chunk (H, D)        patches (m, n, h, d)            cells (h, m, C_a)
    a b c g             [abc  g..]   row 1: h = 2       columns a b c g, padding dropped,
    a b c g             [abc  g..]                      the h steps of a patch as channels
    a b c g             [abc  g..]   row 2
    a b c g             [abc  g..]
"""

from __future__ import annotations

from faster_ros.tokenizer.config import TokenizerConfig
import torch
from torch import nn, Tensor
from torch.nn import functional


class Patchifier(nn.Module):
    """Turns (B, H, D) chunks into (B, h, m, C_a) cells and back; holds no weights."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        groups = list(config.groups.values())
        widest = max(len(group) for group in groups)
        padded = [column for group in groups
                  for column in [*group, *[-1] * (widest - len(group))]]
        self.group_count, self.group_width = len(groups), widest
        self.register_buffer('columns', torch.tensor(padded), persistent=False)
        self.register_buffer('valid', torch.tensor([c >= 0 for c in padded]), persistent=False)
        # Made here, as a mask that picks columns would make each decoding wait for a GPU.
        self.register_buffer('order', torch.argsort(self.columns[self.valid]), persistent=False)
        self.columns: Tensor
        self.valid: Tensor
        self.order: Tensor

    def patches(self, chunk: Tensor, padding: float = 0.0) -> Tensor:
        """Return the paper's (B, m, n, h, d) patches; absent coordinates hold ``padding``."""
        config = self.config
        extra = config.patch_rows * config.time_patch - chunk.shape[1]
        chunk = torch.cat([chunk, chunk[:, -1:].expand(-1, extra, -1)], 1)  # B, m*h, D
        image = functional.pad(chunk, (0, 1), value=padding)[:, :, self.columns]  # B, m*h, n*d
        return image.unflatten(1, (config.patch_rows, config.time_patch)).unflatten(
            3, (self.group_count, self.group_width)).permute(0, 1, 3, 2, 4)

    def cells(self, patches: Tensor) -> Tensor:
        """Return (B, h, m, C_a) cells: the valid columns, the steps of a patch as channels."""
        return patches.permute(0, 3, 1, 2, 4).flatten(3)[..., self.valid]

    def forward(self, chunk: Tensor) -> Tensor:
        """Return the (B, h, m, C_a) cells of (B, H, D) chunks."""
        return self.cells(self.patches(chunk))

    def unpatchify(self, cells: Tensor) -> Tensor:
        """Return the (B, H, D) chunks of (B, h, m, C_a) cells."""
        image = cells.permute(0, 2, 1, 3).flatten(1, 2)  # B, m*h, C_a in group order
        return image[:, :self.config.action_horizon, self.order]
