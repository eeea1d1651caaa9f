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
"""Policies of published sizes with random weights, to measure how long they take."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from faster_ros.policy.backbones.base import Backbone, PolicyInput
from faster_ros.policy.config import BackboneConfig, PolicyConfig, PROMPT_TOKENS, VLMConfig
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.preprocess import PixelsAndWords, Preprocessor
from faster_ros.policy.vlm_preprocess import ImagesAndPrompt
import numpy as np
import torch
from torch import nn

_VOCABULARY = tuple(f'word{index}' for index in range(16))
_INSTRUCTION = 'word0 word1 word2 word3 word4 word5'
_CAMERA = (480, 640)  # rows and columns of a usual camera
_SIGLIP_SO400M = {'model_type': 'siglip_vision_model', 'hidden_size': 1152,
                  'intermediate_size': 4304, 'num_hidden_layers': 27, 'num_attention_heads': 16,
                  'image_size': 224, 'patch_size': 14, 'projection_dim': 2048,
                  'vision_use_head': False}
_SIGLIP_BASE = {'hidden_size': 768, 'intermediate_size': 3072, 'num_hidden_layers': 12,
                'num_attention_heads': 12, 'image_size': 512, 'patch_size': 16}
_PALIGEMMA_3B = {
    'model_type': 'paligemma', 'image_token_index': 257152, 'projection_dim': 2048,
    'vision_config': _SIGLIP_SO400M,
    'text_config': {'model_type': 'gemma', 'hidden_size': 2048, 'intermediate_size': 16384,
                    'num_hidden_layers': 18, 'num_attention_heads': 8, 'num_key_value_heads': 1,
                    'head_dim': 256, 'vocab_size': 257216}}
_PALIGEMMA_MINI = {
    'model_type': 'paligemma', 'image_token_index': 257152, 'projection_dim': 256,
    'vision_config': {**_SIGLIP_SO400M, 'hidden_size': 128, 'intermediate_size': 512,
                      'num_hidden_layers': 4, 'num_attention_heads': 4, 'projection_dim': 256},
    'text_config': {'model_type': 'gemma', 'hidden_size': 256, 'intermediate_size': 1024,
                    'num_hidden_layers': 6, 'num_attention_heads': 4, 'num_key_value_heads': 1,
                    'head_dim': 64, 'vocab_size': 257216}}


def _smolvlm(width: int, layers: int, heads: int, kv_heads: int, hidden: int) -> dict[str, Any]:
    return {'model_type': 'smolvlm', 'image_token_id': 49190, 'scale_factor': 4,
            'vision_config': _SIGLIP_BASE,
            'text_config': {'model_type': 'llama', 'hidden_size': width, 'head_dim': 64,
                            'intermediate_size': hidden, 'num_hidden_layers': layers,
                            'num_attention_heads': heads, 'num_key_value_heads': kv_heads,
                            'vocab_size': 49280}}


@dataclass(frozen=True)
class Size:
    """A backbone and its expert's width; ``note`` says what it is."""

    backbone: BackboneConfig | VLMConfig
    expert_width: int
    expert_mlp: int
    note: str


SIZES = {
    'tiny': Size(BackboneConfig(), 64, 256, "the demo's backbone and expert"),
    'small': Size(BackboneConfig(image_width=224, image_height=168, channels=64, keypoints=64,
                                 tokens_per_camera=16, width=512, layers=8, heads=8, head_dim=64),
                  256, 1024, 'the same class, thirty times larger'),
    'paligemma-mini': Size(VLMConfig('paligemma', _PALIGEMMA_MINI), 128, 512,
                           "PaliGemma's classes and tokens at a size for CPUs, random weights"),
    'smolvlm-256m': Size(VLMConfig('smolvlm', _smolvlm(576, 30, 9, 3, 1536)), 288, 1152,
                         'SmolVLM 2 256M, random weights'),
    'smolvlm-500m': Size(VLMConfig('smolvlm', _smolvlm(960, 32, 15, 5, 2560)), 480, 1920,
                         'SmolVLM 2 500M, random weights'),
    'paligemma-3b': Size(VLMConfig('paligemma', _PALIGEMMA_3B), 1024, 4096,
                         'PaliGemma 3B at 224 pixels, random weights'),
}


def size_config(size: Size, levels: int, codes_per_level: int, codebook: int,
                cameras: int) -> PolicyConfig:
    """Return the config of a policy whose blocks are whole levels."""
    tiny = isinstance(size.backbone, BackboneConfig)
    return PolicyConfig(
        tuple(f'camera{index}' for index in range(cameras)), _VOCABULARY,
        len(_INSTRUCTION.split()) if tiny else PROMPT_TOKENS, 8, levels,
        codes_per_level, codebook, codes_per_level, size.backbone, size.expert_width,
        expert='gated', expert_mlp=size.expert_mlp)


def with_blocks_of(policy: FASTerVLA, block_size: int) -> FASTerVLA:
    """Return a policy of the same weights that decodes other blocks."""
    return _sharing(replace(policy.config, block_size=block_size), policy.backbone, policy)


def without_expert(policy: FASTerVLA, tokens: int, codebook: int) -> FASTerVLA:
    """Return a policy on the same backbone that decodes token by token, with the backbone."""
    return _sharing(replace(policy.config, levels=1, codes_per_level=tokens, block_size=1,
                            codebook_size=codebook, expert='none'), policy.backbone)


def random_policy(config: PolicyConfig, device: torch.device, dtype: torch.dtype) -> FASTerVLA:
    """Return a policy with random weights, made where and as it will run."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device, _undrawn(config):
            policy = FASTerVLA(config)
    finally:
        torch.set_default_dtype(before)
    with torch.no_grad():
        for name, weight in policy.named_parameters():
            if 'norm' not in name:
                weight.normal_(0, 0.02)
    for module in policy.modules():  # the library's own norms are made with values, torch's not
        if isinstance(module, (nn.LayerNorm, nn.RMSNorm)):
            module.reset_parameters()
    return policy.to(device).eval()


class RandomCameras:
    """
    Looks at new images of no meaning and makes tensors of them, as a policy's call begins.

    Image processors have the published settings. The text tokenizer is a stand-in, which splits at
    spaces and marks: that of a model comes with its weights.
    """

    def __init__(self, config: PolicyConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        self._preprocess = random_preprocessor(config)
        self._rng = np.random.default_rng(0)
        self._images = self._rng.integers(0, 256, (len(config.cameras), *_CAMERA, 3), np.uint8)

    def __call__(self) -> PolicyInput:
        """Return the tensors of one observation, on the device."""
        state = self._rng.uniform(-1, 1, self._config.state_dim)
        images = np.roll(self._images, int(self._rng.integers(_CAMERA[1])), 2)
        return self._preprocess(list(images), state, _INSTRUCTION).to(self._device)


def random_preprocessor(config: PolicyConfig) -> Preprocessor:
    """Return what makes tensors of observations; see ``RandomCameras``."""
    if isinstance(config.backbone, BackboneConfig):
        return PixelsAndWords(config)
    from tokenizers import models, pre_tokenizers, Tokenizer
    import transformers

    vlm = config.backbone.architecture
    image = int(vlm.get('image_token_id') or vlm['image_token_index'])
    words = Tokenizer(models.WordLevel({'<unk>': 3, '<image>': image}, '<unk>'))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token='<unk>', additional_special_tokens=['<image>'])
    side = int(vlm['vision_config']['image_size'])
    processor = (
        transformers.SmolVLMImageProcessorPil(size={'longest_edge': 4 * side},
                                              max_image_size={'longest_edge': side})
        if config.backbone.name == 'smolvlm' else
        transformers.SiglipImageProcessorPil(size={'height': side, 'width': side}))
    return ImagesAndPrompt(config, processor, tokenizer)


def _sharing(config: PolicyConfig, backbone: Backbone,
             policy: FASTerVLA | None = None) -> FASTerVLA:
    weight = next(backbone.parameters())
    other = FASTerVLA(config, backbone).to(weight.device).eval()
    if policy is not None:
        other.expert, other.text = policy.expert, policy.text
    else:
        other.expert.to(weight.dtype)
    return other


def _undrawn(config: PolicyConfig) -> Any:
    """Leave out the library's initial weights, which take minutes to draw for a large model."""
    if isinstance(config.backbone, BackboneConfig):
        return nullcontext()
    from transformers.initialization import no_init_weights

    return no_init_weights()
