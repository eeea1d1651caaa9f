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
How long an arm that moves at a constant speed takes to obey, from the commands it was sent.

``reaction``: from the event to the first command that brakes. ``braking``: from there to the last
command whose set point still moves. Used by ``faster_ros stop-benchmark``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STEADY_COMMANDS = 20  # of one speed in a row: the arm moves steadily
RESTING = 1e-6  # rad/s, below which the arm stands
_SHARE = 0.01  # of the speed that is lost at the first command that brakes


@dataclass(frozen=True)
class StopTimes:
    """Both in s."""

    reaction: float
    braking: float


def is_steady(commands: Sequence[tuple[int, float]], speed: float) -> bool:
    """Return whether the last commands, (time in ns, rad/s), all have this speed."""
    last = [abs(velocity) for _, velocity in commands[-STEADY_COMMANDS:]]
    return len(last) == STEADY_COMMANDS and all(
        abs(value - speed) < 0.1 * _SHARE * speed for value in last)


def stop_times(commands: Sequence[tuple[int, float]], event_ns: int, speed: float) -> StopTimes:
    """
    Return the times of a stop; ValueError if the arm braked before the event or never stands.

    ``commands``: (time of publication in ns, rad/s of the joint that moves), in order.
    """
    slowed = [time_ns for time_ns, velocity in commands
              if abs(velocity) < (1 - _SHARE) * speed]
    moving = [time_ns for time_ns, velocity in commands if abs(velocity) > RESTING]
    if not slowed or moving[-1] == commands[-1][0]:
        raise ValueError('the commands do not end in a standing arm')
    if slowed[0] <= event_ns:
        raise ValueError(f'the arm braked {(event_ns - slowed[0]) * 1e-6:.1f} ms before the event')
    return StopTimes((slowed[0] - event_ns) * 1e-9, max(moving[-1] - slowed[0], 0) * 1e-9)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median, p99 and largest of times in s, in ms."""
    times = np.array(values) * 1e3
    return {'count': len(times), 'p50_ms': round(float(np.median(times)), 3),
            'p99_ms': round(float(np.quantile(times, 0.99)), 3),
            'max_ms': round(float(times.max()), 3)}
