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
"""Rotations stay rotations, whatever was decoded."""

from faster_ros.data.rotations import angles, steady_signs, valid_rotations
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

NUMBERS = strategies.floats(-10, 10)


@settings(deadline=None)
@given(arrays(float, (4, 5), elements=NUMBERS))
def test_quaternions_are_of_unit_length_and_other_columns_untouched(rows):
    valid = valid_rotations(rows, [[1, 2, 3, 4]])
    np.testing.assert_allclose(np.linalg.norm(valid[:, 1:], axis=1), 1)
    assert np.array_equal(valid[:, 0], rows[:, 0])


@settings(deadline=None)
@given(arrays(float, (4, 6), elements=NUMBERS))
def test_two_axes_are_orthogonal_and_of_unit_length(rows):
    valid = valid_rotations(rows, [range(6)])
    np.testing.assert_allclose(np.linalg.norm(valid.reshape(4, 2, 3), axis=2), 1)
    np.testing.assert_allclose((valid[:, :3] * valid[:, 3:]).sum(1), 0, atol=1e-6)


def test_parallel_axes_still_give_a_frame():
    valid = valid_rotations(np.array([[0, 0, 2.0, 0, 0, 1.0]]), [range(6)])
    assert valid[0, :3].tolist() == [0, 0, 1]
    assert np.linalg.norm(valid[0, 3:]) == pytest.approx(1)
    assert valid[0, 5] == pytest.approx(0)


def test_angles_between_rotations_are_those_of_the_turn():
    half = np.radians(15)
    turn = np.array([[np.cos(half), 0, 0, np.sin(half)]])
    assert angles(turn, np.array([[-1.0, 0, 0, 0]]))[0] == pytest.approx(30)
    frame = np.array([[np.cos(2 * half), np.sin(2 * half), 0, -np.sin(2 * half),
                       np.cos(2 * half), 0]])
    assert angles(frame, np.array([[1.0, 0, 0, 0, 1, 0]]))[0] == pytest.approx(30)


def test_a_quaternion_keeps_the_sign_that_it_begins_with():
    rows = np.array([[7, -1, 0, 0, 0.1], [-7, 1, 0, 0, 0], [7, -1, 0, 0.1, 0], [7, 1, 0, 0, 0]])
    steady = steady_signs(np.stack([rows, rows]), [[1, 2, 3, 4]])
    assert np.array_equal(steady[0], steady[1])
    assert steady[0].tolist() == [[7, -1, 0, 0, 0.1], [-7, -1, 0, 0, 0], [7, -1, 0, 0.1, 0],
                                  [7, -1, 0, 0, 0]]
