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
"""Kinematics of our FR3 against published numbers, numeric derivatives and its own inverse."""

import dataclasses

from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import load_robot_spec, RobotSpec
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
DOWN = np.diag([1.0, -1.0, -1.0])


def modified_dh(angles):
    """Return the FR3's tool pose from its published DH table (Craig's convention)."""
    rows = [(0, 0, 0.333), (0, -np.pi / 2, 0), (0, np.pi / 2, 0.316), (0.0825, np.pi / 2, 0),
            (-0.0825, -np.pi / 2, 0.384), (0, np.pi / 2, 0), (0.088, np.pi / 2, 0),
            (0, 0, 0.107)]
    # After the flange the hand is turned by -45 degrees; its TCP is 0.1034 m ahead.
    angles = [*angles, -np.pi / 4]
    pose = np.eye(4)
    for (a, alpha, d), theta in zip(rows, angles):
        ct, st, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
        pose = pose @ np.array([[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa],
                                [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]])
    return pose @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.1034], [0, 0, 0, 1]])


def random_joints(rng):
    """Return arm joints inside the limits."""
    return rng.uniform(SPEC.limit_array('lower')[:-1], SPEC.limit_array('upper')[:-1])


def test_the_tool_pose_agrees_with_the_published_dh_table():
    kinematics, rng = Kinematics(SPEC), np.random.default_rng(0)
    for _ in range(50):
        joints = random_joints(rng)
        position, rotation = kinematics.forward(joints)
        wanted = modified_dh(joints)
        np.testing.assert_allclose(position, wanted[:3, 3], atol=1e-6)
        np.testing.assert_allclose(rotation, wanted[:3, :3], atol=1e-6)


def test_the_jacobian_is_the_derivative_of_the_position():
    kinematics, rng = Kinematics(SPEC), np.random.default_rng(1)
    joints = random_joints(rng)
    jacobian = kinematics.jacobian(joints)
    for joint in range(7):
        step = np.eye(7)[joint] * 1e-6
        slope = (kinematics.forward(joints + step)[0] - kinematics.forward(joints - step)[0])
        np.testing.assert_allclose(jacobian[:3, joint], slope / 2e-6, atol=1e-6)


def test_steps_over_the_table_reach_their_targets_within_the_limits():
    kinematics, rng = Kinematics(SPEC), np.random.default_rng(2)
    home = SPEC.home_positions[:-1]
    for _ in range(20):
        joints = home
        start, _ = kinematics.forward(home)
        goal = rng.uniform((0.35, -0.25, 0.02), (0.65, 0.25, 0.35))
        for share in np.linspace(0, 1, 15):
            joints = kinematics.step_towards(joints, start + share * (goal - start), DOWN, home)
        position, rotation = kinematics.forward(joints)
        np.testing.assert_allclose(position, goal, atol=1e-3)
        np.testing.assert_allclose(rotation, DOWN, atol=5e-3)
        assert np.all(joints > SPEC.limit_array('lower')[:-1])
        assert np.all(joints < SPEC.limit_array('upper')[:-1])


def test_a_robot_whose_urdf_lacks_a_joint_or_frame_is_refused():
    joints = {name.replace('joint3', 'joint33'): limits for name, limits in SPEC.joints.items()}
    with pytest.raises(ValueError, match=r'urdf/fr3\.urdf lacks joint fr3_joint33'):
        Kinematics(dataclasses.replace(SPEC, joints=joints))
    with pytest.raises(ValueError, match="lacks the frame 'tcp'"):
        Kinematics(RobotSpec.from_dict(SPEC.to_dict() | {'tool_frame': 'tcp'}, 'test'))
        Kinematics(dataclasses.replace(SPEC, tool_frame='tcp'))


def test_a_prefix_before_the_joints_leaves_the_kinematics_as_they_are():
    left = load_robot_spec('fr3', 'left_', 'left')
    home = SPEC.home_positions[:7]
    for plain, prefixed in zip(Kinematics(SPEC).forward(home), Kinematics(left).forward(home)):
        np.testing.assert_array_equal(plain, prefixed)
