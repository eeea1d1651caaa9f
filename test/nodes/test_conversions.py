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
"""Joints go by name; chunks survive the round trip."""

from array import array

from faster_ros.interfaces import ActionChunk, JointCommand
from faster_ros.nodes import conversions
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from sensor_msgs.msg import JointState

SPEC = load_robot_spec('fr3')
NAMES = SPEC.joint_names
T0 = 5_000_000_123


def state_message(names, velocity: bool = True) -> JointState:
    message = JointState(name=list(names))
    values = {name: 0.1 * place for place, name in enumerate(NAMES)}
    message.position = [values.get(name, 9.0) for name in names]
    message.velocity = [-values.get(name, 9.0) for name in names] if velocity else []
    message.header.stamp = conversions.to_time(T0)
    return message


@pytest.mark.parametrize('names', [NAMES, NAMES[::-1], ('other', *NAMES[3:], *NAMES[:3])])
def test_joints_are_found_by_name_whatever_their_order(names):
    state = conversions.state_from_message(state_message(names), SPEC)
    assert state.stamp_ns == T0
    np.testing.assert_allclose(state.positions, 0.1 * np.arange(8))
    np.testing.assert_allclose(state.velocities, -0.1 * np.arange(8))


def test_velocities_that_were_not_sent_are_not_invented():
    state = conversions.state_from_message(state_message(NAMES, velocity=False), SPEC)
    assert np.isnan(state.velocities).all()


def test_missing_joints_are_named():
    with pytest.raises(ValueError, match='lacks fr3_joint2, fr3_finger_joint1; it has fr3_j'):
        conversions.state_from_message(
            state_message([NAMES[0], *NAMES[2:7]]), SPEC)


def test_a_state_without_positions_is_refused():
    message = state_message(NAMES)
    message.position = []
    with pytest.raises(ValueError, match='8 names and 0 positions'):
        conversions.state_from_message(message, SPEC)


def chunk(rows: int = 16) -> ActionChunk:
    return ActionChunk(T0, 100_000_000, np.random.default_rng(1).normal(size=(rows, 8)), NAMES)


@pytest.mark.parametrize('rows', [1, 16])
def test_a_chunk_survives_the_round_trip(rows):
    sent = chunk(rows)
    got = conversions.chunk_from_message(conversions.chunk_to_message(sent))
    np.testing.assert_array_equal(got.actions, sent.actions)
    assert (got.start_ns, got.names) == (sent.start_ns, sent.names)
    assert rows == 1 or got.step_ns == sent.step_ns


def test_a_chunk_without_points_is_refused():
    message = conversions.chunk_to_message(chunk())
    message.points = []
    with pytest.raises(ValueError, match='no points'):
        conversions.chunk_from_message(message)


def test_a_chunk_with_a_short_row_is_refused():
    message = conversions.chunk_to_message(chunk())
    message.points[2].positions = array('d', [1.0])
    with pytest.raises(ValueError, match='rows of 1, 8 positions; expected 8'):
        conversions.chunk_from_message(message)


def test_a_chunk_with_uneven_times_is_refused():
    message = conversions.chunk_to_message(chunk())
    message.points[2].time_from_start.nanosec += 5
    with pytest.raises(ValueError, match='evenly spaced times from 0'):
        conversions.chunk_from_message(message)


def test_a_command_is_recorded_as_it_was_sent():
    message = conversions.command_to_state(
        JointCommand(T0, SPEC.home_positions, np.ones(8)), NAMES)
    assert tuple(message.name) == NAMES
    np.testing.assert_array_equal(message.position, SPEC.home_positions)
