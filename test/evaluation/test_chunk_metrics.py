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
"""The measures of a tokenizer, by hand."""

from faster_ros.evaluation import chunk_metrics
import numpy as np
import pytest


def ids(*rows):
    """Return sequences of ids."""
    return [np.array(row) for row in rows]


def test_reconstruction_counts_time_steps_by_their_worst_and_their_mean_error():
    target = np.zeros((1, 4, 2))
    decoded = np.array([[[0, 0], [0.06, 0], [0, 0.2], [0.0005, 0.001]]], dtype=float)
    figures = chunk_metrics.reconstruction(decoded, target)
    assert figures['mse'] == pytest.approx((0.0036 + 0.04 + 2.5e-7 + 1e-6) / 8)
    assert figures['l1'] == pytest.approx(0.2615 / 8)
    assert (figures['vrr_0.05'], figures['vrr_0.1']) == (0.5, 0.75)
    assert (figures['vrr_0.001'], figures['vrr_0.005']) == (0.5, 0.5)


def test_the_ideal_code_of_equal_gaussians_halves_their_error_with_every_bit():
    variances = np.array([4.0, 4.0, 0.0])
    assert chunk_metrics.gaussian_mse(variances, 0.0) == pytest.approx(8 / 3)
    assert chunk_metrics.gaussian_mse(variances, 4.0) == pytest.approx(2 * 4 / 16 / 3)


def test_the_ideal_code_spends_nothing_on_what_is_below_the_water_level():
    # Three bits bring the strong component from 64 to 1; the weak one stays at 0.5.
    assert chunk_metrics.gaussian_mse(np.array([64.0, 0.5]), 3.0) == pytest.approx(1.5 / 2)


def test_component_variances_are_of_the_test_chunks_along_the_training_axes():
    rng = np.random.default_rng(0)
    train = rng.standard_normal((500, 2, 2)) * [[1.0, 0.1], [0.01, 0.001]]
    test = train * 2.0
    variances = chunk_metrics.component_variances(train, test)
    assert np.sort(variances) == pytest.approx([4e-6, 4e-4, 0.04, 4.0], rel=0.3)


def test_group_errors_are_those_of_the_groups_columns():
    decoded = np.array([[[1.0, 0.0, 2.0]]])
    errors = chunk_metrics.group_errors(decoded, np.zeros((1, 1, 3)),
                                        {'arm': [0, 1], 'gripper': [2]})
    assert (errors['arm']['l1'], errors['gripper']['l1']) == (0.5, 2.0)


def test_jerk_ratio_is_one_for_a_copy_and_unknown_at_rest():
    chunk = np.array([0.0, 1, 0, 1, 0])[None, :, None]
    assert chunk_metrics.jerk_ratio(2 * chunk, chunk) == pytest.approx(2)
    assert chunk_metrics.jerk_ratio(chunk, np.zeros_like(chunk)) is None


def test_border_jump_is_measured_in_the_datas_own_steps():
    before, after = np.zeros((1, 3, 1)), np.full((1, 3, 1), 0.3)
    assert chunk_metrics.border_jump(before, after, np.full((5, 1), 0.1)) == pytest.approx(3)
    assert chunk_metrics.border_jump(before, after, np.zeros((5, 1))) is None


def test_gripper_events_are_matched_by_direction():
    target = np.array([[-1, -1, 1, 1, 1, 1], [-1, -1, -1, 1, 1, 1.0]])
    decoded = np.array([[-1, -1, -1, 1, -1, 1], [-1, -1, -1, -1, -1, -1.0]])
    assert chunk_metrics.gripper_events(decoded, target) == {
        'error_steps': 1.0, 'error_steps_p99': 1.0, 'missed': 0.5, 'extra': 1.0}


def test_a_single_late_gripper_event_shows_in_the_p99():
    target = np.where(np.arange(20) < 5, -1.0, 1.0)[None].repeat(20, 0)
    decoded = target.copy()
    decoded[0, 5:15] = -1.0
    events = chunk_metrics.gripper_events(decoded, target)
    assert events['error_steps'] == 0.5
    assert events['error_steps_p99'] > 8


def test_gripper_events_that_are_all_missed_have_no_timing():
    target = np.array([[-1, -1, 1, 1.0]])
    assert chunk_metrics.gripper_events(-np.ones((1, 4)), target) == {
        'error_steps': None, 'error_steps_p99': None, 'missed': 1.0, 'extra': 0.0}


def test_chatter_counts_where_nothing_happens_in_the_recording():
    chatter = np.array([[-1, 1, -1, 1.0], [-1, -1, -1, -1]])
    assert chunk_metrics.gripper_events(chatter, -np.ones((2, 4))) == {
        'error_steps': None, 'error_steps_p99': None, 'missed': None, 'extra': 1.5}


def test_a_gripper_that_stands_near_the_middle_does_not_chatter():
    held = np.array([[-1, -0.05, 0.05, -0.05, 0.05, 1.0]])
    led = np.array([[-1, 0.05, -0.05, 0.05, -0.05, 1.0]])
    assert chunk_metrics.gripper_events(led, held) == {
        'error_steps': 0.0, 'error_steps_p99': 0.0, 'missed': 0.0, 'extra': 0.0}


def test_a_chunk_that_begins_between_open_and_closed_begins_as_the_recorded_one():
    recorded, decoded = np.array([[-0.01, 0.0, 1.0, 1.0]]), np.array([[0.01, 0.0, 1.0, 1.0]])
    assert chunk_metrics.gripper_events(decoded, recorded) == {
        'error_steps': 0.0, 'error_steps_p99': 0.0, 'missed': 0.0, 'extra': 0.0}


def test_lengths_give_bits_and_compression():
    figures = chunk_metrics.token_lengths(ids([1, 2], [1, 2, 3, 4]), 256, numbers=30)
    assert figures['tokens_mean'] == 3
    assert figures['bits'] == 24
    assert figures['compression'] == 10


def test_code_use_is_told_level_by_level():
    levels = chunk_metrics.codebook_use(ids([0, 1], [0, 2], [0, 3], [0, 0]), 4, 2, 2)
    assert levels == [{'use': 0.25, 'perplexity': 0.25}, {'use': 1.0, 'perplexity': 1.0}]
    (shared,) = chunk_metrics.codebook_use(ids([0, 1], [0]), 4, 1, 1)
    assert shared['use'] == 0.5


def test_overlap_counts_equal_places_over_the_longer_sequence():
    assert chunk_metrics.token_overlap(ids([1, 2, 3, 4]), ids([1, 2, 9])) == 0.5


def test_interval_is_that_of_whole_episodes():
    values, owner = np.array([0.0] * 50 + [1.0] * 50), np.repeat([3, 7], 50)
    assert chunk_metrics.bootstrap_interval(values, owner) == (0.0, 1.0)
    low, high = chunk_metrics.bootstrap_interval(np.ones(9), np.arange(9))
    assert low == high == 1
