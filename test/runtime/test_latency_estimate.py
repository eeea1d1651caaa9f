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
"""Lags that are known are found, against noise; what cannot be known is refused."""

from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.calibration_motion import CalibrationMotion, STEP_S
from faster_ros.runtime.latency_estimate import image_lag, joint_lag, step_lag
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
MOTION = CalibrationMotion(SPEC, 'fr3_joint1', 0.08, 12.0, 1.5)
CHUNK = MOTION.chunk(0, SPEC.home_positions)
ASKED = STEP_S * np.arange(len(CHUNK.actions))
SWING = CHUNK.actions[:, 0]


def at(times):
    """Return where the joint is asked to be."""
    return np.interp(times, ASKED, SWING)


def images(stamps, lag, noise, seed=0):
    """Return a pattern that moves with the joint, as a camera with a late stamp shows it."""
    rng = np.random.default_rng(seed)
    columns = np.linspace(0, 6 * np.pi, 80)
    shown = 4.0 * np.sin(columns[None, :] + 40 * at(stamps - lag)[:, None])[:, None, :]
    return np.repeat(shown, 4, axis=1) + noise * rng.normal(size=(len(stamps), 4, 80))


@settings(max_examples=15, deadline=None)
@given(lag=st.floats(-0.05, 0.5), noise=st.floats(0, 0.003), seed=st.integers(0, 99))
def test_the_lag_of_joints_is_found_within_four_milliseconds(lag, noise, seed):
    times = np.arange(0, 14, 0.01)
    measured = at(times - lag) + noise * np.random.default_rng(seed).normal(size=len(times))
    found = joint_lag(times, measured, ASKED, SWING)
    assert found.problem == ''
    assert found.seconds == pytest.approx(lag, abs=0.004)


@settings(max_examples=10, deadline=None)
@given(lag=st.floats(0, 0.3), rate_hz=st.sampled_from([15.0, 30.0, 60.0]),
       noise=st.floats(0, 0.2), seed=st.integers(0, 99))
def test_the_lag_of_images_is_found_within_ten_milliseconds(lag, rate_hz, noise, seed):
    times = np.arange(0, 14, 0.01)
    stamps = np.arange(0.01, 14, 1 / rate_hz)
    found = image_lag(stamps, images(stamps, lag, noise, seed), times, at(times))
    assert found.problem == ''
    assert found.seconds == pytest.approx(lag, abs=0.010)


@pytest.mark.parametrize('lag', [0.02, 0.25])
def test_the_dead_time_of_a_gripper_is_found_whatever_its_speed(lag):
    steps = [1.0, 3.0, 5.0]
    times = np.arange(0, 7, 0.01)
    for seconds in (0.1, 0.8):
        share = sum(sign * np.clip((times - step - lag) / seconds, 0, 1)
                    for sign, step in zip((-1, 1, -1), steps))
        found = step_lag(times, 0.04 * (1 + share), steps, 2.0)
        assert found.problem == ''
        assert found.seconds == pytest.approx(lag, abs=0.01)


def test_a_camera_that_does_not_see_the_motion_is_refused():
    stamps, times = np.arange(0.01, 14, 1 / 30), np.arange(0, 14, 0.01)
    noise = np.random.default_rng(0).normal(size=(len(stamps), 4, 80))
    assert 'correlation is' in image_lag(stamps, noise, times, at(times)).problem
    still = np.zeros((len(stamps), 4, 80))
    assert 'correlation is' in image_lag(stamps, still, times, at(times)).problem


def test_a_joint_or_a_gripper_that_does_not_move_is_refused():
    times = np.arange(0, 14, 0.01)
    assert joint_lag(times, np.zeros(len(times)), ASKED, SWING).problem
    assert joint_lag(times[:5], np.zeros(5), ASKED, SWING).problem
    assert step_lag(times, np.zeros(len(times)), [1.0, 3.0], 2.0).problem


def test_a_latency_beyond_what_is_searched_or_that_changes_is_refused():
    times = np.arange(0, 14, 0.01)
    assert joint_lag(times, at(times - 0.9), ASKED, SWING).problem
    changing = at(times - np.where(times < 7, 0.05, 0.15))
    assert 'two halves' in joint_lag(times, changing, ASKED, SWING).problem


def test_the_motion_is_small_slow_and_ends_where_it_began():
    rows = CHUNK.actions
    speeds = np.diff(rows[:, 0]) / STEP_S
    assert np.abs(rows[:, 0] - SPEC.home_positions[0]).max() <= 0.08
    assert np.abs(speeds).max() <= 1.05 * MOTION.fastest < 0.35
    assert np.abs(np.diff(speeds)).max() / STEP_S < 2.0
    np.testing.assert_allclose(rows[-1], SPEC.home_positions, atol=1e-9)
    assert np.array_equal(rows[:, 1:7], np.tile(SPEC.home_positions[1:7], (len(rows), 1)))
    told = np.flatnonzero(np.diff(rows[:, 7]) != 0) + 1
    np.testing.assert_allclose(ASKED[told], MOTION.gripper_steps, atol=STEP_S)


def test_a_joint_too_near_to_its_stop_is_refused():
    pose = SPEC.home_positions
    assert MOTION.problem(pose) == ''
    pose[0] = 2.70
    assert 'fr3_joint1 is at 2.700 rad; expected at least 0.100 rad away' in MOTION.problem(pose)
