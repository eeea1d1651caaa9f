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
The velocities of a mobile base, kept inside its limits of velocity and acceleration.

A base has no pose to hold: whatever ends the motion of the arms ends here in exact zeros. Used by
``MotionController``.
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
from faster_ros.robot_parts import BaseSpec
import numpy as np


class BaseMotion:
    """The last commanded velocity, (2,) in m/s and rad/s, and the step to the next one."""

    def __init__(self, base: BaseSpec, period_s: float) -> None:
        """``period_s``: time between two commands."""
        self._limit = np.array([base.linear_velocity, base.angular_velocity])
        self._step = period_s * np.array([base.linear_acceleration, base.angular_acceleration])
        self.velocity = np.zeros(2)

    @property
    def moving(self) -> bool:
        """Return whether the base is commanded to move."""
        return bool(self.velocity.any())

    def step(self, target: FloatArray | None) -> FloatArray:
        """Return the next velocity towards ``target``, or towards rest if there is none."""
        wanted = np.zeros(2) if target is None else np.clip(target, -self._limit, self._limit)
        change = np.clip(wanted - self.velocity, -self._step, self._step)
        # Exact, so that rest is exactly zero.
        self.velocity = np.where(np.abs(wanted - self.velocity) <= self._step, wanted,
                                 self.velocity + change)
        return self.velocity
