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
What leads one arm: the part that all kinds of leaders share.

A leader is engaged at the arm's joints and from then on says where these should go. It measures
from two references, itself and the arm at that time, so nothing is added up and nothing drifts.
Engaging moves nothing: the first target is where the arm is.
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray


class Leader:
    """One arm's leader; not thread-safe."""

    def __init__(self, topic: str, timeout_s: float) -> None:
        """``timeout_s``: silence after which it counts as lost."""
        self.topic = topic
        self._timeout_ns = round(timeout_s * 1e9)
        self._heard_ns: int | None = None
        self._fault = ''
        self._presses: list[float | None] = []

    def engage(self, joints: FloatArray, grip: float) -> str:
        """
        Begin at the arm's joints (A,) and the gripper; returns '' or why that cannot be.

        ``grip``: share of the gripper's stroke, 0 closed to 1 open, here and below.
        """
        self._fault = ''
        self._presses.clear()
        return ''

    def step(self, joints: FloatArray, period_s: float) -> FloatArray:
        """Return the joints (A,) that are wanted, one period after the arm was sent ``joints``."""
        raise NotImplementedError

    def press(self, grip: float | None) -> None:
        """Take a button that asks for ``grip``, or with None for the other end of the stroke."""
        self._presses.append(grip)

    def grip(self, grip: float) -> float:
        """Return what is wanted of the gripper, which was sent to ``grip``."""
        for press in self._presses:
            grip = press if press is not None else float(grip < 0.5)
        self._presses.clear()
        return grip

    def problem(self, now_ns: int) -> str:
        """Return '' or why the arm must not be led by it."""
        return self._silence(self.topic, self._heard_ns, now_ns) or self._fault

    def _silence(self, topic: str, heard_ns: int | None, now_ns: int) -> str:
        if heard_ns is None:
            return f'nothing received on {topic}'
        age_ns = now_ns - heard_ns
        if age_ns <= self._timeout_ns:
            return ''
        return (f'nothing received on {topic} for {age_ns * 1e-9:.2f} s; limit '
                f'{self._timeout_ns * 1e-9:g} s')

    @property
    def note(self) -> str:
        """Return '' or why a part of what it wants is not done."""
        return ''
