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
"""policy_node with a policy that moves one joint to and fro; a process of ``stop-benchmark``."""

from __future__ import annotations

from pathlib import Path
import sys
import time

from faster_ros.interfaces import ActionChunk, Observation
from faster_ros.nodes.policy_node import make_node
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import RobotSpec
import numpy as np

SPEED = 0.5  # rad/s of the first joint
TURN_AT = 1.0  # rad
_INFERENCE_S = 0.08  # as long as a network would take
_LOST = 0.08  # rad off its line: the arm has been stopped meanwhile
_ROWS, _STEP_NS = 16, 100_000_000


class WalkingPolicy:
    """Answers with a straight line in time, so that all commands have the same speed."""

    example_instruction = 'walk'

    def __init__(self, _: Path, spec: RobotSpec, __: str) -> None:
        self._names = spec.joint_names
        self._anchor = (0, np.inf, 1.0)  # time in ns, rad, direction

    def infer(self, observation: Observation) -> ActionChunk:
        """Return the line that the arm is on, or a new one from where it is."""
        time.sleep(_INFERENCE_S)
        stamp_ns, place = observation.stamp_ns, float(observation.positions[0])
        since_ns, begin, direction = self._anchor
        expected = begin + direction * SPEED * (stamp_ns - since_ns) * 1e-9
        turns = direction * place > TURN_AT
        if turns or not abs(expected - place) < _LOST:
            direction, expected = (-direction if turns else direction), place
            self._anchor = (stamp_ns, place, direction)
        rows = np.tile(observation.positions, (_ROWS, 1))
        rows[:, 0] = expected + direction * SPEED * 1e-9 * _STEP_NS * np.arange(_ROWS)
        return ActionChunk(stamp_ns, _STEP_NS, rows, self._names)


if __name__ == '__main__':
    sys.exit(run_node('policy_node', lambda: make_node(WalkingPolicy)))
