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
"""A leader arm in a scripted hand: what follows it late still lifts the cube."""

from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.scripted_leader import ScriptedLeader
from faster_ros.sim.simulator import Simulator
import numpy as np
import pytest

PERIOD_S = 0.02
LONGEST_S = 15.0


def led(spec, seed, unsteadiness, late=5):
    """
    Let an arm follow the leader; returns seconds until the cube is up, and the leader's way.

    ``late``: periods by which the arm follows.
    """
    simulator = Simulator(spec)
    simulator.reset(seed)
    leader = ScriptedLeader(spec, PERIOD_S, unsteadiness)
    leader.begin(simulator.state()[0], seed)
    poses = [leader.pose.copy()] * (late + 2)
    while not simulator.succeeded() and len(poses) * PERIOD_S < LONGEST_S:
        cube = simulator.cube_position(simulator.target)
        poses.append(leader.step(simulator.state()[0], cube).copy())
        before, target = poses[-2 - late:len(poses) - late]
        for share in np.linspace(0.2, 1.0, round(PERIOD_S / simulator.timestep_s)):
            simulator.advance(before + share * (target - before),
                              spec.arm_mask * (target - before) / PERIOD_S)
    return len(poses) * PERIOD_S, np.array(poses)


@pytest.mark.slow
@pytest.mark.parametrize(('robot', 'late'), [('fr3', 5), ('fr3', 15), ('ur5e', 5)])
def test_an_arm_that_follows_late_lifts_the_cube_in_one_grasp(robot, late):
    spec = load_robot_spec(robot)
    for seed in range(3):
        seconds, poses = led(spec, seed, 0.08, late)
        assert seconds < LONGEST_S
        shut = np.abs(poses[:, ~spec.arm_mask] - spec.gripper.open)
        assert (np.diff(shut, axis=0) >= 0).all()  # no cube is let go
        speed = np.abs(np.diff(poses[:, spec.arm_mask], axis=0)).max() / PERIOD_S
        assert speed < 1.5  # rad/s


def test_the_hand_strays_the_same_way_for_the_same_seed():
    spec = load_robot_spec('fr3')
    ways = [led(spec, 4, unsteadiness)[1] for unsteadiness in (0.08, 0.08, 0.0)]
    np.testing.assert_array_equal(ways[0], ways[1])
    some = min(len(way) for way in ways)
    assert np.abs(ways[0][:some] - ways[2][:some]).max() > 0.01


def test_the_leader_can_begin_low_beside_the_cube_with_the_hand_open_or_shut():
    spec, cube = load_robot_spec('fr3'), np.array([0.5, 0.1, 0.02])
    kinematics, places, fingers = Kinematics(spec), [], set()
    for seed in range(6):
        leader = ScriptedLeader(spec, PERIOD_S, 0.08)
        leader.begin(spec.home_positions, seed)
        leader.set_out(cube)
        ways = [leader.pose.copy()]
        while not leader.go_to_start():
            ways.append(leader.pose.copy())
        assert np.abs(np.diff(ways, axis=0)).max() / PERIOD_S < 1.0  # rad/s
        places.append(kinematics.forward(leader.pose[spec.arm_mask])[0])
        fingers.add(float(leader.pose[-1]))
    assert fingers == {spec.gripper.open, spec.gripper.closed}
    away = np.array(places) - cube
    assert np.linalg.norm(away[:, :2], axis=1).max() < 0.15
    assert np.linalg.norm(away[:, :2], axis=1).mean() > 0.02
    assert (away[:, 2] > 0.03).all() and (away[:, 2] < 0.25).all()


def test_the_hand_shuts_only_when_the_arm_has_come():
    spec, cube = load_robot_spec('fr3'), np.array([0.5, 0.1, 0.02])
    leader = ScriptedLeader(spec, PERIOD_S, 0.0)
    leader.begin(spec.home_positions, 0)
    for _ in range(round(LONGEST_S / PERIOD_S)):
        assert leader.step(spec.home_positions, cube)[-1] == spec.gripper.open
    arrived = np.append(leader.pose[:-1], spec.gripper.open)
    assert leader.step(arrived, cube)[-1] < spec.gripper.open


def test_a_robot_of_two_arms_has_no_scripted_leader():
    with pytest.raises(ValueError, match="robot 'cobot_magic': the scripted leader leads robots "):
        ScriptedLeader(load_robot_spec('cobot_magic'), PERIOD_S, 0.1)
