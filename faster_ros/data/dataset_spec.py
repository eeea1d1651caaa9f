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
What a LeRobotDataset of ours holds: its features, one row of it, and what is known of an episode.

Besides ``observation.state``, ``action`` and the cameras, every row keeps when its values were
captured: ``stamp_ns.<stream>`` is the stamp of the message that the value came from, in ns of the
recorder's clock, while ``timestamp`` is the evenly spaced time that LeRobot asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from faster_ros.interfaces import ImageArray
from faster_ros.robot_spec import RobotSpec
import numpy as np
from numpy.typing import NDArray

STATE, ACTION = 'observation.state', 'action'
IMAGES = 'observation.images.'  # and the camera's name
STAMP = 'stamp_ns.'  # and the stream's name: state, action or a camera
TICK, SOURCE = 'stamp_ns', 'source'
INDEX = {'timestamp': 'float32', 'frame_index': 'int64', 'episode_index': 'int64',
         'index': 'int64', 'task_index': 'int64'}  # what LeRobot wants in every row
_NUMBERS = ('float32', 'float64', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool')


class Source(IntEnum):
    """Who led the arm in a row."""

    POLICY = 0
    HUMAN = 1
    INTERVENTION = 2  # a human who took over from a policy
    NOBODY = 3  # the arm holds or waits

    @classmethod
    def of(cls, word: str) -> Source:
        """Return who is meant by a word of teleop_node's ``~/lead``."""
        try:
            return cls.NOBODY if word in ('hold', 'idle') else cls[word.upper()]
        except KeyError:
            raise ValueError(f"'{word}' leads; expected policy, human, intervention, hold or "
                             'idle') from None


@dataclass(frozen=True)
class Feature:
    """A column of numbers: its numpy ``dtype``, its ``shape``, and names of its elements."""

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the names fit the shape."""
        if self.dtype not in _NUMBERS:
            raise ValueError(f"expected a dtype of {', '.join(_NUMBERS)}, got {self.dtype}")
        if self.names and self.shape != (len(self.names),):
            raise ValueError(f'expected {self.shape} names, got {len(self.names)}: {self.names}')

    def check(self, what: str, values: NDArray[Any]) -> None:
        """Refuse values of another shape, or that are not finite; ``what`` has them."""
        if values.shape != self.shape:
            raise ValueError(f'{what}: expected a row of shape {self.shape}, got {values.shape}')
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            place = tuple(wrong[0].tolist())
            name = self.names[place[0]] if self.names else f'element {place}'
            raise ValueError(f'{what}: expected finite numbers, {name} is {values[place]}')

    def to_info(self) -> dict[str, Any]:
        """Return the entry of meta/info.json."""
        return {'dtype': self.dtype, 'shape': list(self.shape),
                'names': list(self.names) or None}


@dataclass(frozen=True)
class DatasetSpec:
    """
    The features of a data set; they stay the same for all its episodes.

    ``numbers``: column -> Feature, without those of ``INDEX``. ``cameras``: column, which begins
    with ``observation.images.``, -> (height, width) of RGB images. ``subtasks``: the names that
    the column ``subtask_index`` counts, where there is one.
    """

    fps: int
    robot: str
    numbers: Mapping[str, Feature]
    cameras: Mapping[str, tuple[int, int]]
    subtasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what a video and LeRobot's names demand."""
        if self.fps < 1:
            raise ValueError(f'fps must be a whole number of at least 1, got {self.fps}')
        for name in (*self.numbers, *self.cameras):
            if '/' in name or name in INDEX:
                raise ValueError(f"a feature may not be called '{name}'")
        for name, (height, width) in self.cameras.items():
            if not name.startswith(IMAGES) or height % 2 or width % 2 or min(height, width) < 2:
                raise ValueError(f'expected a camera {IMAGES}<name> of an even height and width, '
                                 f'got {name} of {height} x {width}')


@dataclass(frozen=True)
class DatasetFrame:
    """
    One row: ``numbers`` and ``images`` for every column of the DatasetSpec.

    An image that is the very object of the row before counts as no new image. ``task``: '' where
    it is that of the episode.
    """

    numbers: Mapping[str, NDArray[Any]]
    images: Mapping[str, ImageArray]
    task: str = ''


@dataclass(frozen=True)
class EpisodeFacts:
    """
    What is known of an episode beside its rows.

    ``outcome``: success, failure or '' where nobody said. ``facts``: operator, robot file, git
    hash, checkpoint hash and whatever else a report should show.
    """

    task: str
    outcome: str = ''
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an empty task and an unknown outcome."""
        if not self.task.strip():
            raise ValueError('an episode needs its task in words, such as "pick up the red cube"')
        if self.outcome not in ('', 'success', 'failure'):
            raise ValueError(f'expected the outcome success, failure or none, got {self.outcome}')


def robot_dataset(spec: RobotSpec, fps: int) -> DatasetSpec:
    """Return the features in which a robot is recorded."""
    joints = Feature('float32', (len(spec.joint_names),), spec.joint_names)
    actions = Feature('float32', (len(spec.action_names),), spec.action_names)
    streams = ['state', 'action', *spec.cameras]
    whole = Feature('int64', (1,))
    return DatasetSpec(
        fps, spec.robot,
        {STATE: joints, ACTION: actions, SOURCE: whole, TICK: whole,
         **{f'{STAMP}{stream}': whole for stream in streams}},
        {f'{IMAGES}{name}': (camera.height, camera.width)
         for name, camera in spec.cameras.items()})


def whole(value: int) -> NDArray[np.int64]:
    """Return a single number as a row holds it."""
    return np.array([value], np.int64)
