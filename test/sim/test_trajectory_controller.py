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
"""The joint_trajectory_controller's rules, one test each, on hand-written trajectories."""

from faster_ros.sim.trajectory_controller import (
    TrajectoryController,
    TrajectoryPoint,
    TrajectoryRejected,
)
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

S = 1_000_000_000
NOW = 1_700_000_000 * S
NAMES = ('a', 'b')


def controller() -> TrajectoryController:
    return TrajectoryController(NAMES, np.array([1.0, 2.0]))


def point(time_s, positions, velocities=(), accelerations=()):
    return TrajectoryPoint(round(time_s * S), positions, velocities, accelerations)


def test_holds_the_first_pose_before_any_trajectory():
    positions, velocities = controller().sample(NOW)
    assert positions.tolist() == [1.0, 2.0]
    assert velocities.tolist() == [0.0, 0.0]


def test_positions_only_are_joined_by_straight_lines_from_the_desired_state():
    unit = controller()
    unit.set_trajectory(NAMES, 0, [point(1, [2, 2]), point(2, [2, 4])], NOW)
    positions, velocities = unit.sample(NOW + S // 2)
    assert positions == pytest.approx([1.5, 2.0])
    assert velocities == pytest.approx([1.0, 0.0])
    positions, velocities = unit.sample(NOW + S + S // 4)
    assert positions == pytest.approx([2.0, 2.5])
    assert velocities == pytest.approx([0.0, 2.0])


def test_joints_are_taken_by_name():
    unit = controller()
    unit.set_trajectory(('b', 'a'), 0, [point(1, [20, 10])], NOW)
    assert unit.sample(NOW + S)[0].tolist() == [10.0, 20.0]


def test_positions_and_velocities_give_a_cubic():
    unit = controller()
    unit.set_trajectory(NAMES, 0, [point(2, [3, 2], [0, 0])], NOW)
    positions, velocities = unit.sample(NOW + S)
    assert positions == pytest.approx([2.0, 2.0])  # half way of a rest-to-rest cubic
    assert velocities == pytest.approx([1.5, 0.0])  # 3/2 of the mean speed


def test_accelerations_give_a_quintic():
    unit = controller()
    unit.set_trajectory(NAMES, 0, [point(2, [3, 2], [0, 0], [0, 0])], NOW)
    positions, velocities = unit.sample(NOW + S)
    assert positions == pytest.approx([2.0, 2.0])
    assert velocities == pytest.approx([15 / 8, 0.0])  # 15/8 of the mean speed


def test_holds_the_last_point_after_the_end():
    unit = controller()
    unit.set_trajectory(NAMES, 0, [point(1, [5, 6])], NOW)
    positions, velocities = unit.sample(NOW + 60 * S)
    assert positions.tolist() == [5.0, 6.0]
    assert velocities.tolist() == [0.0, 0.0]


def test_a_new_trajectory_replaces_the_running_one():
    unit = controller()
    unit.set_trajectory(NAMES, 0, [point(1, [2, 2], [0, 0])], NOW)
    before = unit.sample(NOW + S // 2)
    unit.set_trajectory(NAMES, 0, [point(1, [0, 0], [0, 0])], NOW + S // 2)
    after = unit.sample(NOW + S // 2)
    assert after[0] == pytest.approx(before[0])
    assert after[1] == pytest.approx(before[1])
    assert unit.sample(NOW + 2 * S)[0].tolist() == [0.0, 0.0]


def test_a_later_start_is_reached_from_the_desired_state():
    unit = controller()
    unit.set_trajectory(NAMES, NOW + S, [point(1, [3, 2])], NOW)
    assert unit.sample(NOW + S)[0] == pytest.approx([2.0, 2.0])


def test_points_in_the_past_are_skipped():
    unit = controller()
    unit.set_trajectory(NAMES, NOW - S, [point(0.5, [7, 7]), point(1.5, [9, 9])], NOW)
    assert unit.sample(NOW)[0] == pytest.approx([8.0, 8.0])


def test_reset_to_a_pose_forgets_the_trajectory():
    unit = controller()
    unit.set_trajectory(NAMES, 0, [point(1, [5, 6])], NOW)
    unit.hold(np.array([0.5, 0.25]))
    assert unit.sample(NOW + S)[0].tolist() == [0.5, 0.25]


@pytest.mark.parametrize(
    'names, stamp_ns, points, reason',
    [
        (('a', 'c'), 0, [point(1, [0, 0])], 'unknown joint c; expected exactly a, b, got a, c'),
        (('a',), 0, [point(1, [0])], 'missing joint b'),
        (('a', 'b', 'b'), 0, [point(1, [0, 0, 0])], 'repeated joint b'),
        ((), 0, [point(1, [])], 'missing joint a, b; expected exactly a, b, got none'),
        (NAMES, 0, [], 'at least one point'),
        (NAMES, 0, [point(1, [0])], 'expected 2 positions in point 0, got 1'),
        (NAMES, 0, [point(1, [])], 'expected 2 positions in point 0, got 0'),
        (NAMES, 0, [point(1, [0, 0], [0])], 'expected 2 velocities in point 0, got 1'),
        (NAMES, 0, [point(1, [0, 0], [0, 0], [0])], 'expected 2 accelerations in point 0, got 1'),
        (NAMES, 0, [point(1, [0, 0]), point(1, [0, 0])], 'times that increase'),
        (NAMES, 0, [point(-1, [0, 0])], 'times that increase from 0 s, got point 0 at -1.0000 s'),
        (NAMES, 0, [point(1, [0, 0], [0.1, 0])], 'velocity 0 at the last point, got [0.1, 0.0]'),
        (NAMES, 0, [point(1, [float('nan'), 0])], 'finite positions in point 0'),
        (NAMES, NOW - 3 * S, [point(1, [0, 0])], 'got one that ended 2.000 s ago'),
    ],
)
def test_a_bad_trajectory_is_rejected_and_the_running_one_goes_on(names, stamp_ns, points, reason):
    unit = controller()
    unit.set_trajectory(NAMES, 0, [point(2, [3, 2])], NOW)
    with pytest.raises(TrajectoryRejected) as caught:
        unit.set_trajectory(names, stamp_ns, points, NOW)
    assert reason in str(caught.value)
    assert unit.sample(NOW + S)[0] == pytest.approx([2.0, 2.0])


values = st.floats(-3, 3)


@given(
    st.lists(
        st.tuples(st.integers(1, 900), values, values, values, values), min_size=1, max_size=6
    ),
    st.booleans(),
    st.integers(0, 5000),
)
@settings(max_examples=200, deadline=None)
def test_desired_positions_never_step(rows, with_velocities, replaced_ms):
    """A trajectory and its replacement at any time are one unbroken line."""
    unit = controller()

    def send(now_ns):
        points, time_s = [], 0.0
        for step_ms, a, b, va, vb in rows:
            time_s += step_ms / 1000
            points.append(point(time_s, [a, b], [va, vb] if with_velocities else ()))
        if with_velocities:
            points[-1] = point(time_s, points[-1].positions, [0, 0])
        unit.set_trajectory(NAMES, 0, points, now_ns)

    ms = S // 1000
    send(NOW)
    replaced_ns = NOW + replaced_ms * ms
    before = unit.sample(replaced_ns)
    send(replaced_ns)
    after = unit.sample(replaced_ns)
    assert after[0] == pytest.approx(before[0], abs=1e-9)
    for now_ns in range(replaced_ns, replaced_ns + 6000 * ms, 97 * ms):
        start, end = unit.sample(now_ns)[0], unit.sample(now_ns + 1000)[0]
        assert np.abs(end - start).max() < 0.05  # one microsecond apart
