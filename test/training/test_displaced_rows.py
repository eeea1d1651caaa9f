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
"""Copies of rows whose arm is elsewhere and is led back."""

from faster_ros.policy.action_representation import from_deltas, to_deltas
from faster_ros.training.displaced_rows import displaced
import numpy as np
import pytest

POSITIONS = np.array([[0.1, -0.2, 0.04], [0.3, 0.4, 0.0]])  # two joints and a gripper
CHUNKS = np.linspace(0, 1, 2 * 8 * 3).reshape(2, 8, 3)


def copy():
    return displaced(POSITIONS, CHUNKS, [0, 1], np.array([0.1, 0.2, 0.001]),
                     np.random.default_rng(0))


def test_the_chunk_begins_where_the_arm_is_and_ends_where_it_was_recorded():
    positions, chunks = copy()
    offsets = positions - POSITIONS
    assert (offsets != 0).all()
    assert chunks[:, 0, :2] - CHUNKS[:, 0, :2] == pytest.approx(offsets[:, :2])
    assert chunks[:, 1, :2] - CHUNKS[:, 1, :2] == pytest.approx(offsets[:, :2] / 2)
    assert (chunks[:, 2:] == CHUNKS[:, 2:]).all()


def test_what_the_gripper_is_told_stays():
    assert (copy()[1][..., 2] == CHUNKS[..., 2]).all()


def test_a_policy_that_answers_with_the_steps_of_a_copy_reaches_the_recorded_targets():
    positions, chunks = copy()
    steps = to_deltas(chunks, positions, [2])
    assert from_deltas(steps, positions, [2])[:, 2:] == pytest.approx(CHUNKS[:, 2:])


def test_nothing_is_displaced_by_a_spread_of_zero():
    positions, chunks = displaced(POSITIONS, CHUNKS, [0, 1], np.zeros(3), np.random.default_rng(0))
    assert (positions == POSITIONS).all() and (chunks == CHUNKS).all()
