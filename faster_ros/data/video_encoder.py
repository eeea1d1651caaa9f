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
EpisodeVideo: one camera of an episode, encoded while it is recorded, one frame for every row.

An image that comes while the queue is full is dropped and counted; its row shows the image before
it, and says so by its stamp. Colour statistics and stillness are measured on the way.
"""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
import os
from pathlib import Path
import time
from typing import Any

import av
import cv2
from faster_ros.data.background import BackgroundQueue
from faster_ros.interfaces import ImageArray
import numpy as np
from numpy.typing import NDArray

_DEPTH = 30  # images that may wait; a second at 30 Hz
_KEYFRAME = 2  # frames from one key frame to the next at most: a trainer reads single frames
_SAMPLE_FRAMES, _SAMPLE_PIXELS = 5, 4  # every which image, row and column goes into statistics
_PARTS = (40, 30)  # columns and rows in which an image is compared with others
_CODEC_CHANGE = 3.0  # grey levels, more than the mean of a part of a still image changes by
_SYNC_S = 2.0
CODEC = 'h264'
_OPTIONS = {'preset': 'veryfast', 'crf': '23', 'threads': '1', 'bf': '0'}


class ImageStatistics:
    """
    What was seen in the frames of a video.

    ``histogram`` (3, 256) is of sampled pixels of ``images`` sampled images. ``changes``: for
    every frame but the first, how far it is from those before, in grey levels: the largest
    difference of a part of the image from the last frame that was told apart in this way, so
    that something small or slow is seen; below what a codec makes of still images, the mean
    absolute difference of single pixels from the frame before, in which a camera's noise is seen.
    """

    def __init__(self) -> None:
        self.histogram = np.zeros((3, 256), np.int64)
        self.images = 0
        self.changes: list[float] = []
        self._pixels: NDArray[np.float32] | None = None
        self._parts: NDArray[np.float32] | None = None

    def add(self, image: ImageArray) -> None:
        """Look at the next frame."""
        self._compare(image)
        if len(self.changes) % _SAMPLE_FRAMES:
            return
        pixels = image[::_SAMPLE_PIXELS, ::_SAMPLE_PIXELS].reshape(-1, 3)
        for channel in range(3):
            self.histogram[channel] += np.bincount(pixels[:, channel], minlength=256)
        self.images += 1

    def _compare(self, image: ImageArray) -> None:
        height, width = image.shape[:2]
        size = min(width, _PARTS[0]), min(height, _PARTS[1])
        green = cv2.extractChannel(image, 1)
        parts = cv2.resize(green, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        pixels = green[::16, ::16].astype(np.float32)
        before, self._pixels = self._pixels, pixels
        if before is None or self._parts is None:
            self._parts = parts
            return
        change = float(np.abs(parts - self._parts).max())
        if change > _CODEC_CHANGE:
            self._parts = parts
        else:
            change = float(np.abs(pixels - before).mean())
        self.changes.append(change)

    def add_again(self) -> None:
        """Count the last frame once more."""
        self.changes.append(0.0)


class EpisodeVideo:
    """Encodes the rows of one camera in order; ``close`` finishes the file."""

    def __init__(self, path: Path, fps: int, size: tuple[int, int], live: bool = True) -> None:
        """``size``: height and width of every image; not ``live``: ``add`` waits for room."""
        self._live = live
        self._path = path
        self.rows = 0
        self.dropped = 0
        self._behind = 0  # rows since the last image that was queued
        self._shown = 0
        self._last: Any = None
        self.statistics = ImageStatistics()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._container: Any = av.open(str(path), 'w')
        self._stream = _stream(self._container, fps, size)
        self._synced_s = time.monotonic()
        self._queue: BackgroundQueue[tuple[int, ImageArray | None]] = BackgroundQueue(
            path.stem, self._encode, _DEPTH)

    def add(self, image: ImageArray | None) -> bool:
        """
        Append a row: a new image, as ``check_image`` wants it, or None to show the last again.

        Return whether the row shows what was asked; False where the image was dropped.
        """
        if image is None and not self.rows:
            raise ValueError(f'{self._path.stem}: the first row needs an image')
        self.rows += 1
        if image is not None and self._queue.offer(
                (self._behind, image), wait=not self._live):
            self._behind = 0
            return True
        if self.rows == 1:
            raise RuntimeError(f'{self._path}: the encoder does not take its first image'
                               ) from self.failure
        self._behind += 1
        self.dropped += image is not None
        return image is None

    @property
    def waiting(self) -> int:
        """Return how many images wait to be encoded."""
        return self._queue.waiting

    @property
    def failure(self) -> Exception | None:
        """Return why nothing is encoded any more, or None."""
        return self._queue.failure

    def close(self) -> None:
        """Encode what waits and finish the file; on disk when this returns."""
        try:
            self._queue.close()
            self._show_again(self._behind)
            self._container.mux(self._stream.encode(None))
            self._container.close()
            os.fsync(self._file)
        finally:
            self._release()

    def cancel(self) -> None:
        """Give the file up."""
        self._queue.cancel()
        self._release()

    def _release(self) -> None:
        if self._file < 0:
            return
        file, self._file = self._file, -1
        with suppress(av.error.FFmpegError, OSError):  # a full disk; the file is given up
            self._container.close()
        with suppress(OSError):
            os.close(file)
        # This object waits for a garbage collection, as its queue knows it; the encoder need not.
        self._container = self._stream = self._last = None

    def _encode(self, item: tuple[int, ImageArray | None]) -> None:
        behind, image = item
        self._show_again(behind)
        assert image is not None
        self.statistics.add(image)
        self._last = av.VideoFrame.from_ndarray(image, 'rgb24').reformat(format='yuv420p')
        self._show()
        if time.monotonic() - self._synced_s > _SYNC_S:  # so that little is left for ``close``
            os.fdatasync(self._file)
            self._synced_s = time.monotonic()

    def _show_again(self, times: int) -> None:
        for _ in range(times):
            self.statistics.add_again()
            self._show()

    def _show(self) -> None:
        self._last.pts = self._shown
        self._shown += 1
        self._container.mux(self._stream.encode(self._last))


def _stream(container: Any, fps: int, size: tuple[int, int]) -> Any:
    stream = container.add_stream('libx264', rate=Fraction(fps))
    stream.height, stream.width = size
    stream.pix_fmt = 'yuv420p'
    stream.gop_size = _KEYFRAME
    stream.codec_context.time_base = Fraction(1, fps)
    stream.options = _OPTIONS
    return stream


def check_image(camera: str, image: ImageArray, size: tuple[int, int]) -> None:
    """Refuse an image that is no uint8 RGB of this height and width."""
    if image.shape != (*size, 3) or image.dtype != np.uint8:
        raise ValueError(f'{camera}: expected uint8 RGB of {size[0]} x {size[1]}, got '
                         f'{image.dtype} of shape {image.shape}')


def video_info(fps: int, size: tuple[int, int]) -> dict[str, Any]:
    """Return what meta/info.json says about such a video."""
    return {'video.height': size[0], 'video.width': size[1], 'video.codec': CODEC,
            'video.pix_fmt': 'yuv420p', 'video.is_depth_map': False, 'video.fps': fps,
            'video.channels': 3, 'has_audio': False}
