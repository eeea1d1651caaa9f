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
Where the time of a policy's call goes, part by part, and the device's floor for it.

Each part is timed with the device idle before and after it. The whole call is timed on its own,
without waiting in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
import time
from typing import TypeVar

from faster_ros.policy.backbones.base import KeyValueCache, PolicyInput, visible
from faster_ros.policy.faster_vla import BlockPasses, FASTerVLA
from faster_ros.policy.static_inference import Record, StaticDecoding, StaticInference, Work
from faster_ros.tokenizer.faster_vq import FASTerVQ
import numpy as np
import torch
from torch import nn, Tensor

T = TypeVar('T')
_WARM_UP = 3
PERCENTILES = (50, 95, 99)


class Stopwatch:
    """Collects durations in ms by name, on a device that may run asynchronously."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.times: dict[str, list[float]] = {}

    def wait(self) -> None:
        """Return when the device has done everything."""
        if self._device.type == 'cuda':
            torch.cuda.synchronize(self._device)

    def time(self, name: str, work: Callable[..., T], *arguments: object) -> T:
        """Do some work and keep how long it took."""
        self.wait()
        start = time.perf_counter()
        result = work(*arguments)
        self.wait()
        self.times.setdefault(name, []).append(1000 * (time.perf_counter() - start))
        return result

    def percentiles(self) -> dict[str, dict[str, float]]:
        """Return p50, p95, p99 and the number of samples of each part."""
        return {name: {**{f'p{share}': float(np.percentile(times, share))
                          for share in PERCENTILES}, 'calls': len(times)}
                for name, times in self.times.items()}


def plainly(work: Work) -> Work:
    """Return the work as it is, where ``cuda_graph`` would record it."""
    return work


@dataclass(frozen=True)
class WholeCall:
    """
    What a robot asks of a policy: camera images in, normalised chunks (B, H, D) on the CPU out.

    ``observe`` looks and makes tensors on the device, ``decode`` makes chunks of codes.
    """

    observe: Callable[[], PolicyInput]
    generate: Callable[[PolicyInput], Tensor]
    decode: Callable[[Tensor], Tensor]

    @torch.inference_mode()
    def __call__(self) -> Tensor:
        """Answer one observation."""
        return self.decode(self.generate(self.observe())).cpu()


def peak_memory_gb(work: Work, device: torch.device) -> float | None:
    """Do some work; return the most that was held of a GPU's memory so far, None of a CPU's."""
    work()
    return torch.cuda.max_memory_allocated(device) / 1e9 if device.type == 'cuda' else None


def whole_call(policy: FASTerVLA, observe: Callable[[], PolicyInput], tokenizer: FASTerVQ,
               record: Record = plainly) -> WholeCall:
    """Return a call of the parts that a robot runs."""
    if record is plainly:
        return WholeCall(observe, policy.generate, tokenizer.decode_chosen)
    decode = StaticDecoding(tokenizer.decode_chosen, policy.config.levels, record)
    return WholeCall(observe, StaticInference(policy, record).generate, decode)


@torch.inference_mode()
def measure_call(policy: FASTerVLA, call: WholeCall, calls: int,
                 record: Record = plainly) -> Stopwatch:
    """
    Time the input, vision, prefix, every block pass, the whole decoding, codes to actions, a call.

    ``input`` is what is done on the CPU, and the copy to the device.
    """
    backbone, batch = policy.backbone, call.observe()
    tokens = policy.embed(batch)
    prefix = backbone.encode(tokens)
    passes, codes = BlockPasses(policy, prefix), policy.decode(prefix)
    see = record if backbone.static_vision else plainly
    parts: dict[str, Work] = {
        'input': call.observe,
        'vision': see(lambda: policy.embed(batch)),
        'prefix': record(lambda: backbone.encode(tokens)),
        'decode': record(lambda: policy.decode(prefix)),
        'actions': lambda: call.decode(codes).cpu(),
        'call': call,
        **{f'pass {block + 1}': record(partial(passes.run, block))
           for block in range(policy.config.blocks)}}
    watch = Stopwatch(batch.state.device)
    for turn in range(_WARM_UP + calls):
        if turn == _WARM_UP:
            watch.times.clear()
        for name, part in parts.items():
            watch.time(name, part)
    return watch


@torch.inference_mode()
def measure_in_turn(ways: Mapping[str, Callable[[], Tensor]], device: torch.device, calls: int,
                    record: Record = plainly) -> dict[str, list[float]]:
    """Return durations in ms of ways to decode, taken in turn: the machine is one for all."""
    watch = Stopwatch(device)
    works = {name: record(way) for name, way in ways.items()}
    for _ in range(_WARM_UP + calls):
        for name, way in works.items():
            watch.time(name, way)
    return {name: times[_WARM_UP:] for name, times in watch.times.items()}


@torch.inference_mode()
def decoding(policy: FASTerVLA, batch: PolicyInput) -> Callable[[], Tensor]:
    """Return the policy's decoding, the prefix being there."""
    return partial(policy.decode, policy.prefix(batch))


@torch.inference_mode()
def flow_decoding(policy: FASTerVLA, batch: PolicyInput, rows: int,
                  steps: int) -> Callable[[], Tensor]:
    """
    Return the integration of a flow-matching head on the same expert.

    ``steps`` passes of the expert's layers over one token for each of ``rows`` actions; the
    projections of noise and actions are left out.
    """
    prefix = policy.prefix(batch)
    weight = policy.expert.embed.weight
    x = torch.zeros(1, rows, weight.shape[1], dtype=weight.dtype, device=weight.device)
    positions = prefix.next_position[:, None] + torch.arange(rows, device=weight.device)
    mask = torch.ones(rows, rows, dtype=torch.bool, device=weight.device)

    def integrate() -> Tensor:
        out = x
        context = KeyValueCache(prefix, rows)
        for _ in range(steps):
            out = out + policy.expert.trunk(out, positions, context, visible(context, mask))
        return out

    return integrate


@dataclass(frozen=True)
class Floor:
    """What the device can do, measured: bytes per second read, and operations per second."""

    bytes_s: float
    operations_s: float

    def pass_ms(self, weights: int, itemsize: int, tokens: int) -> float:
        """Return the least time of one pass of ``tokens`` through so many weights."""
        return 1000 * max(weights * itemsize / self.bytes_s, 2 * weights * tokens
                          / self.operations_s)


@torch.inference_mode()
def measure_floor(device: torch.device, dtype: torch.dtype) -> Floor:
    """Measure reading (a sum over 256 MB) and multiplying (square matrices of 2048, or 8192)."""
    watch = Stopwatch(device)
    values = torch.ones(256 * 2 ** 20 // 4, device=device)
    side = 8192 if device.type == 'cuda' else 2048
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    for _ in range(_WARM_UP + 5):
        watch.time('read', torch.sum, values)
        watch.time('multiply', torch.matmul, matrix, matrix)
    read, multiply = (min(watch.times[name][_WARM_UP:]) for name in ('read', 'multiply'))
    return Floor(values.numel() * 4 / read * 1000, 2 * side ** 3 / multiply * 1000)


def weights_of(module: nn.Module) -> int:
    """Return the number of weights that a pass reads: tables of embeddings are not read."""
    tables = sum(table.weight.numel() for table in module.modules()
                 if isinstance(table, nn.Embedding))
    return sum(weight.numel() for weight in module.parameters()) - tables
