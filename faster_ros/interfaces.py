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
The typed objects that cross the borders of the package.

Shape letters: ``H`` action horizon, ``D`` controlled joints (arm, then gripper).
Every vector of joints is in ``RobotSpec.joint_names`` order, in rad, and in m for a gripper
finger. Every time is an integer number of nanoseconds on the ROS clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ImageArray = NDArray[np.uint8]


@dataclass(frozen=True)
class RobotState:
    """
    Measured joints at one time.

    ``positions`` and ``velocities``: shape (D,). ``topic``: where it was heard; of a robot with
    several arms, the one that was heard longest ago.
    """

    stamp_ns: int
    positions: FloatArray
    velocities: FloatArray
    topic: str = ''


@dataclass(frozen=True)
class Observation:
    """
    What the policy sees at one common time.

    ``images``: camera name -> uint8 RGB of shape (height, width, 3).
    ``positions``: measured joints, shape (D,). ``instruction``: the task in words.
    ``committed``: shape (C, D), joint targets that will be executed before the answer arrives,
    row k due at ``stamp_ns`` + k steps of the policy; None where nothing is committed.
    ``answer_within_s``: how long the actions that are executing last; None without any.
    """

    stamp_ns: int
    images: Mapping[str, ImageArray]
    positions: FloatArray
    instruction: str
    committed: FloatArray | None = None
    answer_within_s: float | None = None


@dataclass(frozen=True)
class ActionChunk:
    """
    Joint targets on a time grid; row k is due at ``start_ns + k * step_ns``.

    ``start_ns`` is the stamp of the observation that the chunk answers.
    ``actions``: shape (H, D). ``names``: the D joints, in column order. A mobile base adds two
    columns, its velocities in m/s and rad/s (``RobotSpec.action_names``).
    """

    start_ns: int
    step_ns: int
    actions: FloatArray
    names: tuple[str, ...]


@dataclass(frozen=True)
class PoseChunk:
    """
    Tool poses on a time grid, which is that of an ActionChunk.

    ``frame``: the frame of all poses. ``tools``: tool frame -> (H, 7), x, y, z in m and the
    quaternion x, y, z, w. ``grippers``: joint -> (H,) in m or rad.
    """

    start_ns: int
    step_ns: int
    frame: str
    tools: Mapping[str, FloatArray]
    grippers: Mapping[str, FloatArray]


@dataclass(frozen=True)
class StopPath:
    """
    The set points from a command on until the arm stands.

    ``rows``: positions, velocities and accelerations of the D joints, shape (N, 3, D), the first
    due with the command, the others ``step_ns`` apart. Of no rows: the stop has been told.
    """

    step_ns: int
    rows: FloatArray


@dataclass(frozen=True)
class JointCommand:
    """
    One set point that is sent to the arm.

    ``positions``, ``velocities`` and, where they are known, ``accelerations``: shape (D,), due
    at ``stamp_ns``, and derivatives of each other. ``base``: shape (2,), what a mobile base is to
    drive in m/s and rad/s. ``observation_ns``: the stamp of the observation that the newest chunk
    in it answers, by which a command is traced back to its images; 0 where no chunk is followed.
    ``stop``: a stop of the arm that is told at once, where its driver can follow it alone.
    """

    stamp_ns: int
    positions: FloatArray
    velocities: FloatArray
    accelerations: FloatArray | None = None
    base: FloatArray | None = None
    observation_ns: int = 0
    stop: StopPath | None = None


class Policy(Protocol):
    """
    Anything that answers an observation with a chunk of actions.

    ``example_instruction``: words it understands, for a first call that warms it up. One that
    has ``takes_committed`` false is not told what is committed.
    """

    @property
    def example_instruction(self) -> str:
        """Return an instruction that the policy accepts."""
        ...

    def infer(self, observation: Observation) -> ActionChunk:
        """Return the chunk for one observation; raises ValueError on an unusable one."""
        ...
