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
"""An arm that waits for a slow policy: what is executed, and when the policy is asked."""

from dataclasses import replace

from faster_ros.interfaces import ActionChunk
from faster_ros.runtime.action_timeline import ActionTimeline
from faster_ros.runtime.chunk_scheduler import ChunkScheduler
from hypothesis import given, strategies
import numpy as np
from perfect_arm import Arm, HOME, MS, SPEC, T0
import pytest

STEP_MS = 100
ROWS = 16


def ramp(start_ms: float, begin: np.ndarray, speed: float = 0.3) -> ActionChunk:
    """Move the first joint from ``begin`` (D,) at a speed in rad/s."""
    actions = np.tile(begin, (ROWS, 1))
    actions[:, 0] += speed * STEP_MS * 1e-3 * np.arange(ROWS)
    return ActionChunk(T0 + round(start_ms * MS), STEP_MS * MS, actions, SPEC.joint_names)


def test_what_a_quick_policy_says_is_executed_as_it_is():
    chunk = ramp(0, HOME)
    assert ChunkScheduler().chunk_arrived(chunk, T0 + 100 * MS) is chunk


def test_a_slow_chunk_stands_until_it_comes_moves_as_long_as_it_took_and_stands_again():
    scheduler = ChunkScheduler(execution_horizon=3, first_guess_s=0.6)
    chunk = ramp(0, HOME)
    executed = scheduler.chunk_arrived(chunk, T0 + 610 * MS)
    assert (executed.start_ns, executed.step_ns) == (chunk.start_ns, chunk.step_ns)
    rows = executed.actions[:, 0] - HOME[0]
    np.testing.assert_array_equal(rows[:8], 0.0)  # due at 0 to 700 ms
    np.testing.assert_allclose(rows[8:14], 0.03 * np.arange(1, 7))
    np.testing.assert_allclose(rows[14:], 0.18)
    assert len(rows) == 14 + 12  # a wait of twice the latency
    # The last target is due at 1300 ms, and the arm comes to rest.
    assert not scheduler.should_request(T0 + 1399 * MS)
    assert scheduler.should_request(T0 + 1400 * MS)
    assert scheduler.answer_within_s(T0 + 1400 * MS) > 2 * 0.5
    scheduler.reset()
    assert scheduler.should_request(T0 + 700 * MS)


def test_a_base_stands_too_while_the_policy_thinks():
    chunk = ramp(0, HOME)
    drives = replace(chunk, actions=np.hstack([chunk.actions, np.full((ROWS, 2), 0.3)]))
    executed = ChunkScheduler(3, first_guess_s=0.6, joints=8).chunk_arrived(drives, T0 + 610 * MS)
    np.testing.assert_array_equal(executed.actions[:7, 8:], 0.0)
    np.testing.assert_array_equal(executed.actions[7:14, 8:], 0.3)
    np.testing.assert_array_equal(executed.actions[14:, 8:], 0.0)


def test_the_limit_of_what_is_slow_can_be_set():
    chunk = ramp(0, HOME)
    for limit_s, waits in ((0.15, True), (0.25, False), (float('inf'), False)):
        scheduler = ChunkScheduler(first_guess_s=0.2, wait_above_s=limit_s)
        assert (scheduler.chunk_arrived(chunk, T0 + 200 * MS) is not chunk) == waits


@given(strategies.floats(0.0, 3.0), strategies.floats(0.1, 3.0), strategies.integers(1, 20))
def test_whatever_the_latency_nothing_moves_before_the_chunk_comes(latency_s, guess_s, horizon):
    scheduler = ChunkScheduler(horizon, first_guess_s=guess_s, wait_above_s=0.0)
    now_ns = T0 + round(latency_s * 1e9)
    executed = scheduler.chunk_arrived(ramp(0, HOME), now_ns)
    due = executed.start_ns + STEP_MS * MS * np.arange(len(executed.actions))
    np.testing.assert_array_equal(executed.actions[due <= now_ns],
                                  np.tile(HOME, ((due <= now_ns).sum(), 1)))
    moved = executed.actions[-1, 0] - HOME[0]
    assert moved == pytest.approx(0.03 * min(ROWS - 1, max(horizon, np.ceil(guess_s * 10))))


@pytest.mark.parametrize('late', [60, 80, 130])
def test_an_arm_that_waits_is_asked_about_at_rest_never_starves_and_goes_on_evenly(late):
    rng = np.random.default_rng(late)
    arm = Arm()
    scheduler = ChunkScheduler(3, first_guess_s=late * 0.01)
    assert arm.arm() == ''
    asked, answer = [], None
    while arm.ms < 12_000:
        if answer is None and scheduler.should_request(T0 + arm.ms * MS):
            asked.append(np.ptp(np.array(arm.commands or [HOME])[-2:, 0]) * 100)  # rad/s
            answer = (arm.ms + 10 * int(rng.integers(late - 10, late)),
                      ramp(arm.ms, arm.positions, rng.uniform(-0.3, 0.3)))
        if answer is not None and arm.ms >= answer[0]:
            chunk = scheduler.chunk_arrived(answer[1], T0 + arm.ms * MS)
            assert arm.accept(chunk)
            answer = None
        arm.run(10)
    assert arm.status.mode == 'running' and arm.status.starved_ticks == 0
    assert len(asked) > 3
    assert max(asked) < 0.01, asked
    commands = np.array(arm.commands)[:, 0]
    assert np.abs(np.diff(commands)).max() * 100 < 0.8  # rad/s, where a gap is also faded
    assert np.abs(commands - HOME[0]).max() > 0.05


def test_the_first_chunk_of_an_arm_that_stands_is_not_waited_for_twice():
    timeline = ActionTimeline(SPEC)
    chunk = ramp(0, HOME)
    stands = replace(chunk, actions=np.concatenate([np.tile(HOME, (6, 1)), chunk.actions]))
    assert timeline.merge(stands, T0 + 550 * MS, HOME, from_rest=True)
    assert timeline.remaining_s(T0 + 550 * MS) == pytest.approx(2.1 - 0.55)
    assert timeline.merge(ramp(600, HOME), T0 + 650 * MS)


def test_a_chunk_that_stands_until_it_is_merged_is_joined_as_one_that_comes_in_time():
    """Else half of the gap to the arm that stood would be kept for six seams."""
    timeline = ActionTimeline(SPEC)
    stood = replace(ramp(0, HOME), actions=np.tile(HOME, (40, 1)))
    timeline.merge(stood, T0)
    moves = ramp(1000, HOME)
    moves = replace(moves, actions=np.concatenate([np.tile(HOME, (6, 1)), moves.actions]))
    timeline.merge(moves, T0 + 1550 * MS)
    late = timeline.sample(T0 + 2000 * MS)[0] - HOME[0]
    assert late == pytest.approx(0.03 * 4, abs=1e-3)  # its first row that moves is due at 1700
