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
"""An episode of another system's files, as rows with images; such files keep no stamps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from faster_ros.data.dataset_spec import (
    ACTION,
    DatasetFrame,
    DatasetSpec,
    Feature,
    IMAGES,
    STATE,
)
from faster_ros.data.libero_columns import turned
from faster_ros.interfaces import FloatArray, ImageArray
import numpy as np


@dataclass(frozen=True)
class ForeignEpisode:
    """
    An episode in an open file.

    ``action``, ``state``: (N, ...). ``images``: camera -> N images, as they are stored. ``task``:
    what is done, '' where the file does not say. ``columns``: names of both state and action, if
    they are known; ``turned``: the images are stored upside down.
    """

    name: str
    action: FloatArray
    state: FloatArray
    images: Mapping[str, Sequence[Any]]
    task: str = ''
    columns: tuple[str, ...] = ()
    turned: bool = False

    def spec(self, fps: int, robot: str) -> DatasetSpec:
        """Return the features of the episode."""
        return DatasetSpec(
            fps, robot, {STATE: Feature('float32', self.state.shape[1:], self.columns),
                         ACTION: Feature('float32', self.action.shape[1:], self.columns)},
            {f'{IMAGES}{name}': _decoded(images[0]).shape[:2]
             for name, images in self.images.items()})

    def frames(self) -> Iterator[DatasetFrame]:
        """Return the rows."""
        for row, (state, action) in enumerate(zip(self.state, self.action)):
            yield DatasetFrame({STATE: state, ACTION: action},
                               {f'{IMAGES}{name}': self._image(images[row])
                                for name, images in self.images.items()})

    def _image(self, stored: Any) -> ImageArray:
        image = _decoded(stored)
        return turned(image) if self.turned else image


def foreign_episode(path: Path, name: str, action: Any, state: Any,
                    images: Mapping[str, Any], task: str = '') -> ForeignEpisode:
    """Return an episode of a file, all parts of which must have as many rows."""
    lengths = {'action': len(action), 'state': len(state),
               **{camera: len(values) for camera, values in images.items()}}
    if len(set(lengths.values())) != 1:
        raise ValueError(f'{path}: {name} has rows of different lengths: {lengths}')
    return ForeignEpisode(name, np.asarray(action, float), np.asarray(state, float), images, task)


def _decoded(stored: Any) -> ImageArray:
    """Return RGB of an image as it is stored: pixels, or a JPEG or PNG, such as OpenCV writes."""
    pixels = np.frombuffer(stored, np.uint8) if isinstance(stored, bytes) else np.asarray(stored)
    if pixels.ndim == 3:
        return np.ascontiguousarray(pixels, np.uint8)
    image = cv2.imdecode(pixels.astype(np.uint8).reshape(-1), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f'expected pixels, a JPEG or a PNG, got {pixels.dtype} of '
                         f'{pixels.shape}')
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
