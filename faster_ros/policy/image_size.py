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
"""The size of the images a policy sees; without torch, so that a robot's own machine can do it."""

from __future__ import annotations

import cv2
from faster_ros.interfaces import ImageArray
import numpy as np


def resize(image: ImageArray, width: int, height: int) -> ImageArray:
    """Return the uint8 RGB image averaged down to (height, width, 3)."""
    if image.shape[:2] == (height, width):
        return image
    if image.shape[0] * width != image.shape[1] * height:
        raise ValueError(f'image of {image.shape[1]} x {image.shape[0]} pixels does not have the '
                         f'aspect of the {width} x {height} pixels the policy takes')
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
