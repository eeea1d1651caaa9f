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
"""How long calls of a served policy take, and how much of it the server adds to the policy."""

from __future__ import annotations

from dataclasses import dataclass
import math
import time

from faster_ros.interfaces import Observation
from faster_ros.policy_server.client import ServedPolicyClient
from faster_ros.robot_spec import RobotSpec
import numpy as np

WARM_UP_CALLS = 3
_PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class CallTimes:
    """
    Milliseconds of each call.

    ``round_trip``: all of it. ``policy``: in the server's policy, as the server says, NaN where
    it does not.
    """

    round_trip: tuple[float, ...]
    policy: tuple[float, ...]

    @property
    def added(self) -> tuple[float, ...]:
        """Return what packing, both ways and unpacking took of each call."""
        return tuple(whole - part for whole, part in zip(self.round_trip, self.policy))

    def table(self) -> str:
        """Return a table in Markdown; parts that the server does not tell are left out."""
        lines = [f'| {len(self.round_trip)} calls | p50 ms | p95 | p99 | most |',
                 '|---|---|---|---|---|']
        for name, times in (('round trip', self.round_trip), ('policy in the server', self.policy),
                            ('added by the server', self.added)):
            if not any(math.isnan(value) for value in times):
                cells = [*np.percentile(times, _PERCENTILES), max(times)]
                lines.append(f"| {name} | {' | '.join(f'{value:.2f}' for value in cells)} |")
        return '\n'.join(lines)


def measure_calls(client: ServedPolicyClient, spec: RobotSpec, calls: int, instruction: str,
                  seed: int = 0) -> CallTimes:
    """Ask ``calls`` times with images of noise at the robot's home, after some to warm up."""
    noise = np.random.default_rng(seed)
    images = {name: noise.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
              for name, camera in spec.cameras.items()}
    observation = Observation(0, images, spec.home_positions, instruction)
    for _ in range(WARM_UP_CALLS):
        client.infer(observation)
    whole, inside = [], []
    for _ in range(calls):
        begin_s = time.monotonic()
        client.infer(observation)
        whole.append((time.monotonic() - begin_s) * 1e3)
        inside.append(client.infer_s * 1e3)
    return CallTimes(tuple(whole), tuple(inside))
