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
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.action_timeline import ActionTimeline, OutOfOrderError
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
    assert at(timeline, 299) is None


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


def test_the_seam_fades_from_the_executing_trajectory_to_the_new_chunk():
    timeline = ActionTimeline(SPEC, blend_s=0.1)
    timeline.merge(chunk(0, 0.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 500 * MS)
    assert at(timeline, 500)[0] == pytest.approx(0.0)
    assert at(timeline, 550)[0] == pytest.approx(0.5, abs=0.01)
    assert at(timeline, 600)[0] == pytest.approx(1.0)
    assert at(timeline, 1000)[0] == pytest.approx(1.0)


def test_a_seam_within_a_seam_starts_where_the_first_one_is():
    timeline = ActionTimeline(SPEC, blend_s=0.1)
    timeline.merge(chunk(0, 0.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 500 * MS)
    middle = at(timeline, 540)[0]
    timeline.merge(chunk(450, 0.0), T0 + 540 * MS)
    assert at(timeline, 540)[0] == pytest.approx(middle, abs=1e-9)
    assert at(timeline, 641)[0] == pytest.approx(0.0)


def test_the_seam_starts_at_the_held_pose_when_nothing_is_executing():
    timeline = ActionTimeline(SPEC, blend_s=0.1)
    timeline.merge(chunk(0, 1.0), T0, held=np.zeros(8))
    assert at(timeline, 0)[0] == pytest.approx(0.0)
    assert at(timeline, 100)[0] == pytest.approx(1.0)


def test_without_a_blend_the_newest_chunk_rules_at_once():
    timeline = ActionTimeline(SPEC, blend_s=0.0)
    timeline.merge(chunk(0, 0.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 500 * MS)
    assert at(timeline, 500)[0] == pytest.approx(1.0)


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


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 400), st.floats(0, 500), st.floats(-1, 1),
                          st.floats(-0.01, 0.05)), min_size=1, max_size=12))
def test_whatever_arrives_the_trajectory_stays_between_the_targets(arrivals):
    timeline = ActionTimeline(SPEC)
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


def test_a_tick_that_is_a_little_late_still_reads_the_trajectory_before_the_seam():
    timeline = ActionTimeline(SPEC, blend_s=0.1)
    timeline.merge(chunk(0, slope=1.0), T0)
    timeline.merge(chunk(400, 1.0), T0 + 505 * MS)
    assert at(timeline, 495)[0] == pytest.approx(0.495)
    assert at(timeline, 505)[0] == pytest.approx(0.505)
