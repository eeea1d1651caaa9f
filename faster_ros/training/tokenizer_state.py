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
"""The state of a tokenizer's training in one file, so that an interrupted one can go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from faster_ros.data.durable import write_durably
from safetensors import safe_open, SafetensorError
from safetensors.torch import save
import torch
from torch import nn

_MODEL, _OPTIMIZER, _RANDOM = 'model.', 'optimizer.', 'random'
_PROGRESS = 'progress'


def write_state(file: Path, model: nn.Module, optimizer: torch.optim.Optimizer,
                progress: dict[str, Any]) -> None:
    """Write weights, what the optimiser keeps, random numbers and progress, all at once."""
    tensors = {f'{_MODEL}{name}': value for name, value in model.state_dict().items()}
    for place, kept in optimizer.state_dict()['state'].items():
        tensors |= {f'{_OPTIMIZER}{place}.{name}': value for name, value in kept.items()}
    tensors[_RANDOM] = torch.get_rng_state()
    content = {name: value.contiguous() for name, value in tensors.items()}
    write_durably(file, save(content, {_PROGRESS: json.dumps(progress)}))


def read_state(file: Path, model: nn.Module, optimizer: torch.optim.Optimizer,
               run: dict[str, Any]) -> dict[str, Any]:
    """Restore what ``write_state`` wrote and return the progress; ``run`` must be its own."""
    if not file.exists():
        raise ValueError(f'{file} is missing; expected an interrupted training of these data')
    try:
        with safe_open(file, 'pt') as stored:
            progress: dict[str, Any] = json.loads(stored.metadata()[_PROGRESS])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
        begun = progress['run']
    except (KeyError, TypeError, SafetensorError) as error:
        raise ValueError(f'{file} is damaged or foreign: {error}') from error
    _check_same(file, begun, json.loads(json.dumps(run)))
    model.load_state_dict({name.removeprefix(_MODEL): value for name, value in tensors.items()
                           if name.startswith(_MODEL)})
    kept: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(_OPTIMIZER):
            place, key = name.removeprefix(_OPTIMIZER).split('.')
            kept.setdefault(int(place), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), 'state': kept})
    torch.set_rng_state(tensors[_RANDOM])
    return progress


def _check_same(file: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse a run that is not the one of the state, naming what differs."""
    other = [f'{name} was {begun.get(name)}, is {value}' for name, value in now.items()
             if begun.get(name) != value]
    if other:
        told = '; '.join(other)
        raise ValueError(f'{file}: the run was begun with other data or options: {told}; go on '
                         'with those, or begin anew in another --out')
