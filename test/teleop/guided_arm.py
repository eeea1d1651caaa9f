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
"""A teleop session in front of the real controller and a perfect arm, with a clock in ms."""

from faster_ros.interfaces import RobotState
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.teleop.session import TeleopSession
import numpy as np

MS = 1_000_000
T0 = 3_000_000_000_000
SPEC = load_robot_spec('fr3')
HOME = SPEC.home_positions


class GuidedArm:
    """The arm is where it was commanded to be; ``now_ns`` is the time of the last period."""

    def __init__(self, leader, with_policy: bool = False) -> None:
        self.session = TeleopSession(SPEC, {'': leader}, 50.0, with_policy)
        self.controller = MotionController(SPEC, MotionConfig(actuation_latency_s=0.02), 100.0)
        self.now_ns = T0
        self.commands = [HOME]
        self.velocities = np.zeros(8)
        assert self.arm() == ''

    def _state(self) -> RobotState:
        return RobotState(self.now_ns, self.commands[-1], np.zeros(8))

    def arm(self) -> str:
        return self.controller.arm(self.now_ns, self._state())

    def engage(self) -> str:
        return self.session.engage(self.now_ns, self.commands[-1], self.velocities)

    def run(self, milliseconds: int, hear=lambda now_ns: None) -> np.ndarray:
        """Run periods of both nodes; returns the commands (N, 8) from the last one before."""
        first = len(self.commands) - 1
        for _ in range(milliseconds // 20):
            hear(self.now_ns)
            chunk = self.session.tick(self.now_ns)
            if chunk is not None:
                self.controller.accept(chunk, self.now_ns)
            for _ in range(2):
                self.now_ns += 10 * MS
                command = self.controller.tick(self.now_ns, self._state())
                self.commands.append(command.positions)
                self.velocities = command.velocities
        return np.array(self.commands[first:])

    @property
    def status(self):
        return self.controller.status(self.now_ns)
