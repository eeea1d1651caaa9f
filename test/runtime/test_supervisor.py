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
"""Each gate holds the arm under its own name, and only an explicit arm frees it."""

from dataclasses import replace

from faster_ros.runtime.controller import MotionController
import numpy as np
from perfect_arm import Arm, chunk, HOME, MS, running, SPEC, state, T0
import pytest


def assert_latched(arm: Arm, reason: str, words: str) -> None:
    assert (arm.status.mode, arm.status.reason) == ('holding', reason)
    assert words in arm.status.detail
    arm.accept(chunk(arm.ms, speed=0.2))
    arm.run(500, moves=reason != 'tracking_error')
    assert arm.status.mode == 'holding'
    stopped = arm.commands[-1]
    arm.run(200)
    np.testing.assert_array_equal(arm.commands[-1], stopped)


def test_disarmed_at_start_nothing_is_commanded():
    arm = Arm()
    arm.accept(chunk(0, speed=0.5))
    arm.run(100)
    assert arm.status.mode == 'disarmed'
    assert arm.commands == []


def test_armed_without_a_chunk_it_stays_and_waits_without_starving():
    arm = Arm()
    arm.arm()
    arm.run(3000)
    assert arm.status.mode == 'running'
    assert arm.status.waiting
    assert arm.status.starved_ticks == 0
    np.testing.assert_array_equal(arm.commands, np.tile(HOME, (300, 1)))


def test_it_follows_the_chunk():
    arm = running()
    arm.run(700)
    assert arm.commands[-1][0] == pytest.approx(0.2 * 1.0, abs=3e-3)


@pytest.mark.parametrize('measured, words', [
    (None, 'joint_state_missing: no joint state received on /joint_states'),
    (state(-300), 'joint_state_stale: newest joint state on /joint_states is 0.30 s old; limit'),
    (state(500), 'stamped 0.50 s in the future'),
    (state(0, np.full(8, np.nan)), 'joint_state_not_finite: fr3_joint1'),
    (replace(state(0), velocities=np.full(8, 0.5)), 'fr3_joint1 moves at 0.50 rad/s'),
])
def test_arming_is_refused_with_the_reason(measured, words):
    controller = MotionController(SPEC)
    assert words in controller.arm(T0, measured)
    assert controller.status(T0).mode == 'disarmed'


def test_stale_joint_states_hold():
    arm = running()
    for _ in range(30):
        arm.ms += 10
        arm.commands.append(arm.controller.tick(T0 + arm.ms * MS, state(300)).positions)
    assert_latched(arm, 'joint_state_stale', 'limit 0.2 s')


def test_a_nan_in_the_measured_state_holds():
    arm = running()
    arm.controller.tick(T0 + 310 * MS, state(310, np.full(8, np.nan)))
    assert_latched(arm, 'joint_state_not_finite', 'fr3_joint1 measured as nan')


@pytest.mark.parametrize('change, words', [
    ({'actions': np.full((16, 8), np.nan)}, 'nan for fr3_joint1'),
    ({'names': ('x',) * 8}, 'has joints x'),
    ({'actions': np.zeros((0, 8))}, 'at least one row'),
])
def test_a_malformed_chunk_holds_a_running_arm(change, words):
    arm = running()
    assert not arm.accept(replace(chunk(300), **change))
    assert words in arm.status.problem
    assert_latched(arm, 'chunk_invalid', words)


def test_an_older_chunk_is_dropped_and_the_arm_goes_on():
    arm = running()
    assert not arm.accept(chunk(0, offset=1.0))
    assert arm.status.mode == 'running'
    assert 'not newer' in arm.status.problem


def test_a_first_target_far_from_the_arm_is_refused_with_the_joint():
    arm = Arm()
    arm.arm()
    arm.accept(chunk(0, offset=0.2))
    controller = arm.controller
    arm.run(200)
    assert controller.status(T0).mode == 'holding'
    assert_latched(arm, 'too_far_at_engage', 'fr3_joint1')
    np.testing.assert_allclose(arm.commands[-1], HOME, atol=2e-2)


def test_a_slow_first_chunk_makes_no_jump():
    arm = Arm()
    arm.arm()
    first = chunk(0, speed=0.5)
    arm.run(600)
    arm.accept(first)
    arm.run(100)
    assert arm.status.mode == 'running'
    assert arm.commands[-1][0] < 0.06


def test_an_arm_that_does_not_follow_is_held():
    arm = running(speed=0.5)
    arm.run(1000, moves=False)
    assert_latched(arm, 'tracking_error', 'fr3_joint1 is at')


def test_running_out_brakes_and_a_new_chunk_within_the_grace_goes_on():
    arm = running()
    arm.run(1500)
    assert arm.status.mode == 'running'
    assert 0 < arm.status.starved_ticks <= 31
    arm.accept(chunk(arm.ms - 100, speed=0.2))
    arm.run(100)
    assert arm.status.mode == 'running'


def test_running_out_for_longer_than_the_grace_latches():
    arm = running()
    arm.run(2500)
    assert_latched(arm, 'chunk_starved', 'no chunk came for 0.5 s')


def test_motion_comes_back_only_after_an_explicit_arm_and_with_a_new_observation():
    arm = running()
    arm.controller.trip('joint_missing', 'fr3_joint5', T0 + arm.ms * MS)
    before = arm.ms
    arm.run(500)
    assert arm.arm() == ''
    assert not arm.accept(chunk(before - 50))
    assert arm.accept(chunk(arm.ms, offset=arm.positions[0], speed=0.0))
    arm.run(100)
    assert (arm.status.mode, arm.status.reason) == ('running', '')
    assert not arm.status.waiting


def test_a_chunk_observed_before_arming_is_not_followed():
    arm = Arm()
    arm.ms = 300
    arm.accept(chunk(0, speed=1.0))
    assert arm.arm() == ''
    arm.run(100)
    assert arm.status.waiting
    np.testing.assert_array_equal(arm.commands[-1], HOME)


def test_arming_is_refused_while_the_arm_brakes():
    arm = running()
    arm.controller.disarm(T0 + arm.ms * MS)
    assert 'still braking' in arm.arm()
    arm.run(500)
    assert arm.arm() == ''


def test_disarm_brakes_and_then_falls_silent():
    arm = running()
    arm.controller.disarm(T0 + arm.ms * MS)
    arm.run(300)
    silent = len(arm.commands)
    arm.run(300)
    assert len(arm.commands) == silent


def test_reset_brakes_and_waits_for_a_new_observation():
    arm = running()
    arm.controller.reset(T0 + arm.ms * MS)
    assert not arm.accept(chunk(arm.ms - 10))
    arm.run(1500)
    assert arm.status.mode == 'running'
    assert arm.status.waiting


def test_the_same_calls_give_the_same_commands():
    np.testing.assert_array_equal(running().commands, running().commands)
