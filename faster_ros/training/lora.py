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
"""Low-rank additions to frozen linear layers (LoRA), to fine-tune a large backbone on one card."""

from __future__ import annotations

import torch
from torch import nn, Tensor


class LoraLinear(nn.Module):
    """A frozen linear layer plus B A of a low rank; B begins at zero, so nothing changes."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        device = layer.weight.device  # single precision: the steps are too small for bfloat16
        self.down = nn.Parameter(torch.randn(rank, layer.in_features, device=device)
                                 * layer.in_features ** -0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out) of (..., in)."""
        added = (x @ self.down.T.to(x.dtype)) @ self.up.T.to(x.dtype)
        out: Tensor = self.layer(x) + added
        return out

    def merged(self) -> nn.Linear:
        """Return the layer with the addition inside its weight."""
        with torch.no_grad():
            self.layer.weight += (self.up @ self.down).to(self.layer.weight.dtype)
        return self.layer


def add_lora(module: nn.Module, rank: int) -> int:
    """Freeze a module and give every linear layer inside an addition; return their number."""
    module.requires_grad_(False)
    layers = [(parent, name, child) for parent in module.modules()
              for name, child in parent.named_children() if isinstance(child, nn.Linear)]
    for parent, name, child in layers:
        setattr(parent, name, LoraLinear(child, rank))
    return len(layers)


def merge_lora(module: nn.Module) -> None:
    """Put plain linear layers back, with the additions inside."""
    layers = [(parent, name, child) for parent in module.modules()
              for name, child in parent.named_children() if isinstance(child, LoraLinear)]
    for parent, name, child in layers:
        setattr(parent, name, child.merged())
