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
"""What the truth checks of an episode look at: its rows, what was counted, the robot's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from faster_ros.data.dataset_spec import STAMP, TICK
from faster_ros.data.recorded_episodes import is_gripper
from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import RobotSpec
from numpy.typing import NDArray

# What is counted beside the rows: after the name of a camera's column, or of a stream.
DROPPED, RECEIVED = ' dropped', ' received'
BAG, CLOCK_STEP = f'bag{DROPPED}', 'clock step_s'
COUNTED = (DROPPED, RECEIVED, ' missed', ' refused', ' backwards', ' nominal_hz',
           ' slow', ' least_delay_s', CLOCK_STEP)


@dataclass(frozen=True)
class JointFacts:
    """Limits of the columns of the state, each (D,), in rad, m and per s; ``grippers``: which."""

    lower: FloatArray
    upper: FloatArray
    velocity: FloatArray
    grippers: tuple[int, ...]


def joint_facts(spec: RobotSpec) -> JointFacts:
    """Return the vendor's limits of a robot."""
    return JointFacts(spec.limit_array('lower'), spec.limit_array('upper'),
                      spec.limit_array('velocity'), tuple(spec.gripper_indices))


@dataclass(frozen=True)
class EpisodeEvidence:
    """
    What is judged.

    ``columns``: name -> (N, ...). ``names``: those of its elements, empty where they have none.
    ``changes``: camera -> how far each row's image is from the one before, in grey levels (N - 1).
    ``counted``: by the recorder, beside the rows; names end as those of ``COUNTED``. ``joints``:
    None where the robot is not known.
    """

    fps: int
    columns: Mapping[str, NDArray[Any]]
    names: Mapping[str, Sequence[str]]
    changes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    counted: Mapping[str, float] = field(default_factory=dict)
    joints: JointFacts | None = None

    @property
    def rows(self) -> int:
        """Return N."""
        return len(next(iter(self.columns.values())))

    def grippers(self, feature: str) -> list[int]:
        """Return the elements of state or action that are grippers, by the robot or by name."""
        return list(self.joints.grippers) if self.joints else [
            element for element, name in enumerate(self.names.get(feature, ()))
            if is_gripper(name)]

    def name(self, feature: str, element: int) -> str:
        """Return what an element of state or action is called."""
        names = self.names.get(feature, ())
        return names[element] if element < len(names) else f'column {element}'

    @property
    def streams(self) -> list[str]:
        """Return the streams whose stamps are known."""
        return [name.removeprefix(STAMP) for name in self.columns if name.startswith(STAMP)]

    @property
    def counted_streams(self) -> list[str]:
        """Return the streams of which the recorder counted the messages."""
        return [name.removesuffix(RECEIVED) for name in self.counted if name.endswith(RECEIVED)]

    def stamps(self, stream: str) -> FloatArray:
        """Return the stamps of a stream (N,), in s after the first tick."""
        first = self.columns[TICK].reshape(-1)[0]
        stamps: FloatArray = (self.columns[f'{STAMP}{stream}'].reshape(-1) - first) / 1e9
        return stamps
