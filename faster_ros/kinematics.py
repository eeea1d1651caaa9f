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
"""Forward kinematics, Jacobian and damped inverse kinematics of an arm, from our URDF."""

from __future__ import annotations

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import config_path, RobotSpec
import numpy as np
import pinocchio as pin


class Kinematics:
    """
    The arm's kinematics between ``base_frame`` and ``tool_frame``.

    Joint vectors hold the arm joints only, shape (A,), in rad. Not thread-safe.
    """

    def __init__(self, spec: RobotSpec) -> None:
        full = pin.buildModelFromUrdf(str(config_path(f'urdf/{spec.urdf}')))
        names = spec.arm_joint_names
        missing = [name for name in names if not full.existJointName(name)]
        if missing:
            raise ValueError(f"urdf/{spec.urdf} lacks joint {', '.join(missing)} of robot "
                             f'{spec.robot}')
        locked = [full.getJointId(name) for name in full.names[1:] if name not in names]
        self._model = pin.buildReducedModel(full, locked, pin.neutral(full))
        order = [self._model.idx_qs[self._model.getJointId(name)] for name in names]
        if order != list(range(len(names))):
            raise ValueError(f'joints of robot {spec.robot} must be listed from base to tool')
        if not self._model.existFrame(spec.tool_frame):
            raise ValueError(f"urdf/{spec.urdf} lacks the frame '{spec.tool_frame}'")
        self._frame = self._model.getFrameId(spec.tool_frame)
        self._data = self._model.createData()
        self._lower = spec.limit_array('lower')[:len(names)] + spec.position_margin
        self._upper = spec.limit_array('upper')[:len(names)] - spec.position_margin

    def forward(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the tool's position (3,) in m and rotation matrix (3, 3)."""
        pin.framesForwardKinematics(self._model, self._data, positions)
        pose = self._data.oMf[self._frame]
        return pose.translation.copy(), pose.rotation.copy()

    def jacobian(self, positions: FloatArray) -> FloatArray:
        """Return the (6, A) tool Jacobian, linear rows first, axes of the base frame."""
        return np.array(pin.computeFrameJacobian(self._model, self._data, positions, self._frame,
                                                 pin.ReferenceFrame.LOCAL_WORLD_ALIGNED))

    def step_towards(self, positions: FloatArray, target: FloatArray, rotation: FloatArray,
                     posture: FloatArray, iterations: int = 4) -> FloatArray:
        """
        Return joints near ``positions`` whose tool is at ``target`` with ``rotation``.

        Damped least squares; the null space drifts slowly towards ``posture``. Meant for targets
        close to the present pose; the result is clipped to the joint limits.
        """
        q = positions.copy()
        for iteration in range(iterations):
            place, attitude = self.forward(q)
            error = np.concatenate([target - place, pin.log3(rotation @ attitude.T)])
            jacobian = self.jacobian(q)
            inverse = jacobian.T @ np.linalg.inv(jacobian @ jacobian.T + 1e-5 * np.eye(6))
            delta = inverse @ error
            if iteration == 0:
                drift = np.clip(0.1 * (posture - q), -0.02, 0.02)
                delta += drift - inverse @ (jacobian @ drift)
            q = np.clip(q + np.clip(delta, -0.3, 0.3), self._lower, self._upper)
        return q
