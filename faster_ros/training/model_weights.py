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
"""Which weights of a policy in training are whose, and copies of them."""

from __future__ import annotations

import copy
from typing import Any

from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.training.data_parallel import DataParallel
from faster_ros.training.lora import merge_lora
from torch import distributed, nn, Tensor


def of_backbone(name: str) -> bool:
    """Return whether a weight is the backbone's; the state's token is new, as the expert is."""
    return name.startswith('backbone.') and not name.startswith('backbone.state_token.')


def large_parts(model: FASTerVLA) -> list[nn.Module]:
    """Return the library's layers, vision and language, and the expert."""
    layers = [layer for stack in model.backbone.modules() if isinstance(stack, nn.ModuleList)
              for layer in stack if type(layer).__module__.startswith('transformers')]
    return [*layers, model.expert]


def give_first_weights_to_all(model: FASTerVLA, processes: DataParallel) -> None:
    """Make every process begin with the weights that the first has drawn."""
    if processes.size > 1:
        for values in (*model.parameters(), *model.buffers()):
            distributed.broadcast(values.detach(), 0)


def averaged_copy(model: FASTerVLA, averaged: dict[str, Tensor]) -> FASTerVLA:
    """Return a copy on the CPU with the averaged weights, low-rank additions merged."""
    copies: dict[int, Any] = {
        id(weight): nn.Parameter(averaged.get(name, weight).detach().to('cpu', copy=True),
                                 weight.requires_grad)
        for name, weight in model.named_parameters()}
    model = copy.deepcopy(model, copies).cpu().eval()  # a weight is taken from there
    merge_lora(model)
    kind = next(model.backbone.parameters()).dtype
    for weight in model.parameters():
        weight.data = weight.data.to(kind)
    return model
