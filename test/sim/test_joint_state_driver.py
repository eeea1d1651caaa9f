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
"""The doubles of AgileX's drivers keep the rules that their module names, hazards included."""

from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.joint_state_driver import JointStateDriver
from faster_ros.sim.trajectory_controller import CommandRejected
import numpy as np
import pytest

SPEC = load_robot_spec('piper')
NAMES = SPEC.joint_names
START = np.array([0.2, 1.0, -1.0, 0.1, 0.2, 0.3, 0.02])
S = 1_000_000_000


def settled(driver):
    driver.sample(S)
    return driver.sample(100 * S)[0]


def test_joints_are_found_by_name_in_any_order():
    driver = JointStateDriver(NAMES, START)
    target = START + 0.05
    order = np.random.default_rng(0).permutation(7)
    driver.set_command([NAMES[place] for place in order], target[order], [])
    np.testing.assert_allclose(settled(driver), target)


def test_piper_ros_sends_a_joint_that_is_not_named_to_zero():
    driver = JointStateDriver(NAMES, START)
    driver.set_command(['joint1', 'joint_2'], [0.2, 1.0], [])
    np.testing.assert_allclose(settled(driver), [0.2, 0, 0, 0, 0, 0, 0.02])


def test_agx_arm_ros_leaves_a_joint_that_is_not_named():
    driver = JointStateDriver(NAMES, START, missing_is_zero=False)
    driver.set_command(['joint1'], [0.5], [])
    np.testing.assert_allclose(settled(driver), [0.5, *START[1:]])


@pytest.mark.parametrize(('velocities', 'percent'), [
    ([], 100), ([0.0] * 7, 100), ([50.0] * 6, 100), ([0.0] * 6 + [50.0], 50),
    ([0.0] * 6 + [400.0], 100)])
def test_the_speed_is_the_last_of_seven_velocities_in_percent(velocities, percent):
    driver = JointStateDriver(NAMES, np.zeros(7))
    driver.set_command(NAMES, [3.0, 0, 0, 0, 0, 0, 0], velocities)
    driver.sample(S)
    positions, speed = driver.sample(S + S // 10)
    assert speed[0] == pytest.approx(3.0 * percent / 100)
    assert positions[0] == pytest.approx(0.3 * percent / 100)


def test_the_arm_holds_the_last_target_and_the_gripper_its_stroke():
    driver = JointStateDriver(NAMES, START)
    driver.set_command(NAMES, [*START[:-1], 0.5], [])
    np.testing.assert_allclose(settled(driver), [*START[:-1], 0.08])
    np.testing.assert_allclose(driver.sample(1000 * S)[1], 0.0)


def test_what_would_break_the_real_node_is_refused():
    driver = JointStateDriver(NAMES, START)
    with pytest.raises(CommandRejected, match='expected as many positions as names'):
        driver.set_command(NAMES, [0.0], [])
    with pytest.raises(CommandRejected, match='expected finite positions'):
        driver.set_command(NAMES, [float('nan')] * 7, [])
    np.testing.assert_allclose(settled(driver), START)
