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
"""An arm that is where it was commanded to be, with its clock in ms; for tests of the runtime."""

from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.runtime.controller import MotionController
import numpy as np

SPEC = load_robot_spec('fr3')
HOME = SPEC.home_positions
MS = 1_000_000
T0 = 3_000_000_000_000


def state(ms: float, positions=HOME) -> RobotState:
    return RobotState(T0 + round(ms * MS), np.array(positions, float), np.zeros(8))


def chunk(ms: float, offset: float = 0.0, rows: int = 16, speed: float = 0.0) -> ActionChunk:
    actions = np.tile(HOME, (rows, 1))
    actions[:, 0] += offset + speed * (ms * 1e-3 + 0.1 * np.arange(rows))
    return ActionChunk(T0 + round(ms * MS), 100 * MS, actions, SPEC.joint_names)


class Arm:
    """A perfect arm in front of a controller: it is where it was commanded to be."""

    def __init__(self, spec: RobotSpec = SPEC, **options) -> None:
        self.controller = MotionController(spec, **options)
        self.positions = HOME
        self.ms = 0
        self.commands: list[np.ndarray] = []

    def arm(self) -> str:
        return self.controller.arm(T0 + self.ms * MS, state(self.ms, self.positions))

    def accept(self, value: ActionChunk) -> bool:
        return self.controller.accept(value, T0 + self.ms * MS)

    def run(self, milliseconds: int, moves: bool = True) -> None:
        for _ in range(milliseconds // 10):
            self.ms += 10
            command = self.controller.tick(T0 + self.ms * MS, state(self.ms, self.positions))
            if command is not None:
                self.commands.append(command.positions)
                self.positions = command.positions if moves else self.positions

    @property
    def status(self):
        return self.controller.status(T0 + self.ms * MS)


def running(speed: float = 0.2, **options) -> Arm:
    """Return an arm that has followed a chunk of this speed for 300 ms."""
    arm = Arm(**options)
    assert arm.arm() == ''
    assert arm.accept(chunk(0, speed=speed))
    arm.run(300)
    assert arm.status.mode == 'running'
    return arm
