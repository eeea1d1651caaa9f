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
"""Chunks of tool poses become joints that reach them, or are refused with the reason."""

from dataclasses import replace

from faster_ros.interfaces import PoseChunk
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.pose_solver import PoseSolver
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

UR5E, COBOT = load_robot_spec('ur5e'), load_robot_spec('cobot_magic')
MS = 1_000_000


def wander(spec, rows: int = 16, seed: int = 0) -> np.ndarray:
    """Return smooth joints (H, D) away from limits and from a straight wrist."""
    middle = 0.5 * (spec.limit_array('lower') + spec.limit_array('upper'))
    begin = np.where(spec.arm_mask, 0.4 * spec.home_positions + 0.6 * middle + 0.3, middle)
    slope = np.random.default_rng(seed).uniform(-0.015, 0.015, len(begin)) * spec.arm_mask
    return begin + np.arange(rows)[:, None] * slope


def poses(spec, joints) -> PoseChunk:
    """Return what the tools of these joints (H, D) do, seen from the robot's base frame."""
    tools, grippers = {}, {}
    for arm, part in spec.parts.values():
        kinematics = Kinematics(replace(arm, base_frame=spec.base_frame))
        rows = [kinematics.forward(row[part][:-1]) for row in joints]
        tools[arm.tool_frame] = np.array([
            [*place, *Rotation.from_matrix(turn).as_quat()] for place, turn in rows])
        grippers[arm.gripper.joint] = joints[:, part][:, -1]
    return PoseChunk(10**9, 100 * MS, spec.base_frame, tools, grippers)


def ur_chunk() -> tuple[PoseChunk, np.ndarray]:
    joints = wander(UR5E)
    return poses(UR5E, joints), joints


@pytest.mark.parametrize('robot', ['ur5e', 'fr3', 'cobot_magic'])
@pytest.mark.parametrize('seed', range(3))
def test_poses_of_joints_come_back_as_joints_with_these_poses(robot, seed):
    spec = load_robot_spec(robot)
    joints = wander(spec, seed=seed)
    chunk = poses(spec, joints)
    solved = PoseSolver(spec).to_joints(chunk, joints[0])
    assert (solved.start_ns, solved.step_ns, solved.names) == (10**9, 100 * MS, spec.joint_names)
    again = poses(spec, solved.actions)
    for tool, wanted in chunk.tools.items():
        np.testing.assert_allclose(again.tools[tool][:, :3], wanted[:, :3], atol=2e-4)
        turn = (Rotation.from_quat(wanted[:, 3:]).inv()
                * Rotation.from_quat(again.tools[tool][:, 3:]))
        assert turn.magnitude().max() < 2e-4
    assert np.abs(np.diff(solved.actions, axis=0)).max() < 0.1  # continuous
    if spec.robot != 'fr3':  # which has a joint more than a pose
        np.testing.assert_allclose(solved.actions, joints, atol=5e-3)


def test_the_sign_of_a_quaternion_means_nothing():
    chunk, joints = ur_chunk()
    flipped = chunk.tools[UR5E.tool_frame]
    signs = np.where(np.arange(16) % 2, -1.0, 1.0)[:, None]
    other = np.column_stack([flipped[:, :3], signs * flipped[:, 3:]])
    solver = PoseSolver(UR5E)
    np.testing.assert_allclose(
        solver.to_joints(replace(chunk, tools={UR5E.tool_frame: other}), joints[0]).actions,
        solver.to_joints(chunk, joints[0]).actions, atol=1e-9)


def changed(row: int, columns, values) -> PoseChunk:
    chunk, _ = ur_chunk()
    tool = chunk.tools[UR5E.tool_frame].copy()
    tool[row, columns] = values
    return replace(chunk, tools={UR5E.tool_frame: tool})


@pytest.mark.parametrize('chunk, message', [
    (changed(3, [0, 1, 2], [3.0, 0.0, 0.5]),
     r'pose_out_of_reach: .* cannot go to \(3\.000, 0\.000, 0\.500\) m in base_link, row 3'),
    (changed(5, 6, 3.0), 'in row 5; expected finite numbers and a quaternion of norm 1'),
    (changed(5, slice(3, 7), 0.0), 'in row 5; expected finite numbers and a quaternion of norm'),
    (changed(0, 1, np.nan), 'in row 0; expected finite numbers'),
    (replace(ur_chunk()[0], frame='world'), "is in frame 'world'; expected 'base_link'"),
    (replace(ur_chunk()[0], tools={'tcp2': ur_chunk()[0].tools[UR5E.tool_frame]}),
     'chunk of poses has robotiq_85_left_knuckle_joint, tcp2; expected'),
    (replace(ur_chunk()[0], grippers={}), 'expected .*robotiq_85_left_knuckle_joint'),
])
def test_a_chunk_that_cannot_be_followed_is_refused_with_the_reason(chunk, message):
    with pytest.raises(ValueError, match=message):
        PoseSolver(UR5E).to_joints(chunk, wander(UR5E)[0])


def test_a_chunk_far_from_where_the_arm_is_is_a_jump():
    chunk, joints = ur_chunk()
    with pytest.raises(ValueError, match='pose_jump: .* row 0, needs a joint to jump by'):
        PoseSolver(UR5E).to_joints(chunk, joints[0] + 0.6 * UR5E.arm_mask)


def test_a_chunk_before_any_joint_state_and_one_for_a_base_are_refused():
    with pytest.raises(ValueError, match='came before any joint state'):
        PoseSolver(UR5E).to_joints(ur_chunk()[0], None)
    with pytest.raises(ValueError, match='mobile base, which chunks of tool poses cannot drive'):
        PoseSolver(load_robot_spec('cobot_magic_mobile'))
