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
"""Which device computes; a GPU that is not there or is full is told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

RUNNING = 'end other programs on this GPU, take a smaller backbone, or device cpu'


def chosen_device(name: str) -> torch.device:
    """Return the device called cpu, cuda or auto; one that is not there is a ValueError."""
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    if name.startswith('cuda') and not torch.cuda.is_available():
        raise ValueError(f'device {name}: torch finds no CUDA device here')
    return torch.device(name)


@contextmanager
def room_on_gpu(advice: str, subject: str = '') -> Iterator[None]:
    """Turn running out of GPU memory into a ValueError that ends with ``advice``."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ValueError(f'{subject}out of GPU memory ({error}): {advice}') from error
