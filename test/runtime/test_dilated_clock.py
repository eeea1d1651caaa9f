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
"""A slowed arm gets its actions later, never earlier, and in their order."""

from dataclasses import replace

from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.dilated_clock import DilatedClock
from hypothesis import given, settings, strategies
from perfect_arm import Arm, chunk, HOME, SPEC, T0 as START
import pytest

S = 1_000_000_000
T0 = 3_000_000_000_000
CHANGES = strategies.lists(strategies.tuples(
    strategies.integers(1, 5 * S), strategies.floats(0.0, 1.0)), max_size=12)


def clock_of(changes) -> tuple[DilatedClock, int]:
    """Return a clock after (pause in ns, share) changes, and the time of the last one."""
    clock, now = DilatedClock(), T0
    clock.restart(now)
    for pause, share in changes:
        now += pause
        clock.set_speed(share, now)
    return clock, now


@given(CHANGES, strategies.lists(strategies.integers(-60 * S, 60 * S), min_size=2))
def test_it_is_monotonic_and_never_runs_ahead(changes, offsets):
    clock, now = clock_of(changes)
    times = sorted(now + offset for offset in offsets)
    dues = [clock.at(time) for time in times]
    for before, after, due, next_due in zip(times, times[1:], dues, dues[1:]):
        assert 0 <= next_due - due <= after - before
        assert next_due > due or after - before < 1_000_000  # ns; order survives a pause
    assert all(due <= time for time, due in zip(times, dues))


@given(CHANGES, strategies.floats(0.0, 1.0), strategies.integers(0, 10 * S))
def test_between_two_changes_it_passes_at_the_speed_that_was_told(changes, share, span):
    clock, now = clock_of(changes)
    clock.set_speed(share, now + S)
    passed = clock.at(now + S + span) - clock.at(now + S)
    assert passed == pytest.approx(span * share, abs=2e-6 * span + 2)


@given(CHANGES)
def test_a_change_of_speed_is_no_jump(changes):
    clock, now = clock_of(changes)
    before = clock.at(now + S)
    clock.set_speed(0.37, now + S)
    assert clock.at(now + S) == before


def test_at_full_speed_it_is_the_wall_clock_to_the_nanosecond():
    clock, _ = clock_of([])
    for time in (0, T0 - 1, T0, T0 + 1, T0 + 7 * 86400 * S + 1):
        assert clock.at(time) == time


def test_a_restart_agrees_with_the_wall_clock_and_keeps_the_speed():
    clock, now = clock_of([(S, 0.5)])
    clock.restart(now + 4 * S)
    assert clock.at(now + 4 * S) == now + 4 * S
    assert clock.at(now + 6 * S) == now + 5 * S


def test_a_wall_clock_that_is_set_back_is_followed():
    clock, now = clock_of([(S, 0.5), (S, 1.0)])
    early = now - 100 * S
    before = clock.at(early)
    clock.set_speed(0.5, early)
    assert clock.at(early) == before
    assert clock.at(early + 2 * S) == before + S


@pytest.mark.parametrize('share', [-0.1, 1.1, 100.0, float('nan')])
def test_a_speed_that_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match=r'a share of the speed in \[0, 1\]'):
        DilatedClock().set_speed(share, T0)


@settings(max_examples=5, deadline=None)
@given(strategies.floats(0.05, 1.0), strategies.sampled_from([0.1, 0.2, 0.3]))
def test_an_arm_that_its_policy_sees_is_as_slow_as_its_driver(share, period_s):
    """Each chunk begins where the arm is: what is read too far ahead would add up."""
    arm, speed = Arm(), 0.1
    arm.controller.note_driver_speed(share, START)
    assert arm.arm() == ''
    travelled = []
    for _ in range(round(6.0 / period_s)):
        begin = chunk(arm.ms, speed=speed)
        offset = arm.positions - begin.actions[0]
        assert arm.accept(replace(begin, actions=begin.actions + offset))
        arm.run(round(1000 * period_s))
        travelled.append(arm.positions[0])
    half = len(travelled) // 2
    seen = (travelled[-1] - travelled[half - 1]) / (half * period_s)
    # The arm that is seen stands where the last period ended.
    assert seen == pytest.approx(share * speed, rel=0.01 + 0.01 / period_s)


def test_a_slowed_gripper_with_a_latency_of_its_own_is_told_no_sooner_on_the_wall_clock():
    data = SPEC.to_dict()
    data['gripper']['latency_s'] = 0.2
    arm = Arm(RobotSpec.from_dict(data, 'test'))
    arm.controller.note_driver_speed(0.5, START)
    assert arm.arm() == ''
    closing = chunk(0)
    closing.actions[:, -1] = [0.04] * 4 + [0.0] * 12  # at 0.4 s, which the arm reaches after 0.8 s
    assert arm.accept(closing)
    told_ms = next(arm.ms for _ in range(140)
                   if arm.run(10) or arm.commands[-1][-1] < HOME[-1] - 1e-6)
    assert told_ms == pytest.approx(600, abs=30)
