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
``faster_ros benchmark policy``: where the time of a policy's call goes.

Weights are random: the figures are of speed, not of success. Block-wise decoding (BAR),
token-wise decoding (AR) of the same codes on the same expert, decoding as FAST-style policies do
(token by token with the backbone itself) and a flow-matching head on the same expert are measured
in one run. A call goes from camera images to a chunk on the CPU. Writes table.md, latency.json and
latency.png.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
import json
from pathlib import Path
import platform
from typing import Any

from faster_ros.policy.backbones.base import Backbone, PolicyInput
from faster_ros.policy.config import BackboneConfig
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.gpu import chosen_device, room_on_gpu
from faster_ros.policy.latency import (
    decoding,
    Floor,
    flow_decoding,
    measure_call,
    measure_floor,
    measure_in_turn,
    peak_memory_gb,
    PERCENTILES,
    plainly,
    weights_of,
    whole_call,
    WholeCall,
)
from faster_ros.policy.shared_products import share_products
from faster_ros.policy.sizes import (
    random_policy,
    RandomCameras,
    size_config,
    SIZES,
    with_blocks_of,
    without_expert,
)
from faster_ros.policy.static_inference import (
    compiled,
    cuda_graph,
    inference_dtype,
    Record,
    StaticInference,
)
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from matplotlib.figure import Figure
import numpy as np
import torch

_FAST_CODES = 2048  # FAST+'s published vocabulary
_FLOW_STEPS = 10
_COMMITTED_ROWS = 10
_LAYOUTS = {  # columns, horizon, patch rows, time strides: the code shapes of the paper's table 4
    'single-arm': (7, 20, 5, (2, 2)), 'bimanual': (14, 32, 8, (2,)),
    'whole-body': (21, 32, 8, (2,))}


def main(arguments: list[str]) -> int:
    """Run ``faster_ros benchmark`` and return its exit code."""
    if arguments[:1] == ['prefix']:
        from faster_ros.cli.prefix_benchmark import main as benchmark_prefix

        return benchmark_prefix(arguments[1:])
    if arguments[:1] == ['tasks']:
        from faster_ros.cli.task_benchmark import main as benchmark_tasks

        return benchmark_tasks(arguments[1:])
    if arguments[:1] == ['training']:
        from faster_ros.cli.training_benchmark import main as benchmark_training

        return benchmark_training(arguments[1:])
    options = _parser().parse_args(arguments)
    device = chosen_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with room_on_gpu('lower --size or --cameras'):
        figures = measure(options, device)
    options.out.mkdir(parents=True, exist_ok=True)
    table = describe(figures)
    (options.out / 'table.md').write_text(table + '\n', encoding='utf-8')
    (options.out / 'latency.json').write_text(json.dumps(figures, indent=2) + '\n')
    plot(figures, options.out / 'latency.png')
    print(f'{table}\n\nwritten to {options.out}')
    return 0


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    """Return every figure of the run as plain values."""
    tokenizer, grid = _tokenizer(options.layout, device)
    size = SIZES[options.size]
    config = size_config(size, grid.levels, grid.codes_per_level, grid.codebook_size,
                         options.cameras)
    dtype = inference_dtype(config, device)
    policy = random_policy(config, device, dtype)
    observe = RandomCameras(config, device)
    record = plainly if options.plain or device.type != 'cuda' else cuda_graph
    if not options.plain:
        share_products(policy.backbone)
    call = whole_call(policy, observe, tokenizer, record)
    peak = peak_memory_gb(call, device)  # before other ways of decoding are recorded beside it
    watch = measure_call(policy, call, options.calls, record)
    batch = observe()
    decodes = measure_in_turn({
        'BAR': decoding(policy, batch),
        'AR': decoding(with_blocks_of(policy, 1), batch),
        'FAST-style': decoding(without_expert(policy, options.fast_tokens, _FAST_CODES), batch),
        'flow': flow_decoding(policy, batch, grid.action_horizon, _FLOW_STEPS),
    }, device, options.calls, record)
    prefix = policy.prefix(batch)
    return {
        'size': options.size, 'note': size.note, 'layout': options.layout,
        'device': _device_name(device), 'dtype': str(dtype), 'threads': torch.get_num_threads(),
        'inference': {'shared_products': not options.plain, 'cuda_graphs': record is cuda_graph},
        'tokens': config.tokens, 'block_size': config.block_size, 'passes': config.blocks,
        'cameras': options.cameras, 'prefix_tokens': prefix.mask.shape[1],
        'parameters': {'backbone': _count(policy.backbone), 'expert': _count(policy.expert)},
        'fast_tokens': options.fast_tokens, 'flow_steps': _FLOW_STEPS,
        'parts_ms': watch.percentiles(),
        'compiled': _compiled(policy, call, options, record) if options.compile else None,
        'decode_ms': {name: _percentiles(times) for name, times in decodes.items()},
        'generate_ms': _with_committed(policy, batch, options, device, dtype),
        'floor': _floors(policy, measure_floor(device, dtype), prefix.mask.shape[1],
                         options.fast_tokens),
        'peak_memory_gb': peak,
    }


def _compiled(policy: FASTerVLA, call: WholeCall, options: argparse.Namespace,
              record: Record) -> dict[str, Any]:
    """Return times of calls as they are and by torch.compile, and the share of equal codes."""
    fused = compiled(policy, options.compile)
    generate = fused.generate if record is plainly else StaticInference(fused, record).generate
    batch = call.observe()
    try:
        codes = generate(batch)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(f'--compile: torch.compile is not usable here: {error}') from error
    both = measure_in_turn({
        'as above': call, 'by torch.compile': replace(call, generate=generate),
    }, batch.state.device, options.calls)
    return {'call_ms': {name: _percentiles(times) for name, times in both.items()},
            'equal_codes': float((codes == call.generate(batch)).float().mean())}


def _with_committed(policy: FASTerVLA, batch: PolicyInput, options: argparse.Namespace,
                    device: torch.device, dtype: torch.dtype) -> dict[str, dict[str, float]]:
    """Return times from images to codes without and with committed actions as an input."""
    if not isinstance(policy.config.backbone, BackboneConfig):
        return {}  # the large backbones do not take them
    told = random_policy(replace(policy.config, committed_rows=_COMMITTED_ROWS), device, dtype)
    if not options.plain:
        share_products(told.backbone)
    rows = torch.rand(1, _COMMITTED_ROWS, policy.config.state_dim + 1, device=device, dtype=dtype)
    both = measure_in_turn({
        'alone': partial(policy.generate, batch),
        'with committed actions': partial(told.generate, replace(batch, committed=rows)),
    }, device, options.calls)
    return {name: _percentiles(times) for name, times in both.items()}


def describe(figures: dict[str, Any]) -> str:
    """Return the figures as a table in Markdown."""
    sizes = figures['parameters']
    lines = [
        f"{figures['size']} ({figures['note']}), {figures['cameras']} views, "
        f"{figures['prefix_tokens']} prefix tokens; {figures['tokens']} codes in "
        f"{figures['passes']} blocks; backbone {sizes['backbone'] / 1e6:.1f} M, expert "
        f"{sizes['expert'] / 1e6:.1f} M parameters; {figures['device']}, {figures['dtype']}, "
        f"{figures['threads']} threads; " + ', '.join(
            f"{'' if used else 'no '}{way.replace('_', ' ')}"
            for way, used in figures['inference'].items()), '',
        '| part | p50 ms | p95 | p99 | floor |', '|---|---|---|---|---|']
    floors = {name: f'{value:.2f}' for name, value in figures['floor'].items()}
    for name, row in figures['parts_ms'].items():
        floor = floors.get('pass' if name.startswith('pass') else name, '')
        lines.append(f'| {name} | {_cells(row)} | {floor} |')
    lines += ['', '| decoding | passes | p50 ms | p95 | p99 | floor | times BAR |',
              '|---|---|---|---|---|---|---|']
    bar = figures['decode_ms']['BAR']['p50']
    passes = {'BAR': figures['passes'], 'AR': figures['tokens'],
              'FAST-style': figures['fast_tokens'], 'flow': figures['flow_steps']}
    for name, row in figures['decode_ms'].items():
        lines.append(f"| {name} | {passes[name]} | {_cells(row)} | {floors.get(name, '')} | "
                     f"{row['p50'] / bar:.1f} |")
    if figures['compiled']:
        rows = figures['compiled']['call_ms']
        lines += ['', '| call | p50 ms | p95 | p99 | times as above |', '|---|---|---|---|---|']
        lines += [f"| {name} | {_cells(row)} | {row['p50'] / rows['as above']['p50']:.3f} |"
                  for name, row in rows.items()]
        lines += ['', f"{100 * figures['compiled']['equal_codes']:.1f} % of the codes are equal"]
    if figures['generate_ms']:
        lines += ['', '| images to codes | p50 ms | p95 | p99 | times alone |',
                  '|---|---|---|---|---|']
        alone = figures['generate_ms']['alone']['p50']
        lines += [f"| {name} | {_cells(row)} | {row['p50'] / alone:.3f} |"
                  for name, row in figures['generate_ms'].items()]
    if figures['peak_memory_gb']:
        lines += ['', f"peak memory of a call {figures['peak_memory_gb']:.1f} GB"]
    return '\n'.join(lines)


def plot(figures: dict[str, Any], path: Path) -> None:
    """Draw the parts of a call and the ways of decoding, median and 95th percentile."""
    figure = Figure(figsize=(10, 4), layout='constrained')
    parts = {name: row for name, row in figures['parts_ms'].items()
             if not name.startswith('pass') and name != 'call'}
    for axes, rows, title in zip(figure.subplots(1, 2), (parts, figures['decode_ms']),
                                 ('parts of a call', 'decoding')):
        medians = [row['p50'] for row in rows.values()]
        spread = [row['p95'] - row['p50'] for row in rows.values()]
        axes.bar(list(rows), medians, yerr=[[0] * len(rows), spread], color='#4477aa')
        axes.set(title=f"{title}, {figures['size']}", ylabel='ms (p50, line to p95)')
    figure.savefig(path, dpi=120)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros benchmark', description=__doc__)
    parser.add_argument('what', choices=['policy', 'prefix', 'tasks', 'training'],
                        help='what to measure; the other three have options of their own: '
                        'faster_ros benchmark prefix --help')
    parser.add_argument('--size', choices=sorted(SIZES), default='tiny', help='; '.join(
        f'{name}: {size.note}' for name, size in SIZES.items()))
    parser.add_argument('--layout', choices=sorted(_LAYOUTS), default='single-arm',
                        help='columns and codes of a chunk, as the paper has them (single-arm)')
    parser.add_argument('--cameras', type=int, default=2, help='views (2)')
    parser.add_argument('--calls', type=int, default=100, help='samples of each figure (100)')
    parser.add_argument('--fast-tokens', type=int, default=14,
                        help='tokens of a FAST chunk (14: measured on Franka and Piper, see '
                             'docs/tokenizers.md)')
    parser.add_argument('--device', default='auto', help='cpu, cuda or auto')
    parser.add_argument('--threads', type=int, default=0, help='torch threads (its own choice)')
    parser.add_argument('--plain', action='store_true', help='neither CUDA graphs nor shared '
                        'products, which are used by default (graphs on a GPU)')
    parser.add_argument('--compile', nargs='?', const='inductor', metavar='BACKEND', help='add a '
                        'row with vision, prefix and passes fused by torch.compile (inductor)')
    parser.add_argument('--out', type=Path, default=Path('out/benchmark_policy'))
    return parser


def _device_name(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'CPU {platform.machine()}'


def _tokenizer(layout: str, device: torch.device) -> tuple[FASTerVQ, TokenizerConfig]:
    columns, horizon, patch, strides = _LAYOUTS[layout]
    grid = TokenizerConfig(horizon, {'arm': list(range(columns))}, time_patch=patch,
                           time_strides=strides, width=128, codebook_size=4096)
    tokenizer = FASTerVQ(grid)
    tokenizer.train()(torch.randn(64, horizon, columns).clamp(-1, 1))  # makes codebooks
    return tokenizer.to(device).eval(), grid


def _floors(policy: FASTerVLA, device: Floor, prefix: int, fast: int) -> dict[str, float]:
    """Return the least ms of each part, by the device's reading and multiplying rates."""
    size = next(policy.parameters()).element_size()
    expert, block = weights_of(policy.expert), policy.config.block_size
    layers = weights_of(_layers(policy.backbone))
    step = device.pass_ms(expert, size, block)
    return {
        'prefix': device.pass_ms(layers, size, prefix), 'pass': step,
        'decode': policy.config.blocks * step, 'BAR': policy.config.blocks * step,
        'AR': policy.config.tokens * device.pass_ms(expert, size, 1),
        'FAST-style': fast * device.pass_ms(layers, size, 1),
        'gigabytes_s': device.bytes_s / 1e9, 'teraoperations_s': device.operations_s / 1e12}


def _layers(backbone: Backbone) -> torch.nn.Module:
    layers = getattr(backbone, 'decoder', backbone).layers
    assert isinstance(layers, torch.nn.Module)
    return layers


def _count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _percentiles(times: list[float]) -> dict[str, float]:
    return {f'p{share}': float(np.percentile(times, share)) for share in PERCENTILES}


def _cells(row: dict[str, float]) -> str:
    return ' | '.join(f"{row[f'p{share}']:.2f}" for share in PERCENTILES)
