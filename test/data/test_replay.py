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
"""A recorded episode as targets in time: the way to it, its speed, its end."""

from faster_ros.data.dataset_spec import ACTION, DatasetFrame, DatasetSpec, EpisodeFacts, Feature
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.data.replay import recorded_actions, ReplayPlan
from faster_ros.robot_spec import load_robot_spec
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
RATE = 20
TIMES = np.arange(100) / RATE
EPISODE = SPEC.home_positions + 0.2 * np.sin(TIMES)[:, None] * SPEC.arm_mask
EPISODE[50:, SPEC.gripper_indices] = 0.0
START_NS = 10**18


def plan(positions, speed=1.0):
    return ReplayPlan(SPEC, (EPISODE, RATE), speed, START_NS, positions)


@pytest.fixture
def folder(tmp_path):
    """Return a data set of that episode, without images."""
    columns = Feature('float32', (len(SPEC.action_names),), SPEC.action_names)
    writer = LeRobotWriter(tmp_path / 'set', DatasetSpec(RATE, 'fr3', {ACTION: columns}, {}), 0)
    writer.begin_episode(EpisodeFacts('wave'))
    for row in EPISODE:
        writer.add_frame(DatasetFrame({ACTION: row}, {}))
    writer.save_episode()
    writer.close()
    return tmp_path / 'set'


def test_recorded_actions_are_those_of_the_episode(folder):
    actions, rate = recorded_actions(folder, 0, SPEC)
    np.testing.assert_allclose(actions, EPISODE, atol=1e-6)
    assert rate == RATE


def test_another_robot_and_an_absent_episode_are_refused(folder):
    with pytest.raises(ValueError, match='recorded with fr3, expected ur5e'):
        recorded_actions(folder, 0, load_robot_spec('ur5e'))
    with pytest.raises(ValueError, match='expected an episode from 0 to 0, got 3'):
        recorded_actions(folder, 3, SPEC)


@pytest.mark.parametrize('speed', [0.5, 1.0])
def test_the_episode_follows_the_approach_at_the_chosen_speed(speed):
    replay = plan(SPEC.home_positions, speed)
    begin = START_NS + round(replay.approach_s * 1e9)
    rows = replay.chunk(begin, round(1e9 / RATE / speed), len(EPISODE) + 20).actions
    np.testing.assert_allclose(rows[:len(EPISODE)], EPISODE, atol=1e-6)
    np.testing.assert_allclose(rows[len(EPISODE):], np.tile(EPISODE[-1], (20, 1)))
    assert replay.seconds == pytest.approx(replay.approach_s + TIMES[-1] / speed)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.05, 0.95), min_size=8, max_size=8))
def test_the_way_to_the_start_begins_at_the_arm_and_is_slow(shares):
    lower, upper = SPEC.limit_array('lower'), SPEC.limit_array('upper')
    positions = lower + np.array(shares) * (upper - lower)
    rows = plan(positions).chunk(START_NS, 10_000_000, 2000).actions
    np.testing.assert_allclose(rows[0], positions, atol=1e-9)
    moving = round(plan(positions).approach_s * 100)
    speeds = np.abs(np.diff(rows[:moving], axis=0)) * 100
    limit = SPEC.limit_array('velocity') * SPEC.velocity_scale
    assert (speeds <= 0.21 * limit).all()


def test_a_gripper_is_never_half_open():
    rows = plan(SPEC.home_positions).chunk(
        START_NS + round(plan(SPEC.home_positions).approach_s * 1e9), 7_000_000, 700).actions
    opened = rows[:, SPEC.gripper_indices[0]]
    assert set(np.round(opened, 6)) == {round(SPEC.home_positions[SPEC.gripper_indices[0]], 6), 0}
