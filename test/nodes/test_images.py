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
"""Images of every encoding become the same RGB pixels; a wrong one is refused by name."""

import cv2
from faster_ros.nodes.images import compressed_to_rgb, image_to_rgb
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

WIDTH, HEIGHT = 6, 4
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
ALPHA = np.full((HEIGHT, WIDTH, 1), 9, np.uint8)


def message(encoding: str, pixels: np.ndarray, padding: int = 0) -> Image:
    rows = pixels.reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return Image(encoding=encoding, width=WIDTH, height=HEIGHT, step=rows.shape[1],
                 data=rows.tobytes())


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding, pixels', [
    ('rgb8', RGB),
    ('bgr8', RGB[..., ::-1]),
    ('rgba8', np.concatenate([RGB, ALPHA], axis=2)),
    ('bgra8', np.concatenate([RGB[..., ::-1], ALPHA], axis=2)),
])
def test_colour_encodings_give_the_same_rgb(encoding, pixels, padding):
    np.testing.assert_array_equal(
        image_to_rgb(message(encoding, pixels, padding), WIDTH, HEIGHT), RGB)


def test_mono8_is_grey():
    grey = RGB[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(image_to_rgb(message('mono8', grey), WIDTH, HEIGHT), expected)


@pytest.mark.parametrize('encoding, order', [('yuv422', 'uyvy'), ('yuv422_yuy2', 'yuyv')])
def test_yuv422_has_its_colours_in_the_right_order(encoding, order):
    values = {'y': 82, 'u': 90, 'v': 240}  # red
    pair = [values[letter] for letter in order]
    pixels = np.array(pair * (WIDTH // 2) * HEIGHT, np.uint8).reshape(HEIGHT, WIDTH, 2)
    red, green, blue = image_to_rgb(message(encoding, pixels, 2), WIDTH, HEIGHT)[1, 2]
    assert red > 240
    assert max(green, blue) < 20


@pytest.mark.parametrize('extension', ['.png', '.jpg'])
def test_compressed_images_are_rgb(extension):
    flat = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    flat[..., 0] = 200  # red
    data = cv2.imencode(extension, flat[..., ::-1])[1].tobytes()
    pixels = compressed_to_rgb(CompressedImage(format=extension, data=data), WIDTH, HEIGHT)
    np.testing.assert_allclose(pixels, flat, atol=6)


@pytest.mark.parametrize('change, words', [
    ({'encoding': '16UC1'}, "encoding '16UC1'; expected one of rgb8"),
    ({'encoding': ''}, "encoding ''; expected"),
    ({'width': 8}, 'size 8x4; expected 6x4 as in the robot file'),
    ({'step': 10}, 'step 10; expected 4 rows of at least 18 bytes'),
    ({'data': b'123'}, '3 bytes with step 18'),
])
def test_a_wrong_image_says_what_was_expected_and_what_came(change, words):
    wrong = message('rgb8', RGB)
    for field, value in change.items():
        setattr(wrong, field, value)
    with pytest.raises(ValueError, match=words):
        image_to_rgb(wrong, WIDTH, HEIGHT)


@pytest.mark.parametrize('data', [b'', b'no image'])
def test_bytes_that_are_no_picture_are_refused(data):
    with pytest.raises(ValueError, match='cannot be decoded; expected jpeg or png'):
        compressed_to_rgb(CompressedImage(format='jpeg', data=data), WIDTH, HEIGHT)
