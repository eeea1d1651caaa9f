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
How AgileX's ROS drivers read a JointState that commands a Piper, without ROS.

piper_ros (``piper_ctrl_single_node.py``): joints are looked up by name and one that a message does
not name is sent as 0 rad; the last of seven velocities is the speed in percent, else 100; the
gripper is kept in 0 to 0.08 m. agx_arm_ros (its README): joints that are not named stay. The arm
plans each command anew and goes there at the speed in percent of 3 rad/s; without commands it
holds the last one. Not modelled: the gripper's force.
"""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.sim.trajectory_controller import CommandRejected
import numpy as np

_FULL_SPEED = 3.0  # rad/s
_FINGER_SPEED = 0.1  # m/s
_STROKE = 0.08  # m


class JointStateDriver:
    """Six joints and a gripper, its stroke in m; ``sample`` belongs to one thread."""

    def __init__(self, joint_names: Sequence[str], positions: FloatArray,
                 missing_is_zero: bool = True) -> None:
        """``joint_names``: J names, gripper last."""
        self._names = tuple(joint_names)
        self._missing_is_zero = missing_is_zero
        self.hold(positions)

    def hold(self, positions: FloatArray) -> None:
        """Stay at ``positions``, shape (J,)."""
        self._positions = np.array(positions, dtype=np.float64)
        self._target = self._positions.copy()
        self._percent = 100.0
        self._sampled_ns: int | None = None

    def set_command(self, names: Sequence[str], positions: Sequence[float],
                    velocities: Sequence[float]) -> None:
        """Take a JointState's fields; raises CommandRejected where the real node would fail."""
        if len(positions) != len(names):
            raise CommandRejected(f'expected as many positions as names, got {len(positions)} '
                                  f'positions and {len(names)} names')
        given = dict(zip(names, positions))
        if not np.isfinite(list(given.values())).all():
            raise CommandRejected(f'expected finite positions, got {list(positions)}')
        target = self._target.copy()
        if self._missing_is_zero:
            target[:-1] = 0.0
        for index, name in enumerate(self._names):
            target[index] = given.get(name, target[index])
        target[-1] = np.clip(target[-1], 0.0, _STROKE)
        self._target = target
        self._percent = 100.0
        if len(velocities) == len(self._names) and np.any(velocities):
            self._percent = float(np.clip(velocities[-1], 1.0, 100.0))

    def sample(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Return set positions and velocities at ``now_ns``, each of shape (J,)."""
        last_ns, self._sampled_ns = self._sampled_ns, now_ns
        period_s = (now_ns - (last_ns or now_ns)) / 1e9
        if period_s <= 0.0:
            return self._positions.copy(), np.zeros_like(self._positions)
        largest = np.full(len(self._names), _FULL_SPEED * self._percent / 100.0)
        largest[-1] = _FINGER_SPEED
        velocities = np.clip((self._target - self._positions) / period_s, -largest, largest)
        self._positions = self._positions + velocities * period_s
        return self._positions.copy(), velocities
