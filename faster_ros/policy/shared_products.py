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
Linear layers that take the same input as one product, for inference.

Query, key and value, or gate and value, of the library's layers are a few small products where
one larger one costs less. The expert and the tiny backbone are made that way; see ``layers.py``.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn, Tensor
from torch.nn import functional

_TOGETHER = (('q_proj', 'k_proj', 'v_proj'), ('gate_proj', 'up_proj'))


class SharedProduct:
    """
    The product of several layers, computed when the first of them is called.

    The layers' own weights become views of the common one: what is saved stays the same. Moving
    the model to another device or type undoes that, so it comes before.
    """

    def __init__(self, layers: list[nn.Linear]) -> None:
        self._sizes = [layer.out_features for layer in layers]
        self._weight = torch.cat([layer.weight.detach() for layer in layers])
        biases = [layer.bias.detach() for layer in layers if layer.bias is not None]
        self._bias = torch.cat(biases) if biases else None
        self._input: Tensor | None = None
        self._parts: dict[int, Tensor] = {}
        for place, (layer, own) in enumerate(zip(layers, self._weight.split(self._sizes))):
            layer.weight = nn.Parameter(own, requires_grad=False)
            layer.forward = partial(self._part, place)  # type: ignore[method-assign]

    def _part(self, place: int, x: Tensor) -> Tensor:
        """Return the output (..., out) of one layer for x (..., in)."""
        if self._input is not x:
            self._input = x
            self._parts = dict(enumerate(
                functional.linear(x, self._weight, self._bias).split(self._sizes, -1)))
        part = self._parts.pop(place)
        if not self._parts:
            self._input = None
        return part


def share_products(module: nn.Module) -> int:
    """Join what can be computed together; return how many layers are now parts of a product."""
    joined = 0
    for parent in module.modules():
        children = dict(parent.named_children())
        for names in _TOGETHER:
            layers = [children[name] for name in names if name in children]
            if len(layers) == len(names) and _alike(layers):
                SharedProduct([layer for layer in layers if isinstance(layer, nn.Linear)])
                joined += len(layers)
    return joined


def _alike(layers: list[nn.Module]) -> bool:
    """Return whether all are plain linear layers of one input, with a bias or without."""
    return all(type(layer) is nn.Linear for layer in layers) and len(
        {(layer.in_features, layer.bias is None) for layer in layers
         if isinstance(layer, nn.Linear)}) == 1
