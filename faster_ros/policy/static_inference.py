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
A policy's call in static shapes: each part is recorded once as a CUDA graph, then replayed.

Launching the kernels of a pass one by one from Python takes longer than they run. Every
observation of a policy has one shape (see ``ImagesAndPrompt``), so the parts are recorded at the
first call: vision where the backbone allows it, the prefix's layers, each block pass, so that a
deadline may still end decoding between two of them, and the tokenizer's decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
import copy
from dataclasses import fields
from functools import partial
from typing import Any, TypeVar
import warnings

from faster_ros.policy.backbones.base import PolicyInput, PrefixTokens
from faster_ros.policy.chunk_decoding import chunk_decoder
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.decode_deadline import DecodeDeadline
from faster_ros.policy.faster_vla import BlockPasses, FASTerVLA
from faster_ros.policy.shared_products import share_products
from faster_ros.policy.visual_tokens import FrameReuse
from faster_ros.tokenizer.faster_vq import FASTerVQ
import torch
from torch import Tensor

Work = Callable[[], object]
Record = Callable[[Work], Work]
_WARM_UP = 3
R = TypeVar('R')
T = TypeVar('T', PolicyInput, PrefixTokens)


def cuda_graph(work: Work) -> Work:
    """Return what repeats ``work`` on the GPU, with the tensors that it uses and makes now."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries set themselves up in the first runs
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode='thread_local'):
        work()
    return graph.replay


def inference_dtype(config: PolicyConfig, device: torch.device) -> torch.dtype:
    """Return what a policy computes in: a vision-language model on a GPU in bfloat16."""
    small = isinstance(config.backbone, BackboneConfig)
    return torch.bfloat16 if device.type == 'cuda' and not small else torch.float32


def prepare_inference(policy: FASTerVLA, device: torch.device,
                      reuse: FrameReuse | None = None) -> Callable[..., Tensor]:
    """
    Move a policy to where it runs and return its ``generate``; ``policy`` is changed.

    On a GPU a vision-language model runs in bfloat16 with shared products, and calls are recorded;
    with ``reuse`` they are not, as their shapes differ from frame to frame.
    """
    policy.to(device).eval()
    if device.type == 'cuda':
        if inference_dtype(policy.config, device) == torch.bfloat16:
            policy.to(torch.bfloat16)
        share_products(policy.backbone)
    if reuse:
        return lambda batch, **how: policy.decode(reuse(policy.embed(batch)), **how)
    return StaticInference(policy).generate if device.type == 'cuda' else policy.generate


def compiled(policy: FASTerVLA, backend: str = 'inductor') -> FASTerVLA:
    """Return a policy of the same weights whose vision, prefix and passes torch.compile fuses."""
    backbone, expert = copy.copy(policy.backbone), copy.copy(policy.expert)
    other = FASTerVLA(policy.config, backbone).to(policy.mask.device).eval()
    other.expert, other.text = expert, policy.text
    fuse = partial(torch.compile, backend=backend)
    if backbone.static_vision:
        backbone.embed = fuse(backbone.embed)  # type: ignore[method-assign]
    backbone.encode = fuse(backbone.encode)  # type: ignore[method-assign]
    expert.forward = fuse(expert.forward)  # type: ignore[method-assign]
    return other


def prepare_decoding(tokenizer: FASTerVQ, config: PolicyConfig,
                     device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return what makes chunks of what a policy generates, recorded on a GPU."""
    decode = chunk_decoder(tokenizer.to(device).eval(), config)
    return StaticDecoding(decode, config.levels) if device.type == 'cuda' else decode


class StaticInference:
    """
    ``FASTerVLA.generate`` by recorded parts; other shapes are recorded anew.

    What a device refuses to record is called plainly from then on, with a warning; so is, without
    one, a policy with text mode, whose text has no fixed length.
    """

    def __init__(self, policy: FASTerVLA, record: Record = cuda_graph) -> None:
        self._policy, self._record = policy, record
        self._recorded: _RecordedCall | None = None
        self._refused = policy.text is not None

    @torch.inference_mode()
    def generate(self, batch: PolicyInput, levels: int | None = None,
                 deadline: DecodeDeadline | None = None, shares: bool = False) -> Tensor:
        """Return codes (B, k, T), or shares; see ``FASTerVLA.generate``."""
        if not self._refused and (self._recorded is None or not self._recorded.fits(batch)):
            self._recorded = _unless_refused(
                lambda: _RecordedCall(self._policy, batch, self._record))
            self._refused = self._recorded is None
        if self._recorded is None:
            return self._policy.generate(batch, levels, deadline=deadline, shares=shares)
        return self._recorded(batch, levels, deadline, shares)


class StaticDecoding:
    """
    The tokenizer's decoder, recorded once for all residual levels.

    Levels that were not decoded in time are codes of -1, or shares of 0: they add nothing. What a
    device refuses to record is called plainly, as in ``StaticInference``.
    """

    def __init__(self, decode: Callable[[Tensor], Tensor], levels: int,
                 record: Record = cuda_graph) -> None:
        self._decode, self._levels, self._record = decode, levels, record
        self._codes: Tensor | None = None
        self._chunks: Tensor
        self._replay: Work | None = None
        self._refused = False

    @torch.inference_mode()
    def __call__(self, found: Tensor) -> Tensor:
        """Return chunks (B, H, D) of codes (B, k, T) or shares (B, k, T, V), k = 1..K levels."""
        whole = self._of_all_levels(found)
        if not self._refused and (self._codes is None or self._codes.shape != whole.shape):
            self._codes = whole.clone()
            self._replay = _unless_refused(lambda: self._record(self._run))
            self._refused = self._replay is None
        if self._codes is None or self._replay is None:
            return self._decode(found)
        self._codes.copy_(whole)
        self._replay()
        return self._chunks.clone()

    def _run(self) -> None:
        assert self._codes is not None
        self._chunks = self._decode(self._codes)

    def _of_all_levels(self, found: Tensor) -> Tensor:
        missing = self._levels - found.shape[1]
        if not missing:
            return found
        nothing = 0 if found.is_floating_point() else -1
        return torch.cat([found, found.new_full((len(found), missing, *found.shape[2:]),
                                                nothing)], 1)


def _unless_refused(make: Callable[[], R]) -> R | None:
    """Return what is recorded, or None with a warning where the device refuses it."""
    try:
        return make()
    except torch.OutOfMemoryError:  # a RuntimeError too, which plain calls would not cure
        raise
    except RuntimeError as error:
        warnings.warn(f'calls are not recorded as CUDA graphs and take longer: {error}',
                      stacklevel=3)
        return None


class _RecordedCall:
    """The parts of a call on buffers of one set of shapes."""

    def __init__(self, policy: FASTerVLA, batch: PolicyInput, record: Record) -> None:
        self._policy, self._batch = policy, _clone(batch)
        self._tokens: PrefixTokens
        self._passes: BlockPasses
        if policy.backbone.static_vision:
            self._see = record(self._embed)
        else:
            self._tokens = _clone(policy.embed(self._batch))
            self._see = self._copy_tokens
        if self._tokens.deep is not None:
            raise RuntimeError('the first layers add to the image tokens that a mask finds')
        self._think = record(self._encode)
        self._runs = [record(partial(self._run, block)) for block in range(policy.config.blocks)]

    def fits(self, batch: PolicyInput) -> bool:
        """Return whether a batch has the recorded shapes."""
        return [tensor.shape for tensor in _tensors(batch)] == [
            tensor.shape for tensor in _tensors(self._batch)]

    def __call__(self, batch: PolicyInput, levels: int | None,
                 deadline: DecodeDeadline | None, shares: bool) -> Tensor:
        """Return the codes of a batch, or their shares."""
        _copy(batch, self._batch)
        self._see()
        self._think()
        found = self._passes.shares if shares else self._passes.codes
        return self._policy.run_passes(lambda block: self._runs[block](), found, levels,
                                       deadline).clone()

    def _embed(self) -> None:
        self._tokens = self._policy.embed(self._batch)

    def _copy_tokens(self) -> None:
        _copy(self._policy.embed(self._batch), self._tokens)

    def _encode(self) -> None:
        self._passes = BlockPasses(self._policy, self._policy.backbone.encode(self._tokens))

    def _run(self, block: int) -> None:
        self._passes.run(block)


def _tensors(group: PolicyInput | PrefixTokens) -> Iterable[Tensor]:
    for field in fields(group):
        value = getattr(group, field.name)
        values = value if isinstance(value, list) else [value]
        yield from (tensor for tensor in values if isinstance(tensor, Tensor))


def _clone(group: T) -> T:
    cloned: dict[str, Any] = {}
    for field in fields(group):
        value = getattr(group, field.name)
        cloned[field.name] = ([tensor.clone() for tensor in value] if isinstance(value, list)
                              else value.clone() if isinstance(value, Tensor) else value)
    return type(group)(**cloned)


def _copy(source: T, target: T) -> None:
    for new, kept in zip(_tensors(source), _tensors(target)):
        kept.copy_(new)
