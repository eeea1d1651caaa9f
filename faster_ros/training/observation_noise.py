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
What recorded observations are varied by while a policy learns from few of them.

Fifty episodes are learnt by heart: which pixel and which joint angle go with which motion. Each
time that a row is drawn, its images are moved and lit otherwise and its joints a little off.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from faster_ros.interfaces import FloatArray, ImageArray
import numpy as np


@dataclass(frozen=True)
class ObservationNoise:
    """
    Sizes of the variation; 0 leaves as recorded.

    ``image_shift``: share of the image's width, at most, each way. ``brightness``: standard
    deviation of what each colour channel is scaled by, and of what is added to it as a share of
    half of its range. ``state_noise``: standard deviation of the joints, in normalised units.
    ``state_dropout``: share of rows whose joints are put into the middle of their ranges, so that
    the images have to tell.
    """

    image_shift: float = 0.0
    brightness: float = 0.0
    state_noise: float = 0.0
    state_dropout: float = 0.0

    def images(self, images: ImageArray, rng: np.random.Generator) -> ImageArray:
        """Return the images of all cameras, (C, height, width, 3), each varied on its own."""
        return np.stack([self._image(image, rng) for image in images])

    def state(self, state: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return normalised joints (S,)."""
        if rng.random() < self.state_dropout:
            return np.zeros_like(state)
        varied: FloatArray = state + self.state_noise * rng.standard_normal(state.shape)
        return varied

    def _image(self, image: ImageArray, rng: np.random.Generator) -> ImageArray:
        height, width = image.shape[:2]
        if farthest := round(self.image_shift * width):
            down, right = rng.integers(-farthest, farthest + 1, 2)
            framed = np.asarray(cv2.copyMakeBorder(
                image, farthest, farthest, farthest, farthest, cv2.BORDER_REPLICATE), np.uint8)
            image = framed[farthest + down:, farthest + right:][:height, :width]
        if self.brightness:
            scale, offset = self.brightness * rng.standard_normal((2, 3))
            values = np.arange(256.0)[:, None] - 127.5
            table = np.clip(values * (1 + scale) + 127.5 * (1 + offset), 0, 255).astype(np.uint8)
            image = np.asarray(cv2.LUT(np.ascontiguousarray(image), table[None]), np.uint8)
        return image
