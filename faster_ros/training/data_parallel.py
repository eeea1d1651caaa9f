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
One training in several processes, a GPU each: the same result as one process with all of a batch.

Each holds the whole model (DDP), or a part of its weights, gradients and optimiser state (FSDP).
`torchrun` and `accelerate launch` both start the processes and tell them their places (RANK,
WORLD_SIZE); without either there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
import os

import numpy as np
from numpy.typing import NDArray
import torch
from torch import distributed, nn, Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import distribute_tensor, DTensor
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class DataParallel:
    """Process ``rank`` of ``size``, and where it computes."""

    rank: int = 0
    size: int = 1
    device: str = 'cpu'

    @staticmethod
    def start(device: str = 'auto') -> DataParallel:
        """Join the other processes; ``device`` is cpu, cuda or auto."""
        rank, size = (int(os.environ.get(name, default))
                      for name, default in (('RANK', '0'), ('WORLD_SIZE', '1')))
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        if device == 'cuda':
            if not torch.cuda.is_available():
                raise ValueError('device cuda: torch finds no GPU here; expected an NVIDIA driver '
                                 'and a torch built for CUDA, or take --device cpu')
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
            torch.cuda.set_device(device)
        if size > 1:
            distributed.init_process_group('gloo' if device == 'cpu' else 'nccl')
        return DataParallel(rank, size, device)

    @property
    def first(self) -> bool:
        """Return whether this process is the one that prints and saves."""
        return self.rank == 0

    def part(self, batch: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this process's rows of a batch, which all processes draw alike."""
        if len(batch) % self.size:
            raise ValueError(f'a batch of {len(batch)} cannot be shared by {self.size} processes; '
                             'expected a multiple of their number')
        return np.split(batch, self.size)[self.rank]

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model whose gradients are the mean over all processes."""
        if self.size == 1:
            return model
        # The codebooks are buffers that the quantizer keeps equal itself.
        return DistributedDataParallel(model, broadcast_buffers=False)

    def shard(self, model: nn.Module, parts: list[nn.Module]) -> None:
        """
        Leave each process a part of the weights, in place; ``parts`` are gathered one by one.

        What is gathered for a forward pass stays until the backward pass is done: of a layer of
        the backbone the keys and values are used, not its output, on which the library waits.
        """
        mesh = init_device_mesh(self.device.split(':')[0], (self.size,))
        for part in [*parts, model]:
            fully_shard(part, mesh=mesh, reshard_after_forward=False)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values / self.size

    def whole(self, values: Tensor) -> Tensor:
        """
        Return values that may be spread over all processes, which all have to call this.

        Spread ones are in the memory of the first process's CPU then, and empty in the others.
        """
        if not isinstance(values, DTensor):
            return values
        gathered = values.full_tensor()
        return gathered.cpu() if self.first else gathered.new_empty(0)

    def stop(self) -> None:
        """Leave the other processes."""
        if self.size > 1:
            distributed.destroy_process_group()


ALONE = DataParallel()


def like(values: Tensor, other: Tensor) -> Tensor:
    """Return a whole tensor on the device of another and, if that is, spread over processes."""
    values = values.to(other.device)
    if isinstance(other, DTensor) and values.shape == other.shape:
        return distribute_tensor(values, other.device_mesh, other.placements)
    return values
