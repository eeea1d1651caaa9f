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
From camera images, joints and words to a vision-language model's tokens.

The model's own image processor and text tokenizer do the work; the prompt is the form its family
was trained with, the task and the joints in its text.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
from pathlib import Path
from typing import Any

from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.backbones.pretrained import PADDING
from faster_ros.policy.config import PolicyConfig, VLMConfig
from faster_ros.policy.image_size import resize
import numpy as np
import torch
from torch import Tensor

# Around the image tokens of one camera, and around the text; {image} and {text} stand for them,
# {answer} for what the actions are announced by.
_PROMPTS = {
    'paligemma': ('{image}', '{images}<bos>{text}\n{answer}'),
    'smolvlm': ('<fake_token_around_image><global-img>{image}<fake_token_around_image>',
                '<|im_start|>User:{images}{text}<end_of_utterance>\nAssistant: {answer}'),
    'qwen2_5_vl': ('<|vision_start|>{image}<|vision_end|>',
                   '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n'
                   '<|im_start|>user\n{images}{text}<|im_end|>\n'
                   '<|im_start|>assistant\n{answer}'),
    'qwen3_vl': ('<|vision_start|>{image}<|vision_end|>',
                 '<|im_start|>user\n{images}{text}<|im_end|>\n'
                 '<|im_start|>assistant\n{answer}'),
}
# No space at the end of the second: in all these vocabularies it begins the first word said.
_ACTION, _SUBTASK = 'Action: ', 'Subtask:'


class ImagesAndPrompt:
    """
    Prompts are padded on the left to ``max_words`` tokens beside those of the images.

    So every observation of a policy has one shape.
    """

    def __init__(self, config: PolicyConfig, image_processor: Any, tokenizer: Any) -> None:
        assert isinstance(config.backbone, VLMConfig)
        self.image_processor, self.tokenizer = image_processor, tokenizer
        self._vlm = config.backbone
        self._max_words = config.max_words
        self._cameras, self._joints = len(config.cameras), config.state_dim
        key = 'image_token_index' if self._vlm.name == 'paligemma' else 'image_token_id'
        self._image_id = int(self._vlm.architecture[key])
        self._answer = _SUBTASK if config.text_tokens else _ACTION
        self._last: tuple[str, list[int]] | None = None
        self._image_token = tokenizer.convert_ids_to_tokens(self._image_id)

    @property
    def example_instruction(self) -> str:
        """Return words that the policy takes, not a task."""
        return 'stand still'

    def __call__(self, images: Sequence[ImageArray], state: FloatArray,
                 instruction: str) -> PolicyInput:
        """Return the tensors of an observation; see Preprocessor."""
        if not instruction.strip():
            raise ValueError(f'instruction is empty, got {instruction!r}; expected a task')
        width, height = self._vlm.image_width, self._vlm.image_height
        pixels = self._pixels([resize(image, width, height) for image in images])
        counts = [self._image_tokens(image) for image in pixels]
        ids = self._ids(self._prompt(counts, instruction, state))
        self._check(ids, sum(counts), instruction)
        padding = [PADDING] * (self._max_words + sum(counts) - len(ids))
        return PolicyInput(pixels[None], torch.tensor([padding + ids]),
                           torch.tensor(state[None], dtype=torch.float32))

    def longest_prompt(self, instructions: Sequence[str]) -> int:
        """Return the most tokens, those of images aside, that any joints make of a prompt."""
        bins = self._vlm.state_bins
        lengths = [len(self._ids(f' {number}')) for number in range(bins)]
        joints = np.full(self._joints, (np.argmax(lengths) + 0.5) / bins * 2 - 1)
        return max(len(self._ids(self._prompt([0] * self._cameras, instruction, joints)))
                   for instruction in instructions)

    def text_ids(self, text: str) -> list[int]:
        """Return the tokens of what a policy with text mode says after the prompt."""
        ids: list[int] = self.tokenizer(f' {text.strip()}', add_special_tokens=False)['input_ids']
        if self._image_id in ids:
            raise ValueError(f"subtask '{text}' holds {self._image_token}, which stands for an "
                             'image')
        return ids

    def text_of(self, ids: Tensor) -> str:
        """Return in words what was said, tokens (L,) padded on the right."""
        text: str = self.tokenizer.decode(ids[ids != PADDING].tolist())
        return text.strip()

    def save(self, folder: Path) -> None:
        """Write image processor and tokenizer as the library does."""
        self.image_processor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def _pixels(self, images: list[ImageArray]) -> Tensor:
        """Return (cameras, ...) as the family's backbone takes them."""
        if self._vlm.name == 'paligemma':
            found = self.image_processor(images=images, return_tensors='pt')
            return _tensor(found['pixel_values'])
        if self._vlm.name == 'smolvlm':
            found = self.image_processor(images=[images], do_image_splitting=False,
                                         return_tensors='pt')
            return _tensor(found['pixel_values'][0])
        found = self.image_processor(images=images, return_tensors='pt')
        grid = found['image_grid_thw']
        patches = _tensor(found['pixel_values']).unflatten(0, (len(images), -1))
        first = patches.new_zeros(len(images), 1, patches.shape[2])
        first[:, 0, :3] = grid
        return torch.cat([first, patches], 1)

    def _image_tokens(self, image: Tensor) -> int:
        """Return how many tokens the backbone makes of one camera's tensor."""
        vision = self._vlm.architecture['vision_config']
        if self._vlm.name.startswith('qwen'):
            return int(image[0, :3].prod()) // int(vision['spatial_merge_size']) ** 2
        cells = math.prod(side // int(vision['patch_size']) for side in image.shape[-2:])
        return cells // int(self._vlm.architecture.get('scale_factor', 1)) ** 2

    def _prompt(self, counts: list[int], instruction: str, state: FloatArray) -> str:
        text = f'Task: {instruction.strip()}'
        if self._vlm.state_input == 'text':
            text += f', State: {state_text(state, self._vlm.state_bins)};'
        image, whole = _PROMPTS[self._vlm.name]
        return whole.format(text=text, answer=self._answer, images=''.join(
            image.format(image=self._image_token * count) for count in counts))

    def _ids(self, prompt: str) -> list[int]:
        """Return the tokens of a prompt, those of the last one where it is the same."""
        if self._last is None or self._last[0] != prompt:
            self._last = prompt, self.tokenizer(prompt, add_special_tokens=False)['input_ids']
        return self._last[1]

    def _check(self, ids: list[int], image_tokens: int, instruction: str) -> None:
        if ids.count(self._image_id) != image_tokens:
            raise ValueError(f"instruction '{instruction}' holds {self._image_token}, which "
                             'stands for an image')
        words = len(ids) - image_tokens
        if words > self._max_words:
            raise ValueError(f"instruction '{instruction}' makes a prompt of {words} tokens; the "
                             f'policy takes at most {self._max_words}')


def state_text(state: FloatArray, bins: int) -> str:
    """Return normalised joints (S,) as integers of ``bins`` bins over [-1, 1]."""
    numbers = np.clip(np.floor((state + 1) / 2 * bins), 0, bins - 1).astype(int)
    return ' '.join(map(str, numbers))


def load_processor(source: str | Path, config: PolicyConfig) -> ImagesAndPrompt:
    """Read image processor and tokenizer from a folder or hub id, or say what is missing."""
    from transformers import AutoImageProcessor, AutoTokenizer

    try:
        # Pinned, as torchvision, where it is installed, would resize otherwise than in training.
        images = AutoImageProcessor.from_pretrained(source, backend='pil')
        return ImagesAndPrompt(config, images, AutoTokenizer.from_pretrained(source))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f'image processor and tokenizer of {source} are not usable: '
                         f'{error}') from error


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float32)
