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
"""The forward controller's double keeps the rules that its module names."""

from faster_ros.sim.forward_controller import ForwardController
from faster_ros.sim.trajectory_controller import CommandRejected
import numpy as np
import pytest

START = np.array([0.1, -0.2])
S = 1_000_000_000


def test_nothing_moves_before_the_first_command():
    for velocity in (False, True):
        controller = ForwardController(START, velocity)
        for now_ns in (0, S, 2 * S):
            positions, velocities = controller.sample(now_ns)
            np.testing.assert_array_equal(positions, START)
            np.testing.assert_array_equal(velocities, [0.0, 0.0])


def test_the_last_position_is_written_for_ever():
    controller = ForwardController(START)
    controller.set_command([0.5, 0.6])
    for now_ns in (S, 3600 * S):
        np.testing.assert_array_equal(controller.sample(now_ns)[0], [0.5, 0.6])


def test_a_silent_publisher_of_velocities_leaves_the_arm_moving():
    controller = ForwardController(START, velocity=True)
    controller.sample(S)
    controller.set_command([0.1, 0.0])
    positions, velocities = controller.sample(11 * S)
    np.testing.assert_allclose(positions, START + [1.0, 0.0])
    np.testing.assert_array_equal(velocities, [0.1, 0.0])
    controller.set_command([0.0, 0.0])
    np.testing.assert_array_equal(controller.sample(99 * S)[0], positions)


@pytest.mark.parametrize(('values', 'reason'), [
    ([0.1], 'expected 2 values, got 1'),
    ([0.1, 0.2, 0.3], 'expected 2 values, got 3'),
    ([0.1, float('nan')], 'expected finite values'),
    ([float('inf'), 0.0], 'expected finite values'),
])
def test_a_refused_command_leaves_the_last_one_in_force(values, reason):
    controller = ForwardController(START)
    controller.set_command([0.5, 0.6])
    with pytest.raises(CommandRejected, match=reason):
        controller.set_command(values)
    np.testing.assert_array_equal(controller.sample(S)[0], [0.5, 0.6])


def test_activation_forgets_the_last_command():
    controller = ForwardController(START, velocity=True)
    controller.set_command([0.1, 0.1])
    controller.hold(START)
    controller.sample(S)
    np.testing.assert_array_equal(controller.sample(2 * S)[0], START)
