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

from dataclasses import replace

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.robot_spec import RobotSpec
import numpy as np


class BaseMotion:
    """The last commanded velocity, (2,) in m/s and rad/s, and the step to the next one."""

    def __init__(self, spec: RobotSpec, period_s: float) -> None:
        """``period_s``: time between two commands; ``spec`` has a base."""
        base = spec.base
        assert base is not None
        self._names, self._joints = spec.action_names, len(spec.joints)
        self._limit = np.array([base.linear_velocity, base.angular_velocity])
        self._step = period_s * np.array([base.linear_acceleration, base.angular_acceleration])
        self._times: FloatArray = np.empty(0)
        self._rows: FloatArray = np.empty((0, 2))
        self.velocity = np.zeros(2)

    @property
    def moving(self) -> bool:
        """Return whether the base is commanded to move."""
        return bool(self.velocity.any())

    def joints_of(self, chunk: ActionChunk) -> ActionChunk:
        """Return the chunk without the base's columns, or the ValueError of unusable ones."""
        names, actions = self._names, chunk.actions
        if chunk.names != names or np.shape(actions)[1:] != (len(names),):
            raise ValueError(f"chunk has columns {', '.join(chunk.names) or 'none'} and actions "
                             f"of shape {np.shape(actions)}; expected {', '.join(names)}")
        if not np.isfinite(actions[:, self._joints:]).all():
            raise ValueError('chunk has velocities of the base that are not finite')
        return replace(chunk, names=names[:self._joints], actions=actions[:, :self._joints])

    def take(self, chunk: ActionChunk, begin_ns: int | None = None) -> None:
        """Drive by this chunk from now on; it begins at its stamp, or at ``begin_ns``."""
        start_ns = chunk.start_ns if begin_ns is None else max(chunk.start_ns, begin_ns)
        self._times = start_ns + chunk.step_ns * np.arange(len(chunk.actions), dtype=float)
        self._rows = chunk.actions[:, self._joints:]

    def step(self, due_ns: int | None) -> FloatArray:
        """Return the next velocity towards what is due, or towards rest if nothing is."""
        wanted = np.zeros(2)
        if due_ns is not None and len(self._times):
            wanted = np.array([np.interp(due_ns, self._times, column) for column in self._rows.T])
            wanted = np.clip(wanted, -self._limit, self._limit)
        change = wanted - self.velocity
        # A target within reach is taken as it is, so that rest is exactly zero.
        self.velocity = np.where(np.abs(change) <= self._step, wanted,
                                 self.velocity + np.clip(change, -self._step, self._step))
        return self.velocity
