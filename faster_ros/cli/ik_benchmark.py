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
``faster_ros ik-benchmark``: how often and how fast the inverse kinematics of a robot succeeds.

The targets are the tool poses of random joints, so each of them can be reached; every attempt
begins at the robot's home pose. Times are those of one core of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
import time

from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import load_robot_spec
import numpy as np


@dataclass(frozen=True)
class InverseBenchmark:
    """Share of solved poses, ms of a solve (processor time), share solved from home itself."""

    robot: str
    poses: int
    solved: float
    median_ms: float
    p99_ms: float
    first_attempt: float

    def __str__(self) -> str:
        return (f'{self.robot:10s} {self.solved:7.2%} of {self.poses} poses solved '
                f'({self.first_attempt:.0%} from home), median {self.median_ms:.2f} ms, '
                f'p99 {self.p99_ms:.2f} ms')


def benchmark(robot: str, poses: int = 1000, seed: int = 0) -> InverseBenchmark:
    """Solve ``poses`` random reachable poses."""
    spec = load_robot_spec(robot)
    kinematics, rng = Kinematics(spec), np.random.default_rng(seed)
    arm = len(spec.arm_joint_names)
    lower = spec.limit_array('lower')[:arm] + spec.position_margin
    upper = spec.limit_array('upper')[:arm] - spec.position_margin
    kinematics.solve(*kinematics.forward(lower), lower)  # draws its samples
    home, times, attempts = spec.home_positions[:arm], [], []
    for _ in range(poses):
        target, rotation = kinematics.forward(rng.uniform(lower, upper))
        begin = time.thread_time_ns()
        solution = kinematics.solve(target, rotation, home)
        times.append((time.thread_time_ns() - begin) * 1e-6)
        if solution is not None:
            attempts.append(solution.attempt)
    return InverseBenchmark(
        spec.robot, poses, len(attempts) / poses, float(np.median(times)),
        float(np.quantile(times, 0.99)), float(np.mean(np.array(attempts) == 0)))
