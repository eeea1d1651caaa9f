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
"""What a CUDA graph does, on a CPU: the operations of a run, repeated on the same tensors."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKS_THE_DEVICE = {'_local_scalar_dense', 'nonzero', 'equal', 'is_nonzero', 'masked_select'}


class _Recording(TorchDispatchMode):

    def __init__(self):
        super().__init__()
        self.steps = []

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        name = operation.overloadpacket.__name__
        assert name not in ASKS_THE_DEVICE, f'{name} cannot be recorded: it waits for the device'
        if name in ('index', 'index_put', 'index_put_', '_index_put_impl_'):
            masks = [place for place in arguments[1] if place is not None
                     and place.dtype == torch.bool]
            assert not masks, f'{name} with a mask cannot be recorded: it waits for the device'
        made = operation(*arguments, **(named or {}))
        self.steps.append((operation, arguments, named or {}, made))
        return made

    def replay(self):
        for operation, arguments, named, made in self.steps:
            again = operation(*arguments, **named)
            for kept, new in zip(tree_leaves(made), tree_leaves(again)):
                if isinstance(kept, torch.Tensor) and kept.data_ptr() != new.data_ptr():
                    kept.copy_(new)


def recorded(work):
    """Return what repeats ``work`` with the tensors that it uses and makes now."""
    work()
    recording = _Recording()
    with recording:
        work()
    return recording.replay
