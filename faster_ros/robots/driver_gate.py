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
What the driver says about itself: whether motion would reach the arm, and at what speed.

UR: ``robot_program_running`` is false while the arm's own program stands, and commands go nowhere;
``speed_scaling`` is the speed slider. It is published in percent (0 to 100), whatever the
driver's documentation says, so 1.0 is one percent. Called by ``control_node``.
"""

from __future__ import annotations

from faster_ros.robot_spec import NO_TOPIC, RobotSpec

_FULL_SPEED_PERCENT = 99.0


class DriverGate:
    """Remembers the driver's last words; ``problem`` is '' or why the arm must not move."""

    def __init__(self, spec: RobotSpec) -> None:
        self._ready_topic, self._speed_topic = spec.driver_ready_topic, spec.driver_speed_topic
        self._ready: bool | None = None
        self._speed: float | None = None

    @property
    def problem(self) -> str:
        """Return '' or the sentence that names the topic, what was expected and what came."""
        if self._ready_topic != NO_TOPIC and not self._ready:
            said = 'no message yet' if self._ready is None else 'false'
            return (f'expected true on {self._ready_topic}, got {said}; is the program running '
                    'on the robot?')
        if self._speed_topic != NO_TOPIC and not (self._speed or 0.0) >= _FULL_SPEED_PERCENT:
            said = 'no message yet' if self._speed is None else f'{self._speed:g} percent'
            return (f'expected 100 percent on {self._speed_topic}, got {said}; set the speed '
                    'slider to full, and velocity_scale in the robot file for slow motion')
        return ''

    def ready(self, value: bool) -> None:
        """Note what the driver says."""
        self._ready = value

    def speed(self, percent: float) -> None:
        """Note the speed in percent."""
        self._speed = percent
