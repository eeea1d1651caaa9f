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

``reaction``: from the event to the first command that brakes. ``last``: from the event to the last
command that moves the arm. ``braking``: from the first that brakes until the set point stands,
which may be long after the last command where one holds the whole stop. Used by ``faster_ros
stop-benchmark``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STEADY_COMMANDS = 20  # of one speed in a row: the arm moves steadily
RESTING = 1e-6  # rad/s, below which the arm stands
_SHARE = 0.01  # of the speed that is lost at the first command that brakes


@dataclass(frozen=True)
class HeardCommand:
    """
    A command as a driver hears it.

    ``velocity``: of the joint that moves, rad/s. ``stop_s``: how long the set point still moves
    after it, in a command that holds the whole stop; 0 in others.
    """

    time_ns: int
    velocity: float
    stop_s: float = 0.0


@dataclass(frozen=True)
class StopTimes:
    """All in s."""

    reaction: float
    last: float
    braking: float


def is_steady(commands: Sequence[HeardCommand], speed: float) -> bool:
    """Return whether the last commands all have this speed."""
    last = [abs(command.velocity) for command in commands[-STEADY_COMMANDS:]]
    return len(last) == STEADY_COMMANDS and all(
        abs(value - speed) < 0.1 * _SHARE * speed for value in last)


def ends_in_rest(commands: Sequence[HeardCommand]) -> bool:
    """Return whether the arm stands, now or by itself, if nothing follows the last command."""
    return bool(commands) and (commands[-1].stop_s > 0 or abs(commands[-1].velocity) <= RESTING)


def stop_times(commands: Sequence[HeardCommand], event_ns: int, speed: float) -> StopTimes:
    """
    Return the times of a stop; ValueError if the arm braked before the event or never stands.

    ``commands``: in the order of their publication.
    """
    slowed = [command.time_ns for command in commands
              if command.stop_s > 0 or abs(command.velocity) < (1 - _SHARE) * speed]
    moving = [command for command in commands
              if command.stop_s > 0 or abs(command.velocity) > RESTING]
    if not slowed or not ends_in_rest(commands):
        raise ValueError('the commands do not end in a standing arm')
    if slowed[0] <= event_ns:
        raise ValueError(f'the arm braked {(event_ns - slowed[0]) * 1e-6:.1f} ms before the event')
    last_ns = moving[-1].time_ns
    braking_ns = max(last_ns - slowed[0], 0)
    return StopTimes((slowed[0] - event_ns) * 1e-9, (max(last_ns, slowed[0]) - event_ns) * 1e-9,
                     braking_ns * 1e-9 + moving[-1].stop_s)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median, p99 and largest of times in s, in ms."""
    times = np.array(values) * 1e3
    return {'count': len(times), 'p50_ms': round(float(np.median(times)), 3),
            'p99_ms': round(float(np.quantile(times, 0.99)), 3),
            'max_ms': round(float(times.max()), 3)}
