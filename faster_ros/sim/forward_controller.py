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
The rules of ros2_control's forward controllers, without ROS.

Each rule has its source in ros2_controllers (Jazzy),
``forward_command_controller/src/forward_controllers_base.cpp``:

- a command with a value that is not finite is dropped with a warning (``on_configure``, callback);
- a command of another size than the controller's interfaces writes nothing (``update`` returns
  ERROR before it sets an interface);
- nothing is written before the first command: the buffer begins as NaN (``on_activate``);
- there is no timeout: ``update`` writes the last command again in every cycle, for ever. On a
  velocity interface this means that an arm whose publisher falls silent keeps moving.

An arm that stands on its velocity interface is modelled as one that follows it exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.sim.trajectory_controller import CommandRejected
import numpy as np


class ForwardController:
    """
    Writes the newest accepted command of J values; positions in rad (m) or velocities per s.

    ``sample`` belongs to one thread.
    """

    def __init__(self, positions: FloatArray, velocity: bool = False) -> None:
        """``velocity``: commands are velocities."""
        self._velocity = velocity
        self.hold(positions)

    def hold(self, positions: FloatArray) -> None:
        """Be as after activation: no command yet, the arm at ``positions``, shape (J,)."""
        self._positions = np.array(positions, dtype=np.float64)
        self._command: FloatArray | None = None
        self._sampled_ns: int | None = None

    def set_command(self, values: Sequence[float]) -> None:
        """Take J values; raises CommandRejected."""
        command = np.array(values, dtype=np.float64)
        if not np.isfinite(command).all():
            raise CommandRejected(f'expected finite values, got {command.tolist()}')
        if command.shape != self._positions.shape:
            raise CommandRejected(f'expected {len(self._positions)} values, got {len(command)}')
        self._command = command

    def sample(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Return set positions and velocities at ``now_ns``, each of shape (J,)."""
        last_ns, self._sampled_ns = self._sampled_ns, now_ns
        rest = np.zeros_like(self._positions)
        if self._command is None:
            return self._positions.copy(), rest
        if not self._velocity:
            self._positions = self._command
            return self._positions.copy(), rest
        self._positions = self._positions + self._command * (now_ns - (last_ns or now_ns)) / 1e9
        return self._positions.copy(), self._command.copy()
