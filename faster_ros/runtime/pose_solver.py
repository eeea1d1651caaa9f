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
Chunks of tool poses turned into chunks of joint targets, for policies that think in poses.

Each row is solved from the row before it by damped least squares, the first one from the last
command, so the joints go on continuously and stay in the branch in which the arm is. Between two
rows the tool goes straight and turns by slerp: where a straight line of joints would leave that
path, poses on it are added. All that follows a joint chunk (seams, gates, limits) follows. A pose
that cannot be reached like this refuses the whole chunk: nothing is clipped or left out. Called by
``control_node``.
"""

from __future__ import annotations

from dataclasses import replace

from faster_ros.interfaces import ActionChunk, FloatArray, PoseChunk
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.action_timeline import LONGEST_CHUNK_S
import numpy as np
from scipy.spatial.transform import Rotation, Slerp

_LARGEST_JUMP_RAD = 0.5  # of one joint between two rows
_NORM_TOLERANCE = 1e-3   # of a quaternion
_LONGEST_TURN_RAD = 0.1  # of the tool between two poses that are solved
_LONGEST_WAY_M = 0.05    # likewise
_MOST_PARTS = 10         # of a row; rows further apart than these make are jumps


class PoseSolver:
    """The kinematics of each arm, all seen from the robot's base frame; not thread-safe."""

    def __init__(self, spec: RobotSpec) -> None:
        if spec.base is not None:
            raise ValueError(f'robot {spec.robot} has a mobile base, which chunks of tool poses '
                             'cannot drive; expected a robot file without one')
        self._spec = spec
        self._arms = {
            arm.tool_frame: (arm, part, Kinematics(replace(arm, base_frame=spec.base_frame)))
            for arm, part in spec.parts.values()}
        if len(self._arms) < len(spec.parts):
            raise ValueError(f'two arms of robot {spec.robot} have the same tool_frame; expected '
                             'one of its own for each')

    def to_joints(self, chunk: PoseChunk, start: FloatArray | None) -> ActionChunk:
        """Return the joint chunk; ``start``: joints (D,) to go on from; raises ValueError."""
        self._check_names(chunk)
        length_s = (len(next(iter(chunk.tools.values()))) - 1) * chunk.step_ns * 1e-9
        if length_s > LONGEST_CHUNK_S:
            raise ValueError(f'chunk of poses lasts {length_s:g} s; expected at most '
                             f'{LONGEST_CHUNK_S:g} s; are its times in another unit?')
        if start is None:
            raise ValueError('chunk of poses came before any joint state, from which it would go '
                             'on')
        turns = {tool: _rotations(tool, poses) for tool, poses in chunk.tools.items()}
        parts = max(_parts(poses, turns[tool]) for tool, poses in chunk.tools.items())
        rows = len(next(iter(chunk.tools.values())))
        actions = np.empty(((rows - 1) * parts + 1, len(start)))
        held = np.arange(len(actions)) // parts  # a gripper is told by rows, never in between
        for tool, (arm, part, kinematics) in self._arms.items():
            poses = _between(chunk.tools[tool], turns[tool], parts)
            actions[:, part] = np.column_stack([
                self._follow(tool, *poses, parts, kinematics, start[part][:-1]),
                chunk.grippers[arm.gripper.joint][held]])
        return ActionChunk(chunk.start_ns, chunk.step_ns // parts, actions, self._spec.joint_names)

    def _check_names(self, chunk: PoseChunk) -> None:
        spec = self._spec
        if chunk.frame != spec.base_frame:
            raise ValueError(f"chunk of poses is in frame '{chunk.frame}'; expected "
                             f"'{spec.base_frame}'")
        wanted = {*self._arms, *(gripper.joint for gripper in spec.grippers)}
        given = {*chunk.tools, *chunk.grippers}
        if given != wanted:
            raise ValueError(f"chunk of poses has {', '.join(sorted(given)) or 'no names'}; "
                             f"expected {', '.join(sorted(wanted))}")

    def _follow(self, tool: str, places: FloatArray, rotations: FloatArray, parts: int,
                kinematics: Kinematics, joints: FloatArray) -> FloatArray:
        """Return the joints (N, A) of an arm, continuous from ``joints`` (A,)."""
        solved = np.empty((len(places), len(joints)))
        before = joints
        for index, (place, rotation) in enumerate(zip(places, rotations)):
            solution = kinematics.solve(place, rotation, joints, attempts=1)
            where = ', '.join(f'{value:.3f}' for value in place)
            row = f'row {index // parts}' if index % parts == 0 else (
                f'on the way from row {index // parts} to row {index // parts + 1}')
            if solution is None:
                raise ValueError(
                    f'pose_out_of_reach: {tool} cannot go to ({where}) m in '
                    f'{self._spec.base_frame}, {row}, from where it is within the limits')
            jump = float(np.abs(solution.positions - before).max())
            if jump > _LARGEST_JUMP_RAD:
                raise ValueError(
                    f'pose_jump: {tool} at ({where}) m, {row}, needs a joint to jump by '
                    f'{jump:.2f} rad; limit {_LARGEST_JUMP_RAD} rad')
            solved[index] = joints = solution.positions
            if index % parts == 0:
                before = joints
        return solved


def _rotations(tool: str, poses: FloatArray) -> Rotation:
    """Return the rotations of poses (H, 7), or the ValueError that names the row."""
    norms = np.linalg.norm(poses[:, 3:], axis=1)
    bad = ~np.isfinite(poses).all(axis=1) | ~(np.abs(norms - 1.0) <= _NORM_TOLERANCE)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f'{tool} has the pose {poses[row].tolist()} in row {row}; expected '
                         'finite numbers and a quaternion of norm 1')
    return Rotation.from_quat(poses[:, 3:])


def _parts(poses: FloatArray, turns: Rotation) -> int:
    """Return into how many parts each row's way to the next one is cut."""
    if len(poses) == 1:
        return 1
    turn = (turns[:-1].inv() * turns[1:]).magnitude().max() / _LONGEST_TURN_RAD
    way = np.linalg.norm(np.diff(poses[:, :3], axis=0), axis=1).max() / _LONGEST_WAY_M
    return int(np.clip(np.ceil(max(turn, way)), 1, _MOST_PARTS))


def _between(poses: FloatArray, turns: Rotation, parts: int) -> tuple[FloatArray, FloatArray]:
    """Return places (N, 3) on straight lines between rows and rotations (N, 3, 3) by slerp."""
    if parts == 1:
        return poses[:, :3], np.asarray(turns.as_matrix())
    rows = np.arange(len(poses))
    fine = np.arange((len(poses) - 1) * parts + 1) / parts
    places = np.column_stack([np.interp(fine, rows, column) for column in poses[:, :3].T])
    return places, np.asarray(Slerp(rows, turns)(fine).as_matrix())
