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
"""The states of two arms are one state, as old as its oldest part."""

from faster_ros.interfaces import RobotState
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.joint_states import JointStates
import numpy as np

COBOT = load_robot_spec('cobot_magic')


def state(stamp_ns: int, value: float) -> RobotState:
    return RobotState(stamp_ns, np.full(7, value), np.full(7, -value))


def test_a_robot_with_one_arm_has_its_state_at_once():
    states = JointStates(load_robot_spec('fr3'))
    merged = states.add('', RobotState(5, np.arange(8.0), np.zeros(8)))
    assert merged.stamp_ns == 5
    np.testing.assert_array_equal(merged.positions, np.arange(8.0))
    assert states.problem == states.missing == ''


def test_two_arms_are_merged_in_their_order_with_the_older_stamp_and_its_topic():
    states = JointStates(COBOT)
    assert states.add('right', state(30, 2.0)) is None
    assert states.missing == 'no joint state of arm left received on /joint_states_single_l'
    merged = states.add('left', state(20, 1.0))
    np.testing.assert_array_equal(merged.positions, [1.0] * 7 + [2.0] * 7)
    np.testing.assert_array_equal(merged.velocities, [-1.0] * 7 + [-2.0] * 7)
    assert (merged.stamp_ns, merged.topic) == (20, '/joint_states_single_l')
    merged = states.add('left', state(40, 3.0))
    assert (merged.stamp_ns, merged.topic) == (30, '/joint_states_single_r')
    assert states.missing == ''


def test_speeds_that_a_driver_does_not_report_are_the_way_since_its_message_before():
    states, silent = JointStates(load_robot_spec('fr3')), np.full(8, np.nan)
    first = states.add('', RobotState(10**9, np.zeros(8), silent))
    assert np.isnan(first.velocities).all()
    second = states.add('', RobotState(10**9 + 5_000_000, np.full(8, 0.002), silent))
    np.testing.assert_allclose(second.velocities, 0.4)
    same = states.add('', RobotState(10**9 + 5_000_000, np.full(8, 0.003), silent))
    assert np.isnan(same.velocities).all()  # no time has passed
    told = states.add('', RobotState(10**9 + 10_000_000, np.zeros(8), np.full(8, 0.1)))
    np.testing.assert_array_equal(told.velocities, 0.1)


def test_an_arm_that_was_never_heard_is_named_and_nothing_is_made_up():
    states = JointStates(COBOT)
    assert states.missing == ''  # nothing at all was heard: no arm is worse than the other
    for stamp in range(5):
        assert states.add('left', state(stamp, 1.0)) is None
    assert states.missing == 'no joint state of arm right received on /joint_states_single_r'


def test_a_fault_of_one_arm_stays_until_that_arm_sends_a_good_message():
    states = JointStates(COBOT)
    states.refuse('right', 'right lacks joint3')
    states.add('left', state(1, 1.0))
    assert states.problem == 'right lacks joint3'
    states.add('right', state(2, 1.0))
    assert states.problem == ''
