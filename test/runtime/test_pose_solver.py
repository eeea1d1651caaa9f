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
from faster_ros.runtime.trajectories import StraightLines
import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

UR5E, COBOT = load_robot_spec('ur5e'), load_robot_spec('cobot_magic')
MS = 1_000_000


def wander(spec, rows: int = 16, seed: int = 0, speed: float = 0.015) -> np.ndarray:
    """Return smooth joints (H, D) away from limits and from a straight wrist; rad in a row."""
    middle = 0.5 * (spec.limit_array('lower') + spec.limit_array('upper'))
    begin = np.where(spec.arm_mask, 0.4 * spec.home_positions + 0.6 * middle + 0.3, middle)
    slope = np.random.default_rng(seed).uniform(-speed, speed, len(begin)) * spec.arm_mask
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


@pytest.mark.parametrize('robot', ['ur5e', 'fr3', 'cobot_magic'])
@pytest.mark.parametrize('seed', range(3))
def test_between_rows_the_tool_goes_straight_and_turns_by_slerp(robot, seed):
    spec = load_robot_spec(robot)
    chunk = poses(spec, wander(spec, rows=4, seed=seed, speed=0.1))
    solved = PoseSolver(spec).to_joints(chunk, wander(spec)[0])
    times = solved.start_ns + solved.step_ns * np.arange(len(solved.actions))
    assert times[-1] == pytest.approx(chunk.start_ns + 3 * chunk.step_ns, abs=10)
    due = chunk.start_ns + chunk.step_ns * np.arange(4)
    fine = np.linspace(due[0], due[-1], 200).astype(np.int64)
    reached = poses(spec, StraightLines(times, solved.actions).at_all(fine))
    for tool, rows in chunk.tools.items():
        places = np.column_stack([np.interp(fine, due, column) for column in rows[:, :3].T])
        assert np.abs(reached.tools[tool][:, :3] - places).max() < 5e-4
        turns = Slerp(due, Rotation.from_quat(rows[:, 3:]))(np.minimum(fine, due[-1]))
        off = (turns.inv() * Rotation.from_quat(reached.tools[tool][:, 3:])).magnitude()
        assert off.max() < 1e-3


def test_a_gripper_is_told_by_rows_where_poses_are_added_between_them():
    chunk = poses(UR5E, wander(UR5E, rows=3, speed=0.2))
    chunk = replace(chunk, grippers={'robotiq_85_left_knuckle_joint': np.array([0.0, 0.8, 0.0])})
    told = PoseSolver(UR5E).to_joints(chunk, wander(UR5E)[0]).actions[:, -1]
    parts = (len(told) - 1) // 2
    assert parts > 1
    assert told.tolist() == [0.0] * parts + [0.8] * parts + [0.0]


def test_a_way_that_leaves_reach_between_two_rows_within_it_is_refused_with_both_rows():
    rows = wander(UR5E, rows=2)
    far = poses(UR5E, rows).tools[UR5E.tool_frame]
    far[1, :2] *= -1.0  # the other side of the base, through its column
    chunk = replace(poses(UR5E, rows), tools={UR5E.tool_frame: far})
    with pytest.raises(ValueError, match='on the way from row 0 to row 1'):
        PoseSolver(UR5E).to_joints(chunk, rows[0])


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
     'pose_out_of_reach: .* cannot go to .* m in base_link, on the way from row 2 to row 3'),
    (changed(0, [0, 1, 2], [3.0, 0.0, 0.5]),
     r'pose_out_of_reach: .* cannot go to \(3\.000, 0\.000, 0\.500\) m in base_link, row 0'),
    (changed(5, 6, 3.0), 'in row 5; expected finite numbers and a quaternion of norm 1'),
    (changed(5, slice(3, 7), 0.0), 'in row 5; expected finite numbers and a quaternion of norm'),
    (changed(0, 1, np.nan), 'in row 0; expected finite numbers'),
    (replace(ur_chunk()[0], frame='world'), "is in frame 'world'; expected 'base_link'"),
    (replace(ur_chunk()[0], tools={'tcp2': ur_chunk()[0].tools[UR5E.tool_frame]}),
     'chunk of poses has robotiq_85_left_knuckle_joint, tcp2; expected'),
    (replace(ur_chunk()[0], step_ns=10**11), 'lasts 1500 s; expected at most 60 s'),
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
