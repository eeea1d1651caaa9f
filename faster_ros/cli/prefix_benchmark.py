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
``faster_ros benchmark prefix``: what saving at the prefix gains, and what it does to the codes.

Consecutive frames of simulated episodes, 0.1 s apart, go through the same policy with each option:
how long the layers over the prefix take, and how many codes are those of the policy without it.
With ``--size`` weights are random: then the times count, and whether codes change says nothing of
a trained policy. Writes table.md and prefix.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
import json
from pathlib import Path
from typing import Any

from faster_ros.bringup import default_checkpoint
from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.policy.backbones.base import Backbone, PolicyInput, Prefix, PrefixTokens
from faster_ros.policy.backbones.pretrained import PretrainedBackbone
from faster_ros.policy.checkpoint import load_policy
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.gpu import chosen_device, room_on_gpu
from faster_ros.policy.latency import Stopwatch
from faster_ros.policy.preprocess import image_tensor
from faster_ros.policy.shared_products import share_products
from faster_ros.policy.sizes import random_policy, RandomCameras, size_config, SIZES
from faster_ros.policy.static_inference import inference_dtype
from faster_ros.policy.visual_tokens import FrameReuse, merge_alike
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.pick_episodes import PickCollector, PickSettings
from faster_ros.sim.simulator import TEST_SEED_START
import numpy as np
import torch
from torch import Tensor

_SHARES = (0.75, 0.5)
_TOLERANCES = (0.02, 0.05, 0.1, 0.2)
Encode = Callable[[PrefixTokens], Prefix]
_Subject = tuple[FASTerVLA, list[list[PolicyInput]], Callable[[Tensor], FloatArray] | None]


def main(arguments: list[str]) -> int:
    """Run ``faster_ros benchmark prefix`` and return its exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = chosen_device(options.device)
    with room_on_gpu('lower --size'):
        policy, frames, actions = (_random if options.size else _trained)(options, device)
        rows = measure(policy, frames, actions)
    subject = f'{options.size}, random weights' if options.size else str(options.checkpoint)
    table = describe(rows, f'{subject}; {sum(map(len, frames))} frames of {len(frames)} episodes, '
                     f'{device}, {options.threads} threads')
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / 'table.md').write_text(table + '\n', encoding='utf-8')
    (options.out / 'prefix.json').write_text(
        json.dumps({'subject': subject, 'rows': rows}, indent=2) + '\n')
    print(f'{table}\n\nwritten to {options.out}')
    return 0


@dataclass
class _Measured:
    """What one option did: codes (K, T), prefix tokens and share of image tokens, a frame each."""

    codes: list[Tensor] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    anew: list[float] = field(default_factory=list)


@torch.inference_mode()
def measure(policy: FASTerVLA, episodes: list[list[PolicyInput]],
            actions: Callable[[Tensor], FloatArray] | None = None) -> list[dict[str, Any]]:
    """
    Return one row for each option, the policy without any first; each frame goes to all in turn.

    ``actions`` makes deltas (N, H, D) of codes (N, K, T); without it no change of them is told.
    """
    options = dict(_options(policy))
    found = {name: _Measured() for name in options}
    watch = Stopwatch(episodes[0][0].state.device)
    for frames in episodes:
        encoders = {name: begin() for name, begin in options.items()}
        for tokens in map(policy.embed, frames):
            for name, encode in encoders.items():
                prefix = watch.time(name, encode, tokens)
                kept = found[name]
                kept.codes.append(policy.decode(prefix, levels=policy.config.levels)[0])
                kept.tokens.append(prefix.mask.shape[1])
                kept.anew.append(encode.anew if isinstance(encode, FrameReuse) else 1.0)
    plain = torch.stack(found['none'].codes)
    return [_row(name, kept, plain, watch.times[name], actions) for name, kept in found.items()]


def _row(name: str, kept: _Measured, plain: Tensor, times: list[float],
         actions: Callable[[Tensor], FloatArray] | None) -> dict[str, Any]:
    codes = torch.stack(kept.codes)
    same = (codes == plain).float()
    change = None if actions is None else float(np.abs(actions(codes) - actions(plain)).mean())
    return {'option': name, 'prefix_tokens': float(np.mean(kept.tokens)),
            'image_tokens_anew': float(np.mean(kept.anew)),
            'prefix_p50_ms': float(np.percentile(times, 50)),
            'prefix_p95_ms': float(np.percentile(times, 95)),
            'equal_codes': float(same.mean()),
            'equal_codes_of_level': same.mean((0, 2)).tolist(),
            'equal_chunks': float(same.flatten(1).all(1).float().mean()),
            'joint_change_rad': change}


def describe(rows: list[dict[str, Any]], title: str) -> str:
    """Return the rows as a table in Markdown."""
    lines = [title, '', '| option | prefix tokens | image tokens anew | prefix p50 ms | p95 | '
             'equal codes, % | by level | equal chunks, % | mean change of joints, rad |',
             '|---|---|---|---|---|---|---|---|---|']
    for row in rows:
        levels = ' '.join(f'{100 * share:.1f}' for share in row['equal_codes_of_level'])
        lines.append(
            f"| {row['option']} | {row['prefix_tokens']:.0f} | "
            f"{100 * row['image_tokens_anew']:.0f} % | {row['prefix_p50_ms']:.2f} | "
            f"{row['prefix_p95_ms']:.2f} | {100 * row['equal_codes']:.1f} | {levels} | "
            f"{100 * row['equal_chunks']:.1f} | "
            + (f"{row['joint_change_rad']:.4f} |" if row['joint_change_rad'] is not None else '|'))
    return '\n'.join(lines)


def _options(policy: FASTerVLA) -> Iterator[tuple[str, Callable[[], Encode]]]:
    """Yield names, and what makes the encoding of an episode's frames."""
    backbone = policy.backbone
    yield 'none', lambda: backbone.encode
    if isinstance(backbone, PretrainedBackbone) and _attention(backbone) != 'eager':
        yield 'attention step by step', lambda: partial(_step_by_step, backbone)
    for share in _SHARES:
        yield f'image_share {share}', partial(_merging, backbone, share)
    for tolerance in _TOLERANCES:
        yield f'reuse_tolerance {tolerance}', partial(FrameReuse, backbone, tolerance)


def _attention(backbone: PretrainedBackbone) -> str:
    return str(backbone.decoder.config._attn_implementation)


def _step_by_step(backbone: PretrainedBackbone, tokens: PrefixTokens) -> Prefix:
    """Encode with attention as products and a softmax, as it is without a fused kernel."""
    fused, backbone.decoder.config._attn_implementation = _attention(backbone), 'eager'
    try:
        return backbone.encode(tokens)
    finally:
        backbone.decoder.config._attn_implementation = fused


def _merging(backbone: Backbone, share: float) -> Encode:
    return lambda tokens: backbone.encode(merge_alike(tokens, share))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros benchmark prefix', description=__doc__)
    add = parser.add_argument
    add('--checkpoint', type=Path, default=Path(default_checkpoint()), help="(the package's)")
    add('--robot', default='fr3', help='(%(default)s)')
    add('--size', choices=sorted(SIZES), help='random weights of this size instead')
    add('--episodes', type=int, default=5, help='(%(default)s)')
    add('--frames', type=int, default=30, help='of an episode, at most (%(default)s)')
    add('--device', default='cpu', help='cpu, cuda or auto (%(default)s)')
    add('--threads', type=int, default=1, help='torch threads (%(default)s)')
    add('--out', type=Path, default=Path('out/benchmark_prefix'))
    return parser


def _episodes(options: argparse.Namespace, width: int,
              height: int) -> Iterator[list[tuple[ImageArray, FloatArray, str]]]:
    """Yield the frames of episodes that the scripted expert leads, on layouts of the tests."""
    collector = PickCollector(load_robot_spec(options.robot), PickSettings(
        image_width=width, image_height=height))
    for index in range(options.episodes):
        yield [(step.images, step.positions, step.instruction)
               for step in islice(collector.episode(TEST_SEED_START + index), options.frames)]


def _trained(options: argparse.Namespace, device: torch.device) -> _Subject:
    spec = load_robot_spec(options.robot)
    policy = load_policy(options.checkpoint, spec, str(device))
    parts, size = policy.parts, policy.parts.model.config.backbone

    def arm_targets(codes: Tensor) -> FloatArray:
        deltas = parts.tokenizer.decode(codes).double().cpu().numpy()
        return np.cumsum(parts.action_normaliser.restore(deltas)[..., spec.arm_mask], axis=1)

    return parts.model, [[policy.tensors(dict(zip(spec.cameras, images)), positions, words)
                          for images, positions, words in frames]
                         for frames in _episodes(options, size.image_width, size.image_height)
                         ], arm_targets


def _random(options: argparse.Namespace, device: torch.device) -> _Subject:
    """Return a policy of random weights, and frames with the words of a random prompt."""
    config = size_config(SIZES[options.size], 3, 7, 4096, 2)
    policy = random_policy(config, device, inference_dtype(config, device))
    if device.type == 'cuda':
        share_products(policy.backbone)  # as prepare_inference does with a trained policy
    one = RandomCameras(config, device)()
    height, width = one.images.shape[-2:]
    return policy, [[replace(one, images=image_tensor(images)[None].to(device))
                     for images, _, _ in frames]
                    for frames in _episodes(options, width, height)], None
