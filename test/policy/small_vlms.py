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
"""Vision-language models of the real classes: random weights, computed in milliseconds."""

from faster_ros.interfaces import ImageArray
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.backbones.pretrained import PADDING
from faster_ros.policy.config import PolicyConfig, VLMConfig
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.vlm_preprocess import ImagesAndPrompt
import numpy as np
from tokenizers import models, pre_tokenizers, Tokenizer
import torch

WORDS = ['Task', 'State', 'Action', 'User', 'Assistant', 'pick', 'up', 'the', 'red', 'cube',
         'user', 'assistant', 'system', 'You', 'are', 'a', 'helpful', ',', ':', ';', '.',
         *map(str, range(256)), 'Subtask', 'grasp', 'release', 'swing', 'left', 'right']
SPECIAL = ['<pad>', '<unk>', '<bos>', '<image>', '<fake_token_around_image>', '<global-img>',
           '<|im_start|>', '<|im_end|>', '<end_of_utterance>', '<|vision_start|>',
           '<|vision_end|>']
IMAGE_ID = SPECIAL.index('<image>')
VOCABULARY = len(SPECIAL) + len(WORDS)
TEXT = {'hidden_size': 32, 'intermediate_size': 48, 'num_hidden_layers': 3,
        'num_attention_heads': 4, 'num_key_value_heads': 2, 'head_dim': 8,
        'vocab_size': VOCABULARY, 'max_position_embeddings': 512}
SIGLIP = {'hidden_size': 16, 'intermediate_size': 24, 'num_hidden_layers': 2,
          'num_attention_heads': 2, 'image_size': 28, 'patch_size': 7}
QWEN_ROTARY = {'rope_type': 'default', 'rope_theta': 1e6, 'mrope_section': [1, 1, 2]}


def architecture(name):
    """Return the config.json of a small model."""
    if name.startswith('paligemma'):
        gemma = {**TEXT, 'model_type': 'gemma2' if name == 'paligemma2' else 'gemma'}
        if name == 'paligemma2':
            gemma |= {'query_pre_attn_scalar': 8, 'sliding_window': 256}
        return {'model_type': 'paligemma', 'image_token_index': IMAGE_ID, 'text_config': gemma,
                'vision_config': {**SIGLIP, 'model_type': 'siglip_vision_model',
                                  'projection_dim': 32, 'vision_use_head': False},
                'projection_dim': 32}
    if name == 'smolvlm':
        return {'model_type': 'smolvlm', 'image_token_id': IMAGE_ID, 'scale_factor': 2,
                'text_config': {**TEXT, 'model_type': 'llama'},
                'vision_config': {**SIGLIP, 'image_size': 32, 'patch_size': 4}}
    vision = {'depth': 2, 'intermediate_size': 24, 'num_heads': 2, 'patch_size': 7,
              'spatial_merge_size': 2, 'out_hidden_size': 32, 'hidden_size': 16}
    if name == 'qwen2_5_vl':
        vision |= {'window_size': 28, 'fullatt_block_indexes': [1]}
    else:
        vision |= {'deepstack_visual_indexes': [0, 1], 'num_position_embeddings': 16}
    return {'model_type': name, 'image_token_id': IMAGE_ID, 'vision_config': vision,
            'text_config': {**TEXT, 'rope_parameters': QWEN_ROTARY}}


FAMILIES = ('paligemma', 'paligemma2', 'smolvlm', 'qwen2_5_vl', 'qwen3_vl')


def config(name, **changes):
    """Return the config of a policy with 3 levels x 4 codes on a small model."""
    made = architecture(name)
    if 'tied' in changes:
        made['tie_word_embeddings'] = changes.pop('tied')
    vlm = VLMConfig(made['model_type'], made, 28, 28, changes.pop('state_input', 'text'))
    return PolicyConfig(**{'cameras': ('front', 'wrist'), 'vocabulary': (), 'max_words': 40,
                           'state_dim': 3, 'levels': 3, 'codes_per_level': 4,
                           'codebook_size': 16, 'block_size': 4, 'backbone': vlm,
                           'expert_width': 16, 'expert': 'gated', **changes})


def model(name, **changes):
    """Return a random policy ready for inference."""
    torch.manual_seed(0)
    policy = FASTerVLA(config(name, **changes)).eval()
    with torch.no_grad():  # the library's initial weights are so small that nothing matters
        for weight in policy.backbone.parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn_like(weight) / weight[0].numel() ** 0.5)
    return policy


def tokenizer():
    """Return a text tokenizer of the library, of whole words and digits."""
    from transformers import PreTrainedTokenizerFast

    ids = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    words = Tokenizer(models.WordLevel(ids, '<unk>'))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token='<pad>', unk_token='<unk>', bos_token='<bos>',
        additional_special_tokens=SPECIAL[3:])


def image_processor(name):
    """Return the image processor of a family, for 28 x 28 pixels."""
    import transformers

    if name.startswith('paligemma'):
        return transformers.SiglipImageProcessor(size={'height': 28, 'width': 28})
    if name == 'smolvlm':
        return transformers.SmolVLMImageProcessor(size={'longest_edge': 64},
                                                  max_image_size={'longest_edge': 32})
    return transformers.Qwen2VLImageProcessor(
        patch_size=7, merge_size=2, size={'shortest_edge': 196, 'longest_edge': 3136})


def published(name, folder, **changes):
    """Write a model as its authors do: weights, config, tokenizer and image processor."""
    from transformers import AutoModelForImageTextToText

    weights = model(name, **changes).backbone.model
    head = AutoModelForImageTextToText.from_config(weights.config)
    head.model.load_state_dict(weights.state_dict())
    if not head.config.tie_word_embeddings:
        torch.nn.init.normal_(head.lm_head.weight, std=TEXT['hidden_size'] ** -0.5)
    head.tie_weights()
    for part in (head, tokenizer(), image_processor(name)):
        part.save_pretrained(folder)
    return weights


def preprocessor(name, **changes):
    """Return what makes tensors of an observation."""
    return ImagesAndPrompt(config(name, **changes), image_processor(name), tokenizer())


def images(seed=1) -> list[ImageArray]:
    """Return random images of two cameras."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 255, (56, 56, 3), np.uint8) for _ in range(2)]


def batch(name, size=2, **changes):
    """Return different observations as one batch."""
    make = preprocessor(name, **changes)
    texts = ['pick up the red cube', 'pick the cube']
    rows = [make(images(row), np.array([-1.0, 0.1 * row, 0.9]), texts[row % 2])
            for row in range(size)]
    return PolicyInput(*(torch.cat([getattr(row, field) for row in rows])
                         for field in ('images', 'words', 'state')))


def codes(size=2, seed=5):
    """Return random codes."""
    return torch.randint(0, 16, (size, 3, 4), generator=torch.Generator().manual_seed(seed))


def library_pass(library, name, observations):
    """Return what a model's own forward pass over the observations makes."""
    mask = observations.words != PADDING
    ids = observations.words.clamp(min=0)
    inputs = {'input_ids': ids, 'attention_mask': mask.long(), 'use_cache': True}
    if name.startswith('paligemma'):
        inputs |= {'pixel_values': observations.images.flatten(0, 1),
                   'token_type_ids': torch.zeros_like(ids),
                   'position_ids': mask.cumsum(1).clamp(min=1)}
    elif name == 'smolvlm':
        inputs |= {'pixel_values': observations.images,
                   'pixel_attention_mask': torch.ones(
                       *observations.images.shape[:2], *observations.images.shape[-2:],
                       dtype=torch.bool),
                   'position_ids': (mask.cumsum(1) - 1).clamp(min=0)}
    else:
        inputs |= {'pixel_values': observations.images[:, :, 1:].flatten(0, 2),
                   'image_grid_thw': observations.images[:, :, 0, :3].flatten(0, 1).long(),
                   'mm_token_type_ids': (ids == library.config.image_token_id).int()}
    return library(**inputs)


def library_layers(library, name, observations):
    """Return the keys and values of each layer that a model's own forward pass makes."""
    return library_pass(library, name, observations).past_key_values.layers
