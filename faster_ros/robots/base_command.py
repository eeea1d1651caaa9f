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
Commands for a mobile base: one geometry_msgs/Twist, linear.x in m/s and angular.z in rad/s.

A base may go on with the last twist for ever, so zeros follow the last command, and come by
themselves if the loop falls silent. While nothing is commanded nothing is sent: the topic is free.
"""

from __future__ import annotations

from typing import Any

from faster_ros.interfaces import JointCommand, RobotState
from faster_ros.robots.zero_when_silent import ZeroWhenSilent


class BaseWriter(ZeroWhenSilent):
    """Writes the base's part of a command as a Twist."""

    def __init__(self) -> None:
        from geometry_msgs.msg import Twist

        super().__init__()
        self.message_type = Twist

    def write(self, command: JointCommand, _: RobotState | None = None) -> Any:
        """Return the message for one command."""
        if command.base is None:
            raise ValueError('expected a command with the velocities of the base, got none')
        self.told()
        message = self.message_type()
        message.linear.x, message.angular.z = (float(value) for value in command.base)
        return message

    def zero(self) -> Any:
        """Return a twist of rest."""
        return self.message_type()
