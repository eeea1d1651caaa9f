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
"""Delta actions and their inverse."""

from faster_ros.policy.action_representation import from_deltas, to_deltas
from hypothesis import given, strategies
from hypothesis.extra.numpy import arrays
import numpy as np

NUMBERS = strategies.floats(-3, 3)


@given(arrays(float, (5, 6, 3), elements=NUMBERS), arrays(float, (5, 3), elements=NUMBERS))
def test_deltas_come_back_to_the_same_targets(actions, positions):
    restored = from_deltas(to_deltas(actions, positions, 2), positions, 2)
    np.testing.assert_allclose(restored, actions, atol=1e-9)


def test_an_arm_joint_is_a_step_and_the_gripper_stays_absolute():
    actions = np.array([[0.1, 0.04], [0.3, 0.04], [0.2, 0.0]])
    deltas = to_deltas(actions, np.array([0.05, 0.02]), 1)
    np.testing.assert_allclose(deltas, [[0.05, 0.04], [0.2, 0.04], [-0.1, 0.0]])
