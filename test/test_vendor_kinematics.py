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
"""Every arm's tool pose agrees with its vendor's published numbers; its inverse is found."""

import dataclasses
from xml.etree import ElementTree

from faster_ros.cli.ik_benchmark import benchmark
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import config_path, load_robot_spec
import numpy as np
import pytest

ROBOTS = sorted(file.stem for file in config_path('config').glob('*.yaml'))
ARMS = {f'{robot} {name}'.strip(): arm for robot in ROBOTS
        for name, (arm, _) in load_robot_spec(robot).parts.items()}
H = np.pi / 2
# d1, a2, a3, d4, d5, d6 in m (universal-robots.com, "DH parameters for calculations of
# kinematics and dynamics").
UR = {
    'ur3e': (0.15185, -0.24355, -0.2132, 0.13105, 0.08535, 0.0921),
    'ur5e': (0.1625, -0.425, -0.3922, 0.1333, 0.0997, 0.0996),
    'ur10e': (0.1807, -0.6127, -0.57155, 0.17415, 0.11985, 0.11655),
    'ur16e': (0.1807, -0.4784, -0.36, 0.17415, 0.11985, 0.11655),
    'ur20': (0.2363, -0.8620, -0.7287, 0.2010, 0.1593, 0.1543),
}
# a, alpha, d, offset of theta: Craig's convention (frankaemika.github.io, "Denavit-Hartenberg").
FRANKA = [(0, 0, 0.333, 0), (0, -H, 0, 0), (0, H, 0.316, 0), (0.0825, H, 0, 0),
          (-0.0825, -H, 0.384, 0), (0, H, 0, 0), (0.088, H, 0, 0), (0, 0, 0.107, -np.pi / 4)]
# The same for Piper (piper_sdk 0.6.2, kinematics/piper_fk.py, dh_is_offset 1).
PIPER = [(0, 0, 0.123, 0), (0, -H, 0, np.radians(-172.22)),
         (0.28503, 0, 0, np.radians(-102.78)), (-0.02198, H, 0.25075, 0), (0, -H, 0, 0),
         (0, H, 0.091, 0)]


def turn(axis, angle):
    """Return a 4 x 4 rotation about x (0) or z (2)."""
    pose = np.eye(4)
    first, second = {0: (1, 2), 2: (0, 1)}[axis]
    pose[first, first] = pose[second, second] = np.cos(angle)
    pose[second, first] = np.sin(angle)
    pose[first, second] = -np.sin(angle)
    return pose


def shift(x, z):
    """Return a 4 x 4 translation."""
    pose = np.eye(4)
    pose[0, 3], pose[2, 3] = x, z
    return pose


def craig(rows, angles):
    """Return the pose of a modified DH table."""
    pose = np.eye(4)
    for (a, alpha, d, offset), angle in zip(rows, angles):
        pose = pose @ turn(0, alpha) @ shift(a, 0) @ turn(2, angle + offset) @ shift(0, d)
    return pose


def classic(table, angles):
    """Return the pose of a UR's DH table, seen from base_link, which is turned by pi to it."""
    d1, a2, a3, d4, d5, d6 = table
    rows = [(0, H, d1), (a2, 0, 0), (a3, 0, 0), (0, H, d4), (0, -H, d5), (0, 0, d6)]
    pose = turn(2, np.pi)
    for (a, alpha, d), angle in zip(rows, angles):
        pose = pose @ turn(2, angle) @ shift(a, d) @ turn(0, alpha)
    return pose


def published(robot, joints):
    """Return the tool pose by the vendor's table."""
    if robot in UR:
        return classic(UR[robot], joints)
    if 'piper' in robot or 'cobot_magic' in robot:
        return craig(PIPER, joints) @ shift(0, 0.1358)
    return craig(FRANKA, [*joints, 0.0]) @ shift(0, 0.1034)


@pytest.mark.parametrize('robot', ARMS)
def test_the_tool_pose_agrees_with_the_published_table(robot):
    spec = ARMS[robot]
    kinematics, rng = Kinematics(spec), np.random.default_rng(0)
    arm = len(spec.arm_joint_names)
    for _ in range(50):
        joints = rng.uniform(spec.limit_array('lower')[:arm], spec.limit_array('upper')[:arm])
        position, rotation = kinematics.forward(joints)
        wanted = published(robot, joints)
        np.testing.assert_allclose(position, wanted[:3, 3], atol=1e-6)
        np.testing.assert_allclose(rotation, wanted[:3, :3], atol=1e-6)


def test_a_ur5e_stretched_out_ends_where_its_lengths_say():
    position, _ = Kinematics(load_robot_spec('ur5e')).forward(np.zeros(6))
    np.testing.assert_allclose(position, [0.8172, 0.2329, 0.0628], atol=1e-6)


def test_a_piper_at_zero_is_where_its_sdk_says():
    position, rotation = Kinematics(load_robot_spec('piper')).forward(np.zeros(6))
    flange = position - 0.1358 * rotation[:, 2]
    np.testing.assert_allclose(flange, [0.056128, 0.0, 0.213266], atol=1e-6)


def test_the_arms_of_a_cobot_magic_stand_where_its_description_says():
    for arm, side in (ARMS['cobot_magic left'], 0.3), (ARMS['cobot_magic right'], -0.3):
        own = Kinematics(arm)
        shared = Kinematics(dataclasses.replace(arm, base_frame='base_link'))
        joints = arm.home_positions[:6] + 0.1
        np.testing.assert_allclose(shared.forward(joints)[0] - own.forward(joints)[0],
                                   [0.23, side, 0.78], atol=1e-9)


def test_poses_and_their_inverse_are_seen_from_the_base_frame():
    spec = ARMS['cobot_magic left']
    turned = Kinematics(dataclasses.replace(spec, base_frame='camera_f_color_optical_frame'))
    joints = np.array([0.1, 0.5, -1.0, 0.3, 0.4, 0.5])
    position, rotation = turned.forward(joints)
    solution = turned.solve(position, rotation, joints + 0.02)
    assert solution is not None
    np.testing.assert_allclose(turned.forward(solution.positions)[0], position, atol=1e-4)
    step = np.eye(6)[3] * 1e-6
    slope = (turned.forward(joints + step)[0] - turned.forward(joints - step)[0]) / 2e-6
    np.testing.assert_allclose(turned.jacobian(joints)[:3, 3], slope, atol=1e-6)


@pytest.mark.parametrize('robot', ARMS)
def test_the_limits_of_urdf_and_robot_file_are_the_same(robot):
    spec = ARMS[robot]
    tree = ElementTree.parse(config_path(f'urdf/{spec.urdf}'))
    joints = {joint.get('name'): joint.find('limit') for joint in tree.iter('joint')}
    for name in spec.arm_joint_names:
        limits, described = spec.joints[name], joints[name].attrib
        for field in ('lower', 'upper', 'velocity'):
            assert float(described[field]) == pytest.approx(getattr(limits, field), abs=2e-6), (
                name, field)
    assert all('filename' not in element.attrib for element in tree.iter())  # no meshes


@pytest.mark.parametrize('robot', ['fr3', 'panda', 'ur3e', 'ur5e', 'ur10e', 'ur16e', 'ur20',
                                   'piper'])
def test_the_inverse_is_found_for_99_of_100_reachable_poses_in_milliseconds(robot):
    result = benchmark(robot, 200)
    assert result.solved >= 0.99, result
    # 2 ms is the aim on a free core; this allows for a machine that does other things.
    assert result.p99_ms <= 8.0, result


def test_an_inverse_keeps_the_limits_and_reaches_its_target():
    spec = load_robot_spec('fr3')
    kinematics, rng = Kinematics(spec), np.random.default_rng(5)
    lower, upper = spec.limit_array('lower')[:7], spec.limit_array('upper')[:7]
    for _ in range(50):
        target, rotation = kinematics.forward(rng.uniform(lower, upper))
        solution = kinematics.solve(target, rotation, spec.home_positions[:7])
        if solution is None:
            continue  # within the margin of a limit
        position, attitude = kinematics.forward(solution.positions)
        np.testing.assert_allclose(position, target, atol=1e-4)
        np.testing.assert_allclose(attitude, rotation, atol=2e-4)
        assert np.all(solution.positions >= lower + spec.position_margin)
        assert np.all(solution.positions <= upper - spec.position_margin)


def test_an_inverse_stays_near_its_start_and_an_unreachable_pose_has_none():
    spec = load_robot_spec('ur5e')
    kinematics, home = Kinematics(spec), spec.home_positions[:6]
    target, rotation = kinematics.forward(home + 0.05)
    solution = kinematics.solve(target, rotation, home)
    assert solution is not None
    assert solution.attempt == 0
    np.testing.assert_allclose(solution.positions, home + 0.05, atol=1e-3)
    assert kinematics.solve(np.array([2.0, 0.0, 0.5]), rotation, home) is None
