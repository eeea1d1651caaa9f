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
"""Chunks are merged by time; the gripper is open or closed; bad chunks change nothing."""

from dataclasses import replace

from faster_ros.interfaces import ActionChunk
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.runtime.action_timeline import ActionTimeline, OutOfOrderError
from faster_ros.runtime.blending import make_rule, RULES
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
MS = 1_000_000
T0 = 5_000_000_000_000


def chunk(start_ms: float, value: float = 0.0, slope: float = 0.0, rows: int = 16,
          gripper: float = 0.04) -> ActionChunk:
    """Every arm joint at ``value + slope * (seconds since T0)``, rows 100 ms apart."""
    seconds = start_ms * 1e-3 + 0.1 * np.arange(rows)
    actions = np.repeat((value + slope * seconds)[:, None], 8, axis=1)
    actions[:, 7] = gripper
    return ActionChunk(T0 + round(start_ms * MS), 100 * MS, actions, SPEC.joint_names)


def at(timeline: ActionTimeline, ms: float):
    return timeline.sample(T0 + round(ms * MS))


def joined(rule: str, blend_s: float = 0.1) -> ActionTimeline:
    return ActionTimeline(SPEC, make_rule(rule, blend_s))


def test_rows_are_due_by_their_time_and_interpolated_between():
    timeline = ActionTimeline(SPEC)
    assert timeline.merge(chunk(0, slope=1.0), T0)
    assert at(timeline, 0)[0] == pytest.approx(0.0)
    assert at(timeline, 150)[0] == pytest.approx(0.15)
    assert at(timeline, 1500)[0] == pytest.approx(1.5)
    assert timeline.remaining_s(T0 + 500 * MS) == pytest.approx(1.0)


def test_nothing_is_sampled_before_the_first_or_after_the_last_row():
    timeline = ActionTimeline(SPEC)
    assert at(timeline, 0) is None
    timeline.merge(chunk(0), T0)
    assert at(timeline, -1) is None
    assert at(timeline, 1501) is None
    assert timeline.remaining_s(T0 + 1501 * MS) == 0.0


def test_late_rows_are_dropped_by_time():
    timeline = ActionTimeline(SPEC)
    timeline.merge(chunk(0, slope=1.0), T0 + 350 * MS)
    assert timeline.counters.late_steps == 4
    assert at(timeline, 350)[0] == pytest.approx(0.35)


def test_from_rest_a_chunk_begins_with_its_first_row():
    timeline = ActionTimeline(SPEC)
    timeline.merge(chunk(0, slope=1.0), T0 + 350 * MS, from_rest=True)
    assert timeline.counters.late_steps == 0
    assert at(timeline, 350)[0] == pytest.approx(0.0)
    assert at(timeline, 450)[0] == pytest.approx(0.1)
    assert not ActionTimeline(SPEC).merge(chunk(0), T0 + 1600 * MS, from_rest=True)


def test_the_trajectory_is_read_ahead_by_the_actuation_latency():
    timeline = ActionTimeline(SPEC, actuation_latency_s=0.05)
    timeline.merge(chunk(0, slope=1.0), T0 + 60 * MS)
    assert timeline.counters.late_steps == 2
    assert at(timeline, 100)[0] == pytest.approx(0.15)


def test_a_chunk_that_is_wholly_late_is_discarded():
    timeline = ActionTimeline(SPEC)
    timeline.merge(chunk(0, 1.0), T0)
    assert not timeline.merge(chunk(1, 2.0), T0 + 2000 * MS)
    assert timeline.counters.discarded == 1
    assert at(timeline, 10)[0] == 1.0


@pytest.mark.parametrize('rule, before, middle, after', [
    ('hard_switch', 0.0, 1.0, 1.0), ('average', 0.0, 0.7, 0.7), ('ensemble', 0.0, 0.4975, 0.4975),
    ('crossfade', 0.0, 0.5, 1.0), ('restart', 0.0, 1.0, 1.0), ('synchronous', 0.0, 0.0, 0.0),
])
def test_each_rule_joins_two_chunks_as_its_system_does(rule, before, middle, after):
    timeline = joined(rule, 0.2)
    timeline.merge(chunk(0, 0.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 500 * MS)
    assert at(timeline, 500)[0] == pytest.approx(before)
    assert at(timeline, 600)[0] == pytest.approx(middle, abs=1e-4)
    assert at(timeline, 700)[0] == pytest.approx(after, abs=1e-4)
    assert at(timeline, 600)[7] == 0.04


def test_the_chunks_own_rows_follow_where_the_executing_ones_end():
    timeline = joined('average')
    timeline.merge(chunk(0, 0.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 500 * MS)
    assert at(timeline, 1500)[0] == pytest.approx(0.7)
    assert at(timeline, 1600)[0] == pytest.approx(1.0)


def test_restarted_chunks_begin_with_their_first_row_and_waiting_ones_run_to_their_end():
    restart, synchronous = joined('restart'), joined('synchronous')
    for timeline in (restart, synchronous):
        timeline.merge(chunk(0, slope=1.0), T0 + 200 * MS)
        assert at(timeline, 300)[0] == pytest.approx(0.1)
    assert not synchronous.merge(chunk(900), T0 + 1000 * MS)
    assert synchronous.merge(chunk(1705), T0 + 1800 * MS)


def test_an_unknown_rule_is_refused_by_name():
    with pytest.raises(ValueError, match="'linear' is unknown; expected one of synchronous"):
        joined('linear')


@pytest.mark.parametrize('gap', [0.002, 0.02, 0.08])
def test_a_smooth_seam_never_steps_in_speed_or_acceleration(gap):
    timeline = joined('smooth', 0.12)
    timeline.merge(chunk(0, 0.0), T0)
    timeline.merge(chunk(400, gap), T0 + 500 * MS)
    path = np.array([at(timeline, 500 + ms)[0] for ms in range(800)])
    bend = np.diff(path, n=2) / 1e-3**2
    assert path[0] == 0.0 and path[-1] == pytest.approx(gap)
    assert (np.diff(path) >= -1e-12).all()
    assert np.abs(bend).max() < 1.3 * 5.77 * gap / 0.12**2
    assert np.abs(np.diff(bend)).max() < 1.3 * 60 * gap / 0.12**3 * 1e-3


def test_a_smooth_seam_leaves_the_trajectory_up_to_now_as_it_is():
    timeline = joined('smooth')
    timeline.merge(chunk(0, slope=1.0), T0)
    timeline.merge(chunk(300, 0.3, slope=-1.0), T0 + 405 * MS)
    before = [at(timeline, 505 - ms)[0] for ms in range(0, 90)]
    timeline.merge(chunk(400, 2.0, slope=3.0), T0 + 505 * MS)
    np.testing.assert_allclose([at(timeline, 505 - ms)[0] for ms in range(0, 90)], before,
                               atol=1e-12)


def test_a_course_that_ends_within_the_seam_slows_down_instead_of_stopping_dead():
    timeline = joined('smooth', 0.3)
    timeline.merge(chunk(0, slope=0.3), T0)
    timeline.merge(chunk(1400, slope=0.3, rows=2), T0 + 1480 * MS)
    timeline.merge(chunk(1410, 0.0, slope=0.3), T0 + 1490 * MS)
    path = np.array([at(timeline, 1490 + ms)[0] for ms in range(0, 600, 5)])
    assert np.abs(np.diff(path, n=2) / 0.005**2).max() < 8.0


def test_a_seam_within_a_seam_starts_where_the_first_one_is():
    timeline = joined('smooth')
    timeline.merge(chunk(0, 0.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 500 * MS)
    middle = at(timeline, 580)[0]
    timeline.merge(chunk(450, 0.0), T0 + 580 * MS)
    assert 0.05 < middle < 0.95
    assert at(timeline, 580)[0] == pytest.approx(middle, abs=1e-9)
    assert at(timeline, 1300)[0] == pytest.approx(0.0)


def test_late_chunks_that_contradict_each_other_in_turn_swing_the_arm_less_than_they_do():
    swings = {}
    for rule in ('smooth', 'crossfade'):
        timeline = joined(rule, 0.12)
        path = []
        for turn in range(12):
            arrival = 300 * turn + 300
            timeline.merge(chunk(arrival - 300, 0.05 * (-1) ** turn), T0 + arrival * MS)
            path += [at(timeline, arrival + ms)[0] for ms in range(0, 300, 10)]
        swings[rule] = np.ptp(path[-120:])
    assert swings['crossfade'] == pytest.approx(0.1)
    assert swings['smooth'] < 0.07


def test_from_standing_nothing_of_the_held_pose_is_kept_beyond_the_soft_start():
    timeline = joined('smooth', 0.12)
    timeline.merge(chunk(0, slope=0.5), T0, held=np.zeros(8))
    assert at(timeline, 400)[0] == pytest.approx(0.2)


def test_the_seam_starts_at_the_held_pose_when_nothing_is_executing():
    timeline = joined('crossfade')
    timeline.merge(chunk(0, 1.0), T0, held=np.zeros(8))
    assert at(timeline, 0)[0] == pytest.approx(0.0)
    assert at(timeline, 100)[0] == pytest.approx(1.0)


def test_without_a_blend_the_newest_chunk_rules_at_once():
    timeline = joined('crossfade', 0.0)
    timeline.merge(chunk(0, 0.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 500 * MS)
    assert at(timeline, 600)[0] == pytest.approx(1.0)


def test_the_newest_chunks_gripper_rules_at_once_and_is_never_in_between():
    timeline = ActionTimeline(SPEC)
    timeline.merge(chunk(0, gripper=0.04), T0)
    assert at(timeline, 0)[7] == 0.04
    timeline.merge(chunk(400, 1.0, gripper=0.001), T0 + 500 * MS)
    assert at(timeline, 501)[7] == 0.0


def test_the_gripper_has_hysteresis():
    timeline = ActionTimeline(SPEC)
    shares = np.array([1.0, 0.45, 0.55, 0.39, 0.45, 0.59, 0.61, 0.45])
    actions = np.zeros((8, 8))
    actions[:, 7] = 0.04 * shares
    timeline.merge(ActionChunk(T0, 100 * MS, actions, SPEC.joint_names), T0)
    seen = [at(timeline, 100 * row)[7] for row in range(8)]
    assert seen == [0.04, 0.04, 0.04, 0.0, 0.0, 0.0, 0.04, 0.04]


def test_late_chunk_is_dropped_after_reset():
    timeline = ActionTimeline(SPEC)
    timeline.merge(chunk(0), T0)
    timeline.reset(T0 + 100 * MS)
    assert at(timeline, 100) is None
    assert not timeline.merge(chunk(90), T0 + 150 * MS)
    assert timeline.merge(chunk(100), T0 + 150 * MS)


def nan_chunk() -> ActionChunk:
    bad = chunk(10)
    bad.actions[3, 2] = np.nan
    return bad


@pytest.mark.parametrize('bad, message', [
    (nan_chunk(), 'nan for fr3_joint3 in row 3'),
    (replace(chunk(10), actions=np.zeros((16, 7))), r'shape \(16, 7\); expected .* 8 joints'),
    (replace(chunk(10), actions=np.zeros((0, 8))), 'at least one row'),
    (replace(chunk(10), names=('a', 'b')), 'has joints a, b; expected fr3_joint1'),
    (replace(chunk(10), names=()), 'has joints none'),
    (replace(chunk(10), step_ns=0), 'step of 0 ns'),
    (replace(chunk(10), step_ns=10**13), 'lasts 150000 s; expected at most 60 s'),
    (chunk(5000), 'in the future'),
])
def test_a_malformed_chunk_is_refused_by_name_and_changes_nothing(bad, message):
    timeline = ActionTimeline(SPEC)
    timeline.merge(chunk(0, 1.0), T0)
    with pytest.raises(ValueError, match=message):
        timeline.merge(bad, T0 + 20 * MS)
    assert at(timeline, 200)[0] == 1.0
    assert timeline.counters.rejected == 1


@pytest.mark.parametrize('start_ms', [0, 10])
def test_a_chunk_not_newer_than_the_last_is_refused(start_ms):
    timeline = ActionTimeline(SPEC)
    timeline.merge(chunk(10, 1.0), T0 + 20 * MS)
    with pytest.raises(OutOfOrderError):
        timeline.merge(chunk(start_ms, 2.0), T0 + 20 * MS)
    assert at(timeline, 200)[0] == 1.0


def test_a_gripper_that_is_not_binary_follows_each_value_unaveraged():
    data = SPEC.to_dict()
    data['gripper']['binary'] = False
    timeline = ActionTimeline(RobotSpec.from_dict(data, 'test'))
    timeline.merge(chunk(0, gripper=0.013), T0)
    assert at(timeline, 100)[7] == pytest.approx(0.013)
    timeline.merge(chunk(400, gripper=0.031), T0 + 500 * MS)
    assert at(timeline, 510)[7] == pytest.approx(0.031)


def test_the_gripper_is_told_earlier_by_its_own_latency():
    data = SPEC.to_dict()
    data['gripper']['latency_s'] = 0.2
    slow = RobotSpec.from_dict(data, 'slow.yaml')
    timeline = ActionTimeline(slow)
    actions = np.zeros((8, 8))
    actions[:4, 7] = 0.04
    timeline.merge(ActionChunk(T0, 100 * MS, actions, SPEC.joint_names), T0)
    assert at(timeline, 190)[7] == 0.04
    assert at(timeline, 210)[7] == 0.0


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RULES), st.lists(
    st.tuples(st.floats(-50, 400), st.floats(0, 500), st.floats(-1, 1), st.floats(-0.01, 0.05)),
    min_size=1, max_size=12))
def test_whatever_arrives_the_trajectory_stays_between_the_targets(rule, arrivals):
    timeline = joined(rule)
    now_ms, low, high = 0.0, np.inf, -np.inf
    for wait, age, value, gripper in arrivals:
        for _ in range(3):
            now_ms += max(wait, 0.0) / 3
            target = at(timeline, now_ms)
            if target is not None:
                assert low - 1e-9 <= target[0] <= high + 1e-9
                assert target[7] in (0.0, 0.04)
        try:
            if timeline.merge(chunk(now_ms - age, value, gripper=gripper),
                              T0 + round(now_ms * MS)):
                low, high = min(low, value), max(high, value)
        except OutOfOrderError:
            pass


@pytest.mark.parametrize('rule', RULES[1:])
def test_a_tick_that_is_a_little_late_still_reads_the_trajectory_before_the_seam(rule):
    timeline = joined(rule)
    timeline.merge(chunk(0, slope=1.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 505 * MS)
    assert at(timeline, 495)[0] == pytest.approx(0.495)
    assert at(timeline, 505)[0] == pytest.approx(0.505)
