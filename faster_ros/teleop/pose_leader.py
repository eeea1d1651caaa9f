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
"""A hand, a VR controller or a phone whose pose leads the tool, through a clutch."""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import RobotSpec
from faster_ros.teleop.leaders import Leader
from faster_ros.teleop.teleop_spec import PoseLeaderSpec
from faster_ros.teleop.tool_follower import ToolFollower
import numpy as np
from scipy.spatial.transform import Rotation

_JUMP_M = 0.1  # between two messages: a tracker that has lost its place
_JUMP_RAD = 0.7


class PoseLeader(Leader):
    """Moves the tool as the hand has moved since the clutch closed."""

    def __init__(self, arm: RobotSpec, spec: PoseLeaderSpec, timeout_s: float) -> None:
        """``arm``: the one arm that is led."""
        super().__init__(spec.topic, timeout_s)
        self._spec = spec
        self._tool = ToolFollower(arm)
        self._frame = Rotation.from_euler('xyz', [spec.roll, spec.pitch, spec.yaw]).as_matrix()
        self._hand: tuple[FloatArray, FloatArray] | None = None
        self._hand_start = self._tool_start = (np.zeros(3), np.eye(3))

    def hear(self, place: FloatArray, quaternion: FloatArray, now_ns: int) -> None:
        """Take the hand's position (3,) in m and quaternion (4,) x, y, z, w, or a ValueError."""
        norm = float(np.linalg.norm(quaternion))
        if not (np.isfinite(place).all() and abs(norm - 1.0) < 1e-2):
            raise ValueError(f'pose on {self.topic} is {place.tolist()}, {quaternion.tolist()}; '
                             'expected finite numbers and a quaternion of norm 1')
        rotation = Rotation.from_quat(quaternion).as_matrix()
        if self._hand is not None:
            distance = float(np.linalg.norm(place - self._hand[0]))
            turn = Rotation.from_matrix(rotation @ self._hand[1].T).magnitude()
            if distance > _JUMP_M or turn > _JUMP_RAD:
                self._fault = (f'the pose on {self.topic} jumped by {distance:.2f} m and '
                               f'{turn:.2f} rad; limits {_JUMP_M:g} m, {_JUMP_RAD:g} rad')
        self._hand, self._heard_ns = (place, rotation), now_ns

    def engage(self, joints: FloatArray, grip: float) -> str:
        """Close the clutch: from here on the tool moves as the hand does."""
        super().engage(joints, grip)
        if self._hand is None:
            return f'nothing received on {self.topic}'
        self._tool.start(joints)
        self._hand_start = self._hand
        self._tool_start = (self._tool.place, self._tool.rotation)
        return ''

    def step(self, joints: FloatArray, period_s: float) -> FloatArray:
        """Return joints for the pose that is as far from its start as the hand from its own."""
        assert self._hand is not None
        turn = self._hand[1] @ self._hand_start[1].T if self._spec.turns else np.eye(3)
        shift = self._frame @ (self._hand[0] - self._hand_start[0])
        return self._tool.go(self._tool_start[0] + self._spec.scale * shift,
                             self._frame @ turn @ self._frame.T @ self._tool_start[1])

    @property
    def note(self) -> str:
        """Return '' or why the tool is not where the hand wants it."""
        return self._tool.note
