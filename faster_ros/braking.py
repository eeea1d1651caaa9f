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
The braking tail of a trajectory command: how an arm comes to rest if no other command follows.

It is a quintic from a set point to rest, as ros2_control's joint_trajectory_controller plays it
between two points with accelerations. ``robots`` tells it to the driver; ``runtime`` knows by it
where the arm has gone while no command was sent.
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
import numpy as np

SHORTEST_BRAKE_S = 0.15  # a message this much late is still taken
# Of the time that a constant deceleration would take; the smooth stop peaks above its mean, and
# most if the arm accelerates when it begins.
_SMOOTH_BRAKE = 2.15


def braking_tail(positions: FloatArray, velocities: FloatArray, accelerations: FloatArray | None,
                 limit: FloatArray, lower: FloatArray,
                 upper: FloatArray) -> tuple[float, FloatArray]:
    """
    Return how long joints (A,) brake, in s, and where they come to rest, (A,).

    All brake together, the one that needs longest at its acceleration ``limit``; none leaves its
    range. Without ``accelerations`` the tail is a cubic.
    """
    smooth = 1.0 if accelerations is None else _SMOOTH_BRAKE
    brake_s = max(SHORTEST_BRAKE_S, smooth * float((np.abs(velocities) / limit).max()))
    way = 0.5 * brake_s * velocities
    if accelerations is not None:
        way += brake_s**2 / 12.0 * accelerations  # where the quintic has the lowest degree
    return brake_s, np.clip(positions + way, np.minimum(lower, positions),
                            np.maximum(upper, positions))


def along_tail(elapsed_s: float, brake_s: float, rest: FloatArray, positions: FloatArray,
               velocities: FloatArray, accelerations: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return positions and velocities (A,) so long after the set point from which joints brake."""
    share = min(elapsed_s / brake_s, 1.0)
    way = rest - positions
    speed, bend = velocities * brake_s, accelerations * brake_s**2
    powers = share ** np.arange(6)
    terms = np.stack([
        0.0 * way, speed, 0.5 * bend, 10.0 * way - 6.0 * speed - 1.5 * bend,
        -15.0 * way + 8.0 * speed + 1.5 * bend, 6.0 * way - 3.0 * speed - 0.5 * bend])
    slopes = np.arange(1, 6) * powers[:5]
    return positions + powers @ terms, slopes @ terms[1:] / brake_s
