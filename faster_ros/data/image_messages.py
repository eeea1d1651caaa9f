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
Image messages to uint8 RGB arrays of shape (height, width, 3).

Reads rgb8, bgr8, rgba8, bgra8, mono8, yuv422 and yuv422_yuy2 with padded rows (``step``), and
JPEG or PNG from CompressedImage, live or from a bag. All are of 8 bits, so ``is_bigendian`` has
no effect. An image that cannot be read is a ValueError that says what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import cv2
from faster_ros.interfaces import ImageArray
import numpy as np


class Image(Protocol):
    """The fields of sensor_msgs/Image that are read, whoever made the message."""

    encoding: Any
    width: Any
    height: Any
    step: Any
    data: Any


class CompressedImage(Protocol):
    """Those of sensor_msgs/CompressedImage."""

    format: Any  # noqa: A003
    data: Any


def _same(pixels: ImageArray) -> ImageArray:
    return pixels


def _convert(code: int) -> Callable[[ImageArray], ImageArray]:
    return lambda pixels: np.asarray(cv2.cvtColor(pixels, code), dtype=np.uint8)


_READERS: dict[str, tuple[int, Callable[[ImageArray], ImageArray]]] = {  # channels, to RGB
    'rgb8': (3, _same),
    'bgr8': (3, _convert(cv2.COLOR_BGR2RGB)),
    'rgba8': (4, _convert(cv2.COLOR_RGBA2RGB)),
    'bgra8': (4, _convert(cv2.COLOR_BGRA2RGB)),
    'mono8': (1, _convert(cv2.COLOR_GRAY2RGB)),
    'yuv422': (2, _convert(cv2.COLOR_YUV2RGB_UYVY)),
    'yuv422_yuy2': (2, _convert(cv2.COLOR_YUV2RGB_YUY2)),
}


def image_to_rgb(message: Image, width: int, height: int) -> ImageArray:
    """Return the RGB pixels of an image that must have this size."""
    if message.encoding not in _READERS:
        raise ValueError(f"encoding '{message.encoding}'; expected one of {', '.join(_READERS)}")
    _check_size(message.width, message.height, width, height)
    channels, to_rgb = _READERS[message.encoding]
    row = width * channels
    if message.step < row or len(message.data) < message.step * height:
        raise ValueError(f'{len(message.data)} bytes with step {message.step}; expected '
                         f'{height} rows of at least {row} bytes for {message.encoding}')
    flat = np.frombuffer(message.data, dtype=np.uint8, count=message.step * height)
    pixels = flat.reshape(height, message.step)[:, :row].reshape(height, width, channels)
    return to_rgb(np.ascontiguousarray(pixels))


def compressed_to_rgb(message: CompressedImage, width: int, height: int) -> ImageArray:
    """Return the RGB pixels of a JPEG or PNG that must have this size."""
    data = np.frombuffer(message.data, dtype=np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if pixels is None:
        raise ValueError(f"{len(data)} bytes of format '{message.format}' cannot be decoded; "
                         'expected jpeg or png')
    _check_size(pixels.shape[1], pixels.shape[0], width, height)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _check_size(got_width: int, got_height: int, width: int, height: int) -> None:
    if (got_width, got_height) != (width, height):
        raise ValueError(f'size {got_width}x{got_height}; expected {width}x{height} as in the '
                         'robot file')
