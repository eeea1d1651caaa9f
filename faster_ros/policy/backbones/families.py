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
"""How each family of vision-language models takes images and counts positions."""

from __future__ import annotations

from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.backbones.pretrained import PretrainedBackbone
import torch
from torch import Tensor


class PaliGemma(PretrainedBackbone):
    """PaliGemma and PaliGemma 2: SigLIP, and Gemma or Gemma 2 over a bidirectional prefix."""

    bidirectional = True
    static_vision = True

    def image_features(self, images: Tensor) -> tuple[Tensor, None]:
        """Return the tokens of images (B, cameras, 3, height, width)."""
        found = self.model.get_image_features(images.flatten(0, 1).to(self.model.dtype))
        return found.pooler_output.flatten(0, 1), None

    def rotary_positions(self, ids: Tensor, mask: Tensor, batch: PolicyInput) -> Tensor:
        """Return positions (B, P), which PaliGemma counts from 1."""
        return super().rotary_positions(ids, mask, batch) + 1


class SmolVLM(PretrainedBackbone):
    """SmolVLM 2: SigLIP with pixel shuffle, and SmolLM 2."""

    text = 'text_model'

    def image_features(self, images: Tensor) -> tuple[Tensor, None]:
        """Return the tokens of images (B, cameras, 3, height, width); a black one is an image."""
        model = self.model
        pixels = images.flatten(0, 1).to(model.dtype)
        patch = model.config.vision_config.patch_size
        patches = torch.ones(len(pixels), pixels.shape[2] // patch, pixels.shape[3] // patch,
                             dtype=torch.bool, device=pixels.device)
        seen = model.vision_model(pixel_values=pixels, patch_attention_mask=patches)
        return model.connector(seen.last_hidden_state).flatten(0, 1), None


class QwenVL(PretrainedBackbone):
    """Qwen 2.5 VL and Qwen 3 VL: images in their own aspect, positions with three axes."""

    def image_features(self, images: Tensor) -> tuple[Tensor, list[Tensor] | None]:
        """
        Return the tokens of images (B, cameras, 1 + patches, pixels).

        The first row of an image holds its grid (time, rows, columns) of patches.
        """
        grid, patches = _grid(images), images[:, :, 1:].flatten(0, 2)
        found = self.model.get_image_features(patches.to(self.model.dtype), grid)
        deep = getattr(found, 'deepstack_features', None)
        return torch.cat(list(found.pooler_output)), (
            None if deep is None else [torch.cat(list(level)) for level in deep])

    def rotary_positions(self, ids: Tensor, mask: Tensor, batch: PolicyInput) -> Tensor:
        """Return positions (3, B, P): time, row and column of image tokens, thrice of text."""
        kinds = (ids == self.model.config.image_token_id).int()
        positions, _ = self.model.get_rope_index(
            ids, mm_token_type_ids=kinds, image_grid_thw=_grid(batch.images),
            attention_mask=mask.int())
        found: Tensor = positions
        return found


def _grid(images: Tensor) -> Tensor:
    return images[:, :, 0, :3].flatten(0, 1).long()


FAMILY_CLASSES: dict[str, type[PretrainedBackbone]] = {
    'paligemma': PaliGemma, 'smolvlm': SmolVLM, 'qwen2_5_vl': QwenVL, 'qwen3_vl': QwenVL}
