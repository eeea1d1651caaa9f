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
"""A mobile base keeps its limits, and ends in exact zeros whenever the arms stop."""

from dataclasses import replace

from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.base_motion import BaseMotion
from faster_ros.runtime.controller import MotionController
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

MOBILE = load_robot_spec('cobot_magic_mobile')
HOME = MOBILE.home_positions
MS = 1_000_000
T0 = 3_000_000_000_000
LIMIT = np.array([MOBILE.base.linear_velocity, MOBILE.base.angular_velocity])
ACCELERATION = np.array([MOBILE.base.linear_acceleration, MOBILE.base.angular_acceleration])

wild = st.floats(-1e6, 1e6)


def chunk_of(rows) -> ActionChunk:
    actions = np.column_stack([np.tile(HOME, (len(rows), 1)), np.array(rows)])
    return ActionChunk(T0, 10 * MS, actions, MOBILE.action_names)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(wild, wild), min_size=1, max_size=40), st.data())
def test_any_targets_keep_the_limits_and_none_leads_to_exact_zero(rows, data):
    motion, last = BaseMotion(MOBILE, 0.01), np.zeros(2)
    motion.take(chunk_of(rows))
    for tick in range(len(rows)):
        due = data.draw(st.booleans())
        velocity = motion.step(T0 + tick * 10 * MS if due else None)
        assert np.all(np.abs(velocity) <= LIMIT)
        assert np.all(np.abs(velocity - last) <= ACCELERATION * 0.01 + 1e-12)
        last = velocity
    for _ in range(60):
        last = motion.step(None)
    assert list(last) == [0.0, 0.0]
    assert not motion.moving


def state(now: int) -> RobotState:
    return RobotState(now, HOME, np.zeros(14))


def driving() -> tuple[MotionController, int]:
    """Return a controller that drives the base at its full speed, and the time."""
    controller, now = MotionController(MOBILE), T0
    assert controller.arm(now, state(now)) == ''
    actions = np.tile(np.append(HOME, [9.0, -9.0]), (16, 1))
    assert controller.accept(ActionChunk(now, 100 * MS, actions, MOBILE.action_names), now)
    for _ in range(80):
        now += 10 * MS
        command = controller.tick(now, state(now))
    np.testing.assert_array_equal(command.base, [0.2, -0.5])
    return controller, now


def after(controller: MotionController, now: int, ticks: int) -> np.ndarray:
    command = None
    for _ in range(ticks):
        now += 10 * MS
        command = controller.tick(now, state(now)) or command
    return command.base


def test_the_base_stops_when_the_actions_run_out():
    controller, now = driving()
    np.testing.assert_array_equal(after(controller, now, 200), [0.0, 0.0])


def test_the_base_stops_on_a_fault_and_stays_so_while_holding():
    controller, now = driving()
    controller.trip('internal_error', 'test', now)
    np.testing.assert_array_equal(after(controller, now, 50), [0.0, 0.0])


@pytest.mark.parametrize('problem', ['', 'an emergency stop'])
def test_the_base_stands_while_an_arm_that_is_held_is_moved_by_hand(problem):
    controller, now = driving()
    controller.trip('internal_error', 'test', now)
    after(controller, now, 50)
    now += 500 * MS
    controller.note_driver(problem)
    middle = 0.5 * (MOBILE.limit_array('lower') + MOBILE.limit_array('upper'))
    moved = replace(state(now), positions=HOME + 0.4 * MOBILE.arm_mask * np.sign(middle - HOME))
    driven, told = [], 0
    for _ in range(200):
        now += 10 * MS
        command = controller.tick(now, replace(moved, stamp_ns=now))
        if command is not None:
            driven.append(command.base)
            told = np.abs(command.positions - moved.positions).max()
    assert told < 1e-9  # the arms stay where they were moved to
    assert not np.any(driven)


def test_the_base_stops_after_a_disarm_before_nothing_is_commanded():
    controller, now = driving()
    controller.disarm(now)
    assert controller.moving
    np.testing.assert_array_equal(after(controller, now, 60), [0.0, 0.0])
    assert not controller.moving
    assert controller.tick(now + 10**9, state(now + 10**9)) is None


def test_a_chunk_without_the_columns_of_the_base_is_refused():
    controller = MotionController(MOBILE)
    controller.arm(T0, state(T0))
    chunk = ActionChunk(T0, 100 * MS, np.tile(HOME, (16, 1)), MOBILE.joint_names)
    assert not controller.accept(chunk, T0)
    assert controller.status(T0).reason == 'chunk_invalid'
