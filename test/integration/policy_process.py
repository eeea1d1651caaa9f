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
"""policy_node with a policy that needs no network; the instruction chooses what it does."""

from pathlib import Path
import sys
import time

from faster_ros.interfaces import ActionChunk, Observation
from faster_ros.nodes.policy_node import make_node
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import RobotSpec
import numpy as np


class HoldPolicy:
    """Answers with the observed pose, the first joint moved by the red of the front image."""

    def __init__(self, folder: Path, spec: RobotSpec, device: str) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(f"checkpoint folder '{folder}' does not exist")
        self._names = spec.joint_names
        self.said = ''

    example_instruction = 'pick up the red cube'

    def infer(self, observation: Observation) -> ActionChunk:
        if observation.instruction == 'fail':
            raise ValueError('expected an instruction that the policy knows')
        self.said = 'grasp the cube' if observation.instruction == 'speak' else ''
        if observation.instruction == 'slow':
            time.sleep(0.5)
        actions = np.tile(observation.positions, (16, 1))
        actions[:, 0] = observation.images['front'][0, 0, 0]
        if observation.instruction == 'committed':
            time.sleep(0.15)  # an answer within a quarter of a step would find nothing done
            if observation.committed is not None:
                actions[:len(observation.committed), 1] = observation.committed[:, 1]
        if observation.instruction == 'nan':
            actions[3, 3] = np.nan
        return ActionChunk(observation.stamp_ns, 100_000_000, actions, self._names)


if __name__ == '__main__':
    sys.exit(run_node('policy_node', lambda: make_node(HoldPolicy)))
