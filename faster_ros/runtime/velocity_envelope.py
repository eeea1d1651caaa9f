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
Velocity limits that shrink towards a joint's stops, as the Franka Research 3 has them.

Towards the upper stop ``q_max`` the vendor allows ``-offset + sqrt(2 deceleration (q_max - q))``,
mirrored for the lower one. Staying under this curve takes less deceleration than its parameter;
where our acceleration limit is smaller, the curve is drawn with it and lies lower.
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import RobotSpec
import numpy as np


class VelocityEnvelope:
    """
    The largest velocities towards the stops of D joints, for steps of one period.

    ``closed_margin``: shape (D,), how far from a stop the allowed velocity is 0; 0 for a joint
    without an envelope.
    """

    def __init__(self, spec: RobotSpec, acceleration: FloatArray, period_s: float) -> None:
        """``acceleration``: limits of shape (D,) under which the arm brakes."""
        offset = spec.limit_array('envelope_offset')
        brake = np.minimum(spec.limit_array('envelope_deceleration'), acceleration)
        self._unbounded = np.where(brake > 0.0, 0.0, np.inf)
        self.closed_margin = np.where(
            brake > 0.0, offset**2 / (2.0 * np.where(brake > 0.0, brake, 1.0)), 0.0)
        self._stops = np.stack([spec.limit_array('upper'), -spec.limit_array('lower')])
        # v <= -offset + sqrt(2 brake (gap - v period)): the bound holds after the step.
        self._shift = offset + brake * period_s
        self._square = self._shift**2 - offset**2
        self._twice = 2.0 * brake

    def fastest(self, positions: FloatArray) -> FloatArray:
        """Return the largest velocities up and down from ``positions`` (D,): (2, D), >= 0."""
        gaps = self._stops - np.stack([positions, -positions])
        root = np.sqrt(np.maximum(self._square + self._twice * gaps, 0.0))
        return np.asarray(np.maximum(root - self._shift, 0.0) + self._unbounded)
