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
ScriptedLeader: a leader arm in a hand that knows the task ``pick``.

It moves as the expert would, at a person's pace and, until it grips, not quite steadily. What
it does next follows from where it is itself, from the measured gripper and from the cube, so
what the hand's unsteadiness spoils it repairs, and recordings hold such repairs. It shuts the
hand only when the arm that follows has come where the leader is: a person looks at the arm,
and in a recording that shuts on the way down nothing seen tells when.
"""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.expert import PickExpert
from faster_ros.sim.sim_arm import arms_of
from faster_ros.sim.workspace import tool_place
import numpy as np

_PACE = 0.5  # of the expert's: an arm that follows 0.1 s behind still has the cube in its fingers
_ARRIVED = 0.02  # rad of a joint between leader and arm
_SWAY_S = 0.4  # for which a hand strays one way
_SWAY_SHARE = 0.5  # of the time in which it strays
_BESIDE = 0.04  # m, standard deviation of where the tool is put beside the cube
_HEIGHTS = (0.06, 0.2)  # m over the table at which it is put there
_SHUT_SHARE = 0.5  # of these starts have a shut hand, as after a grasp that missed
_SET_OUT_SPEED = 0.6  # rad/s


class ScriptedLeader:
    """The pose of the leader arm, one period after the other."""

    def __init__(self, spec: RobotSpec, period_s: float, unsteadiness: float) -> None:
        """``unsteadiness``: standard deviation of a joint's stray speed, rad/s."""
        if spec.arms or spec.base is not None:
            raise ValueError(f"robot '{spec.robot}': the scripted leader leads robots with one "
                             'arm and no base')
        self._spec, self._period_s, self._unsteadiness = spec, period_s, unsteadiness
        self._expert = PickExpert(spec, _PACE * period_s)
        self._lower, self._upper = spec.limit_array('lower'), spec.limit_array('upper')
        self._arm = spec.arm_mask
        self.pose = spec.home_positions
        self._steps = 0
        self._sway = np.zeros_like(self.pose)

    def begin(self, positions: FloatArray, seed: int) -> None:
        """Bring the leader to the arm's measured ``positions`` (D,)."""
        self.pose = np.clip(positions, self._lower, self._upper)
        self.pose[~self._arm] = self._spec.gripper.open
        self._rng = np.random.default_rng([seed, 3])
        self._steps = 0

    def set_out(self, cube: FloatArray) -> None:
        """
        Choose another pose to begin from: low and not quite over ``cube`` (3,).

        In some the hand is shut, so that recordings hold how a grasp that missed is repaired.
        """
        (arm,), home = arms_of(self._spec), self._spec.home_positions
        kinematics = Kinematics(arm.spec)
        grip = np.array([*self._rng.normal(cube[:2], _BESIDE), self._rng.uniform(*_HEIGHTS)])
        attitude = arm.workspace.attitude(grip)
        place = tool_place(grip, attitude, arm.hand)
        joints, first = home[self._arm], kinematics.forward(home[self._arm])[0]
        for share in np.linspace(0.1, 1.0, 10):
            joints = kinematics.step_towards(joints, first + share * (place - first), attitude,
                                             arm.workspace.ready)
        gripper = self._spec.gripper
        shut = self._rng.random() < _SHUT_SHARE
        self._start = np.append(joints, gripper.closed if shut else gripper.open)

    def go_to_start(self) -> bool:
        """Move towards where ``set_out`` said for a period; tell whether the leader is there."""
        reach = _SET_OUT_SPEED * self._period_s
        way = self._start - self.pose
        self.pose = self.pose + np.clip(way, -reach, reach)
        return bool(np.abs(way).max() <= reach)

    def step(self, positions: FloatArray, cube: FloatArray) -> FloatArray:
        """
        Return where the leader is a period later, (D,).

        ``positions``: measured joints (D,); ``cube``: its centre (3,) in the base frame.
        """
        if self._steps % round(_SWAY_S / self._period_s) == 0:
            strays = self._rng.random() < _SWAY_SHARE
            self._sway = strays * self._unsteadiness * self._rng.normal(size=len(self.pose))
        self._steps += 1
        here = np.where(self._arm, self.pose, positions)
        # What the arm holds is behind the leader as the arm is, and held all the same.
        cube = self._expert.carried(positions, here, cube)
        following = self._expert.plan_from(here, cube[None], 2)[1]
        if (following == self._spec.gripper.open)[~self._arm].any():  # who grips is steady
            following = following + self._arm * self._sway * self._period_s
        behind = np.abs(positions - self.pose)[self._arm].max() > _ARRIVED
        waits = behind & ~self._arm & self._shuts(following)
        self.pose = np.clip(np.where(waits, self.pose, following), self._lower, self._upper)
        return self.pose

    def _shuts(self, following: FloatArray) -> bool:
        gripper = self._spec.gripper
        way = (following - self.pose)[~self._arm] * (gripper.closed - gripper.open)
        return bool((way > 0).any())
