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
What ur_robot_driver adds to a controller, without ROS: speed slider, program, protective stop.

Rules and their sources: with the slider below 100 % the clock of a running trajectory advances by
that share of each cycle, and a new trajectory starts at the present time (ros2_controllers,
``joint_trajectory_controller.cpp``, ``traj_time_``). A protective stop halts the arm and the
program; while the program does not run, ``controller_stopper`` keeps the motion controllers
inactive, so commands go nowhere. The dashboard refuses to unlock within 5 s of the stop (the
refusal's text is the dashboard server's), and unlocking does not start the program:
``resend_robot_program`` (headless) or ``play`` does.
"""

from __future__ import annotations

from collections.abc import Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.sim.trajectory_controller import TrajectoryController, TrajectoryPoint

_UNLOCK_AFTER_NS = 5_000_000_000
_TOO_SOON = ('Cannot unlock protective stop until 5s after occurrence. Always inspect cause of '
             'protective stop before unlocking')


class ScaledTrajectoryController(TrajectoryController):
    """A trajectory controller of which the trajectory's clock follows the speed slider."""

    percent = 100.0
    _lag_ns = 0
    _sampled_ns: int | None = None

    def sample(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Return desired positions and velocities, each of shape (J,)."""
        share = self.percent / 100.0
        if self._sampled_ns is not None:
            self._lag_ns += round((1.0 - share) * (now_ns - self._sampled_ns))
        self._sampled_ns = now_ns
        positions, velocities = super().sample(now_ns)
        return positions, share * velocities

    def set_trajectory(self, joint_names: Sequence[str], stamp_ns: int,
                       points: Sequence[TrajectoryPoint], now_ns: int) -> None:
        """Replace the trajectory; it starts at the present time, whatever the old one lags."""
        super().set_trajectory(joint_names, stamp_ns, points, now_ns)
        self._lag_ns = 0

    def _desired(self, now_ns: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        return super()._desired(now_ns - self._lag_ns)


class UrProgram:
    """Whether the external-control program runs, and the way back from a protective stop."""

    def __init__(self) -> None:
        self.running = True
        self._stopped_ns: int | None = None

    def protective_stop(self, now_ns: int) -> None:
        """Stop the arm and its program."""
        self.running = False
        self._stopped_ns = now_ns

    def unlock(self, now_ns: int) -> str:
        """Release a protective stop; returns '' or why not."""
        if self._stopped_ns is not None and now_ns - self._stopped_ns < _UNLOCK_AFTER_NS:
            return _TOO_SOON
        self._stopped_ns = None
        return ''

    def start(self) -> str:
        """Start the program; returns '' or why not."""
        if self._stopped_ns is not None:
            return 'Failed to execute: the robot is in a protective stop; unlock it first'
        self.running = True
        return ''
