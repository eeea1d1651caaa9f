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
"""The episode that is being recorded: its rows in memory, its videos in a working folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faster_ros.data.dataset_spec import (
    DatasetFrame,
    DatasetSpec,
    EpisodeFacts,
    IMAGES,
    STAMP,
)
from faster_ros.data.episode_evidence import DROPPED
from faster_ros.data.video_encoder import check_image, EpisodeVideo, ImageStatistics
from faster_ros.interfaces import ImageArray
import numpy as np
from numpy.typing import NDArray


class RecordingFailed(OSError):
    """The running episode cannot be saved any more, such as for a full disk."""


@dataclass(frozen=True)
class EpisodeContent:
    """
    A whole episode, ready to become part of a data set.

    ``numbers``: column -> (N, *shape). ``row_tasks``: N texts. ``images``: camera -> what was seen
    of the frames of its video. ``counted``: what was counted beside the rows, as in
    EpisodeEvidence.
    """

    facts: EpisodeFacts
    numbers: Mapping[str, NDArray[Any]]
    row_tasks: Sequence[str]
    images: Mapping[str, ImageStatistics]
    counted: Mapping[str, float]

    @property
    def rows(self) -> int:
        """Return N."""
        return len(self.row_tasks)


@dataclass(frozen=True)
class RecordingStatus:
    """
    How the running episode does.

    ``dropped``: camera column -> images that were lost for lack of time. ``waiting``: images that
    wait to be encoded, of the camera with the most.
    """

    rows: int
    seconds: float
    dropped: Mapping[str, int]
    waiting: int
    free_bytes: int


def video_name(camera: str) -> str:
    """Return the name of a camera's video in the working folder."""
    return f'{camera}.mp4'


class RunningEpisode:
    """Collects rows; ``finish`` ends the videos."""

    def __init__(self, folder: Path, spec: DatasetSpec, facts: EpisodeFacts,
                 live: bool) -> None:
        """``live``: an image for which there is no room is dropped instead of waited for."""
        self.folder, self.facts, self._spec = folder, facts, spec
        self.videos: dict[str, EpisodeVideo] = {}
        # As bytes, a tenth of what small arrays take: an episode may last for an hour.
        self._columns = {name: bytearray() for name in spec.numbers}
        self._shown: dict[str, tuple[ImageArray, NDArray[Any] | None]] = {}
        self._content: EpisodeContent | None = None
        self._tasks: list[str] = []
        self.rows = 0
        try:
            for name, size in spec.cameras.items():
                self.videos[name] = EpisodeVideo(folder / video_name(name), spec.fps, size, live)
        except Exception:
            self.cancel()
            raise

    def add(self, frame: DatasetFrame) -> None:
        """Append a row, which is checked before anything of it is kept."""
        if self._content is not None:
            raise ValueError('the episode was finished to be saved; save or discard it')
        _check_names('numbers', frame.numbers, self._spec.numbers)
        _check_names('images', frame.images, self._spec.cameras)
        numbers = {name: self._checked(name, frame.numbers[name]) for name in frame.numbers}
        for name, picture in frame.images.items():
            check_image(name, picture, self._spec.cameras[name])
        for name in self.videos:
            self._show(name, frame.images[name], numbers)
        for name, values in numbers.items():
            self._columns[name] += values.tobytes()
        self._tasks.append(frame.task or self.facts.task)
        self.rows += 1

    def finish(self) -> EpisodeContent:
        """End the videos and return all there is; raises what an encoder failed with."""
        if self._content is None:
            for video in self.videos.values():
                video.close()
            self._content = EpisodeContent(
                self.facts, {name: np.frombuffer(self._columns[name], feature.dtype).reshape(
                    self.rows, *feature.shape) for name, feature in self._spec.numbers.items()},
                self._tasks,
                {name: video.statistics for name, video in self.videos.items()},
                {f'{name}{DROPPED}': video.dropped for name, video in self.videos.items()})
        return self._content

    def status(self, free_bytes: int) -> RecordingStatus:
        """Return how it does; ``free_bytes``: what is left on its disk."""
        videos = self.videos
        return RecordingStatus(
            self.rows, self.rows / self._spec.fps,
            {name: video.dropped for name, video in videos.items()},
            max((video.waiting for video in videos.values()), default=0), free_bytes)

    def cancel(self) -> None:
        """Give the videos up."""
        if self._content is None:
            for video in self.videos.values():
                video.cancel()

    def _show(self, name: str, image: ImageArray, numbers: dict[str, NDArray[Any]]) -> None:
        """Hand an image to its encoder; a row whose image is dropped gets the stamp before."""
        video, stamp = self.videos[name], STAMP + name.removeprefix(IMAGES)
        shown = self._shown.get(name)
        fresh = shown is None or image is not shown[0]
        if video.add(image if fresh else None):
            self._shown[name] = (image, numbers.get(stamp))
        elif stamp in numbers and shown is not None and shown[1] is not None:
            numbers[stamp] = shown[1]
        if video.failure is not None:
            raise RecordingFailed(f'{name} is not encoded any more: {video.failure}'
                                  ) from video.failure

    def _checked(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        feature = self._spec.numbers[name]
        feature.check(name, values)
        return values.astype(feature.dtype)


def _check_names(what: str, given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if given.keys() != expected.keys():
        missing = sorted(expected.keys() - given.keys())
        unknown = sorted(given.keys() - expected.keys())
        raise ValueError(f"{what} of a row: missing {', '.join(missing) or 'none'}, unknown "
                         f"{', '.join(unknown) or 'none'}")
