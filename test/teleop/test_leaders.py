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
"""Leaders: clutches that do not drift, engagement that moves nothing, outputs inside limits."""

from dataclasses import replace

from faster_ros.kinematics import Kinematics
from faster_ros.teleop.joint_leader import JointLeader
from faster_ros.teleop.pose_leader import PoseLeader
from faster_ros.teleop.rate_leader import JoyLeader, TwistLeader
from faster_ros.teleop.teleop_spec import (
    Axis,
    GripperMap,
    JointLeaderSpec,
    JointMap,
    JoyLeaderSpec,
    PoseLeaderSpec,
    TwistLeaderSpec,
)
from guided_arm import HOME, SPEC
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

ARM = HOME[:7]
NAMES = SPEC.driver_joint_names[:7]
small = st.floats(-0.04, 0.04)
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])


def joint_leader(**options):
    return JointLeader(SPEC, JointLeaderSpec('/leader', **options), 0.2)


def hear(leader, positions, handle=0.0):
    leader.hear([*NAMES, 'handle'], [*positions, handle], 0)


@given(st.lists(st.floats(-2, 2), min_size=7, max_size=7), st.lists(small, min_size=7, max_size=7))
def test_a_joint_clutch_that_is_closed_and_opened_where_it_was_leaves_the_arm_where_it_was(
        start, motion):
    leader = joint_leader()
    joints = ARM
    hear(leader, start)
    for _ in range(20):
        assert leader.engage(joints, 1.0) == ''
        np.testing.assert_array_equal(leader.step(joints, 0.02), joints)
        hear(leader, np.add(start, motion))
        moved = leader.step(joints, 0.02)
        np.testing.assert_allclose(moved, joints + motion, atol=1e-12)
        hear(leader, start)
        joints = leader.step(moved, 0.02)
        np.testing.assert_array_equal(joints, ARM)


def test_scale_and_offset_make_robot_joints_of_the_leaders():
    leader = joint_leader(joints={NAMES[0]: JointMap('servo', -2.0, 0.5)})
    for servo in (0.1, 0.2):
        leader.hear(['servo', *NAMES[1:]], [servo, *ARM[1:]], 0)
        if servo == 0.1:
            assert leader.engage(ARM, 1.0) == ''
    assert leader.step(ARM, 0.02)[0] == pytest.approx(ARM[0] - 0.2)


def test_an_absolute_leader_closes_the_gap_at_its_speed_and_refuses_a_wide_one():
    leader = joint_leader(follow='absolute', align_within=0.3, align_speed=0.2)
    hear(leader, ARM + 0.1)
    assert leader.engage(ARM, 1.0) == ''
    joints = ARM
    for _ in range(30):
        before, joints = joints, leader.step(joints, 0.02)
        assert np.abs(joints - before).max() <= 0.004 + 1e-12
    np.testing.assert_allclose(joints, ARM + 0.1, atol=1e-12)
    hear(leader, ARM + 0.4 * np.eye(7)[0])
    refusal = leader.engage(ARM, 1.0)
    assert 'fr3_joint1 of the leader asks for 0.40 rad, the arm is at 0.00' in refusal


def test_a_joint_that_is_missing_is_named_and_one_that_jumps_ends_the_lead():
    leader = joint_leader()
    with pytest.raises(ValueError, match='lacks fr3_joint7; it has fr3_joint1'):
        leader.hear(NAMES[:6], ARM[:6], 0)
    hear(leader, ARM)
    assert leader.engage(ARM, 1.0) == ''
    assert leader.problem(0) == ''
    hear(leader, ARM + [0, 0, 6.28, 0, 0, 0, 0])
    assert 'fr3_joint3 of the leader on /leader jumped by 6.28 rad' in leader.problem(0)


def test_a_silent_leader_is_lost():
    leader = joint_leader()
    assert leader.problem(0) == 'nothing received on /leader'
    hear(leader, ARM)
    assert leader.problem(150_000_000) == ''
    assert 'for 0.25 s; limit 0.2 s' in leader.problem(250_000_000)


def test_a_gripper_that_holds_something_opens_only_after_the_handle_was_closed():
    leader = joint_leader(gripper=GripperMap(leader='handle', closed=0.0, open=-0.8))
    hear(leader, ARM, handle=-0.8)
    leader.engage(ARM, 0.0)
    assert leader.grip(0.0) == 0.0
    hear(leader, ARM, handle=-0.4)
    assert leader.grip(0.0) == 0.0
    hear(leader, ARM, handle=-0.02)
    assert leader.grip(0.0) == pytest.approx(0.025)
    hear(leader, ARM, handle=-0.8)
    assert leader.grip(0.0) == 1.0


def test_a_handle_with_a_topic_of_its_own_leads_the_gripper_and_is_missed_when_silent():
    leader = joint_leader(gripper=GripperMap(topic='/handle', closed=20.0, open=100.0))
    leader.hear(NAMES, ARM, 0)
    assert leader.problem(0) == 'nothing received on /handle'
    with pytest.raises(ValueError, match='/handle says nan; expected a finite number'):
        leader.hear_handle(np.nan, 0)
    leader.hear_handle(100.0, 0)
    assert leader.engage(ARM, 0.0) == ''
    assert leader.grip(0.0) == 0.0  # an open handle does not drop what the gripper holds
    leader.hear_handle(10.0, 0)
    assert leader.grip(0.0) == 0.0
    leader.hear_handle(60.0, 0)
    assert leader.grip(0.0) == pytest.approx(0.5)
    leader.hear(NAMES, ARM, 250_000_000)
    assert leader.problem(250_000_000) == 'nothing received on /handle for 0.25 s; limit 0.2 s'


@settings(max_examples=20, deadline=None)
@given(st.lists(small, min_size=3, max_size=3), st.lists(small, min_size=3, max_size=3),
       st.floats(-3.1, 3.1))
def test_a_pose_clutch_does_not_drift(shift, turn, yaw):
    leader = PoseLeader(SPEC, PoseLeaderSpec('/hand', yaw=yaw), 0.3)
    kinematics = Kinematics(SPEC)
    place, rotation = kinematics.forward(ARM)
    joints, quaternion = ARM, Rotation.from_rotvec(turn).as_quat()
    leader.hear(np.zeros(3), NO_TURN, 0)
    for _ in range(10):
        assert leader.engage(joints, 1.0) == ''
        np.testing.assert_array_equal(leader.step(joints, 0.02), joints)
        for share in (0.5, 1.0, 0.5):
            leader.hear(share * np.array(shift), quaternion, 0)
            joints = leader.step(joints, 0.02)
            assert leader.note == ''
        leader.hear(np.zeros(3), NO_TURN, 0)
        joints = leader.step(joints, 0.02)
    end = kinematics.forward(joints)
    np.testing.assert_allclose(end[0], place, atol=2e-6)
    np.testing.assert_allclose(end[1], rotation, atol=4e-6)


def test_the_tool_moves_as_the_hand_does_in_the_robots_frame():
    leader = PoseLeader(SPEC, PoseLeaderSpec('/hand', scale=0.5, yaw=np.pi / 2), 0.3)
    kinematics = Kinematics(SPEC)
    leader.hear(np.zeros(3), NO_TURN, 0)
    leader.engage(ARM, 1.0)
    leader.hear(np.array([0.04, 0.0, 0.0]), Rotation.from_rotvec([0.1, 0, 0]).as_quat(), 0)
    place, rotation = kinematics.forward(leader.step(ARM, 0.02))
    before = kinematics.forward(ARM)
    np.testing.assert_allclose(place - before[0], [0, 0.02, 0], atol=2e-6)
    turned = Rotation.from_matrix(rotation @ before[1].T).as_rotvec()
    np.testing.assert_allclose(turned, [0, 0.1, 0], atol=2e-6)


def test_a_pose_out_of_reach_leaves_the_arm_and_a_tracker_that_jumps_ends_the_lead():
    leader = PoseLeader(SPEC, PoseLeaderSpec('/hand', scale=20.0), 0.3)
    leader.hear(np.zeros(3), NO_TURN, 0)
    leader.engage(ARM, 1.0)
    leader.hear(np.array([0.09, 0.0, 0.0]), NO_TURN, 0)
    np.testing.assert_array_equal(leader.step(ARM, 0.02), ARM)
    assert leader.note == 'the pose is out of reach from where the arm is'
    assert leader.problem(0) == ''
    leader.hear(np.array([0.5, 0.0, 0.0]), NO_TURN, 0)
    assert 'the pose on /hand jumped by 0.41 m' in leader.problem(0)
    with pytest.raises(ValueError, match='quaternion of norm 1'):
        leader.hear(np.zeros(3), np.zeros(4), 0)


def test_a_stick_at_rest_moves_nothing_and_a_deflected_one_moves_the_tool_at_its_speed():
    leader = JoyLeader(SPEC, JoyLeaderSpec('/joy', cartesian={'z': Axis(0.1, axis=1)}), 0.3)
    leader.hear([0.0, 0.05], [], 0)
    np.testing.assert_array_equal(leader.step(ARM, 0.02), ARM)
    leader.hear([0.0, 1.0], [], 0)
    joints = ARM
    for _ in range(50):
        joints = leader.step(joints, 0.02)
    kinematics = Kinematics(SPEC)
    place, rotation = kinematics.forward(joints)
    before = kinematics.forward(ARM)
    np.testing.assert_allclose(place - before[0], [0, 0, 0.1], atol=5e-6)
    np.testing.assert_allclose(rotation, before[1], atol=5e-6)


def test_the_mode_button_changes_to_joints_which_stop_at_their_limits():
    spec = JoyLeaderSpec('/joy', cartesian={'x': Axis(0.1, axis=0)},
                         joints={'7': Axis(5.0, plus=1, minus=2)}, mode=0)
    leader = JoyLeader(SPEC, spec, 0.3)
    for mode in (0, 1, 1, 0):
        leader.hear([0.0], [mode, 0, 0], 0)
    leader.hear([1.0], [0, 1, 0], 0)
    joints = ARM
    for _ in range(100):
        joints = leader.step(joints, 0.02)
    assert joints[6] == pytest.approx(SPEC.joints['fr3_joint7'].upper - SPEC.position_margin)
    np.testing.assert_array_equal(joints[:6], ARM[:6])


def test_a_twist_is_scaled_and_may_be_along_the_tool():
    leader = TwistLeader(SPEC, TwistLeaderSpec('/twist', 0.2, 1.0, frame='tool'), 0.3)
    leader.hear([0, 0, 0.5, 0, 0, 0.01], 0)
    kinematics = Kinematics(SPEC)
    before = kinematics.forward(ARM)
    place, _ = kinematics.forward(leader.step(ARM, 0.02))
    np.testing.assert_allclose(before[1].T @ (place - before[0]), [0, 0, 0.002], atol=2e-6)
    with pytest.raises(ValueError, match='finite'):
        leader.hear([np.nan] * 6, 0)


def test_a_joystick_with_too_few_axes_is_named():
    leader = JoyLeader(SPEC, JoyLeaderSpec('/joy', cartesian={'x': Axis(0.1, axis=3)}), 0.3)
    with pytest.raises(ValueError, match='/joy reports 2 axes; expected one with the number 3'):
        leader.hear([0.0, 0.0], [], 0)


def test_the_tool_is_led_in_the_frame_that_it_is_given():
    turned = replace(SPEC, base_frame='fr3_link1')
    assert PoseLeader(turned, PoseLeaderSpec('/hand'), 0.3).note == ''
