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
What a policy is made for: a robot of ours, or a benchmark with columns of its own.

Actions of a robot are joint targets, which the policy sees as steps between them; those of a
benchmark are steps already, and stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from faster_ros.data.libero_columns import CAMERAS, COLUMNS
from faster_ros.robot_spec import load_robot_spec, RobotSpec
import numpy as np
from numpy.typing import NDArray

DELTA_JOINT, AS_RECORDED = 'delta_joint', 'as_recorded'


@dataclass(frozen=True)
class Range:
    """What a gripper's column goes from and to."""

    closed: float
    open: float  # noqa: A003


@dataclass(frozen=True)
class BenchmarkSpec:
    """
    The columns of a benchmark, of state and action alike; the last is the gripper.

    It stands where a policy takes a RobotSpec, and names things as that does.
    """

    robot: str
    joint_names: tuple[str, ...]
    cameras: tuple[str, ...]
    gripper: Range
    base: None = None

    @property
    def action_names(self) -> tuple[str, ...]:
        """Return the columns of a chunk."""
        return self.joint_names

    @property
    def gripper_indices(self) -> list[int]:
        """Return the place of the gripper."""
        return [len(self.joint_names) - 1]

    @property
    def grippers(self) -> tuple[Range, ...]:
        """Return the gripper's range."""
        return (self.gripper,)

    @property
    def arm_mask(self) -> NDArray[np.bool_]:
        """Return which columns are of the arm, shape (D,)."""
        return np.arange(len(self.joint_names)) < len(self.joint_names) - 1

    def to_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it."""
        return {'robot': self.robot, 'joints': list(self.joint_names),
                'cameras': list(self.cameras)}


Embodiment = RobotSpec | BenchmarkSpec
LIBERO = BenchmarkSpec('libero', COLUMNS, tuple(CAMERAS), Range(closed=1.0, open=-1.0))


def load_embodiment(name: str) -> Embodiment:
    """Return the benchmark of that name, else the robot; see ``load_robot_spec``."""
    return LIBERO if name == LIBERO.robot else load_robot_spec(name)


def representation(made_for: Embodiment) -> str:
    """Return how a policy sees actions."""
    return DELTA_JOINT if isinstance(made_for, RobotSpec) else AS_RECORDED


def gripper_ranges(made_for: Embodiment) -> dict[int, tuple[float, float]]:
    """Return column -> lowest and highest value of each gripper."""
    ends: list[tuple[float, float]] = [(gripper.closed, gripper.open)
                                       for gripper in made_for.grippers]
    return {place: (min(both), max(both)) for place, both in zip(made_for.gripper_indices, ends)}


def absolute_columns(made_for: Embodiment) -> list[int]:
    """Return the columns that are not seen as steps: of a robot grippers and a base's speeds."""
    columns = range(len(made_for.action_names))
    if isinstance(made_for, BenchmarkSpec):
        return list(columns)
    return [*made_for.gripper_indices, *columns[len(made_for.joint_names):]]
