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

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import config_path, RobotSpec
import numpy as np
import pinocchio as pin
from scipy.linalg.lapack import dposv

_ATTEMPT_ITERATIONS = 24
_ATTEMPTS = 60
_SAMPLES = 2000
_METRES = 0.3  # of distance that weigh as much as a rotation by about 1 rad
_LONGEST_STEP = 1.0  # rad of one joint in one iteration


@dataclass(frozen=True)
class InverseSolution:
    """
    Joints that reach a pose.

    ``positions``: shape (A,). ``attempt`` 0 began at the start pose; later ones began at random
    joints, so their solution may lie far from it. ``iterations``: of all attempts.
    """

    positions: FloatArray
    attempt: int
    iterations: int


class Kinematics:
    """
    The arm's kinematics between ``base_frame`` and ``tool_frame``.

    Joint vectors hold the arm joints only, shape (A,), in rad. Not thread-safe.
    """

    def __init__(self, spec: RobotSpec) -> None:
        full = pin.buildModelFromUrdf(str(config_path(str(Path('urdf', spec.urdf)))))
        names = [spec.urdf_name(name) for name in spec.arm_joint_names]
        missing = [name for name in names if not full.existJointName(name)]
        if missing:
            raise ValueError(f"urdf/{spec.urdf} lacks joint {', '.join(missing)} of robot "
                             f'{spec.robot}')
        locked = [full.getJointId(name) for name in full.names[1:] if name not in names]
        self._model = pin.buildReducedModel(full, locked, pin.neutral(full))
        order = [self._model.idx_qs[self._model.getJointId(name)] for name in names]
        if order != list(range(len(names))):
            raise ValueError(f'joints of robot {spec.robot} must be listed from base to tool')
        tool, base = (spec.urdf_name(frame) for frame in (spec.tool_frame, spec.base_frame))
        for frame in (tool, base):
            if not self._model.existFrame(frame):
                raise ValueError(f"urdf/{spec.urdf} lacks the frame '{frame}'")
        self._frame = self._model.getFrameId(tool)
        self._data = self._model.createData()
        pin.framesForwardKinematics(self._model, self._data, pin.neutral(self._model))
        self._base = self._data.oMf[self._model.getFrameId(base)].copy()
        self._samples: tuple[FloatArray, FloatArray] | None = None
        self._lower = spec.limit_array('lower')[:len(names)] + spec.position_margin
        self._upper = spec.limit_array('upper')[:len(names)] - spec.position_margin
        self._middle = 0.5 * (self._lower + self._upper)

    @property
    def base(self) -> tuple[FloatArray, FloatArray]:
        """Return where base_frame is in the URDF's first link: (3,) in m and (3, 3)."""
        return self._base.translation.copy(), self._base.rotation.copy()

    def forward(self, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the tool's position (3,) in m and rotation matrix (3, 3)."""
        pin.framesForwardKinematics(self._model, self._data, positions)
        pose = self._base.actInv(self._data.oMf[self._frame])
        return pose.translation.copy(), pose.rotation.copy()

    def jacobian(self, positions: FloatArray) -> FloatArray:
        """Return the (6, A) tool Jacobian, linear rows first, axes of the base frame."""
        jacobian = pin.computeFrameJacobian(self._model, self._data, positions, self._frame,
                                            pin.ReferenceFrame.LOCAL_WORLD_ALIGNED)
        turn = self._base.rotation.T
        return np.concatenate([turn @ jacobian[:3], turn @ jacobian[3:]])

    def solve(self, target: FloatArray, rotation: FloatArray, start: FloatArray,
              tolerance: float = 1e-4, attempts: int = _ATTEMPTS + 1) -> InverseSolution | None:
        """
        Return joints within the limits whose tool is at ``target`` with ``rotation``, or None.

        Damped least squares: the damping falls with the error, a joint that is pushed against its
        limit is left out, and the null space drifts towards the middle of the joints' ranges. The
        first attempt begins at ``start``, further ones at those of many random joints whose tool
        is nearest to the target. ``tolerance``: error in m and rad together. ``attempts``: 1 stays
        near the start. Deterministic.
        """
        goal, iterations = self._base * pin.SE3(rotation, target), 0
        for attempt, begin in enumerate(islice(self._beginnings(start, goal), attempts)):
            q, used = self._descend(begin, goal, tolerance)
            iterations += used
            if q is not None:
                return InverseSolution(q, attempt, iterations)
        return None

    def _beginnings(self, start: FloatArray, goal: pin.SE3) -> Iterator[FloatArray]:
        yield np.minimum(np.maximum(start, self._lower), self._upper)
        if self._samples is None:
            self._samples = self._make_samples()
        joints, poses = self._samples
        gaps = poses - _features(goal)
        distance = np.einsum('ij,ij->i', gaps, gaps)
        nearest = np.argpartition(distance, _ATTEMPTS)[:_ATTEMPTS]
        for index in nearest[np.argsort(distance[nearest])]:
            yield joints[index]

    def _make_samples(self) -> tuple[FloatArray, FloatArray]:
        """Return random joints (N, A) and what _features says of their tool poses, (N, 12)."""
        joints = np.random.default_rng(0).uniform(self._lower, self._upper,
                                                  (_SAMPLES, len(self._lower)))
        poses = np.empty((_SAMPLES, 12))
        for index, q in enumerate(joints):
            pin.framesForwardKinematics(self._model, self._data, q)
            poses[index] = _features(self._data.oMf[self._frame])
        return joints, poses

    def _descend(self, q: FloatArray, goal: pin.SE3,
                 tolerance: float) -> tuple[FloatArray | None, int]:
        """Return the joints of one attempt, or None, and its iterations."""
        model, data, frame = self._model, self._data, self._frame
        before = np.inf
        for iteration in range(_ATTEMPT_ITERATIONS):
            pin.computeJointJacobians(model, data, q)
            place = pin.updateFramePlacement(model, data, frame)
            error = pin.log6(place.actInv(goal)).vector
            size = float(error @ error)
            if size < tolerance * tolerance:
                return q, iteration
            if iteration % 4 == 3:  # an attempt that does not come closer is given up
                if size > 0.5 * before:
                    return None, iteration
                before = size
            jacobian = pin.getFrameJacobian(model, data, frame, pin.ReferenceFrame.LOCAL)
            q = self._iterate(q, jacobian, error, size)
        return None, _ATTEMPT_ITERATIONS

    def _iterate(self, q: FloatArray, jacobian: FloatArray, error: FloatArray,
                 size: float) -> FloatArray:
        """Return joints (A,) nearer to the goal; ``error`` (6,) has the squared norm ``size``."""
        delta = self._least_squares(q, jacobian, error, size)
        wanted = q + delta
        result = np.minimum(np.maximum(wanted, self._lower), self._upper)
        stuck = (result != wanted) & (result == q)
        if stuck.any():
            delta = self._least_squares(q, jacobian * ~stuck, error, size) * ~stuck
        largest = max(delta.max(), -delta.min())
        if largest > _LONGEST_STEP:
            delta *= _LONGEST_STEP / largest
        return np.minimum(np.maximum(q + delta, self._lower), self._upper)

    def _least_squares(self, q: FloatArray, jacobian: FloatArray, error: FloatArray,
                       size: float) -> FloatArray:
        square = jacobian @ jacobian.T
        square.flat[::7] += 1e-7 + 0.01 * min(size, 1.0)
        if len(q) == 6:
            return np.asarray(jacobian.T @ dposv(square, error)[1])
        drift = (0.05 * min(1.0, size)) * (self._middle - q)
        return np.asarray(drift + jacobian.T @ dposv(square, error - jacobian @ drift)[1])

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


def _features(pose: pin.SE3) -> FloatArray:
    """Return a pose as 12 numbers whose distance is a measure of how far poses are apart."""
    return np.concatenate([pose.translation, (_METRES / np.sqrt(2)) * pose.rotation.ravel()])
