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
What a receiver of velocities needs: zeros when the commands end, and when they fail to come.

Such a receiver has no timeout that one could rely on: it goes on with the last command for ever.
Base class of the writers of velocities and twists.
"""

from __future__ import annotations

from typing import Any

ZEROS_AT_REST = 10
SILENCE_S = 0.1  # between two commands, before zeros are sent


class ZeroWhenSilent:
    """``told`` notes a command; ``zero`` makes the message of rest."""

    def __init__(self) -> None:
        self._zeros_due = 0

    def told(self) -> None:
        """Note that a command was written, which zeros have to follow."""
        self._zeros_due = ZEROS_AT_REST

    def zero(self) -> Any:
        """Return the message that stops the motion."""
        raise NotImplementedError

    def rest(self) -> Any:
        """Return zeros for a period without a command, or None when enough were sent."""
        if self._zeros_due == 0:
            return None
        self._zeros_due -= 1
        return self.zero()

    def late(self, silent_s: float) -> Any:
        """Return zeros if the last command is ``silent_s`` old and was not followed by rest."""
        if self._zeros_due == 0 or silent_s < SILENCE_S:
            return None
        return self.zero()
