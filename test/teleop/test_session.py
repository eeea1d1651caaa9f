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
"""A person at the real controller: takes over and hands back without a bump, inside the limits."""

from faster_ros.interfaces import ActionChunk
from faster_ros.teleop.joint_leader import JointLeader
from faster_ros.teleop.session import Lead, PAUSED
from faster_ros.teleop.teleop_spec import JointLeaderSpec
from guided_arm import GuidedArm, HOME, MS, SPEC
from hypothesis import given, settings, strategies as st
import numpy as np

NAMES = SPEC.driver_joint_names[:7]
VELOCITY = SPEC.limit_array('velocity') * SPEC.velocity_scale
ACCELERATION = SPEC.limit_array('acceleration') * SPEC.acceleration_scale


def guided(with_policy=False, positions=HOME[:7]):
    leader = JointLeader(SPEC, JointLeaderSpec('/leader'), 0.2)
    arm = GuidedArm(leader, with_policy)
    arm.leader = leader
    leader.hear(NAMES, positions, arm.now_ns)
    return arm


def lead(arm, course):
    """Return what lets the leader go along ``course``, a function of s."""
    begin = arm.now_ns

    def hear(now_ns):
        arm.leader.hear(NAMES, course((now_ns - begin) * 1e-9), now_ns)
    return hear


def policy_chunk(arm, speed):
    actions = np.tile(arm.commands[-1], (16, 1))
    actions[:, 0] += speed * 0.1 * np.arange(16)
    return ActionChunk(arm.now_ns, 100 * MS, actions, SPEC.joint_names)


def assert_within_limits(commands):
    velocities = np.diff(commands, axis=0) * 100.0
    assert (np.abs(velocities) <= VELOCITY + 1e-9).all()
    assert (np.abs(np.diff(velocities, axis=0)) * 100.0 <= ACCELERATION * (1 + 1e-9)).all()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=7, max_size=7))
def test_engaging_a_leader_of_any_pose_moves_nothing(positions):
    arm = guided(positions=positions)
    assert arm.engage() == ''
    commands = arm.run(300, lead(arm, lambda _: positions))
    np.testing.assert_array_equal(commands, np.tile(HOME, (len(commands), 1)))
    assert arm.status.mode == 'running'


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.floats(-0.45, 0.45)), min_size=1, max_size=12))
def test_however_the_leader_is_thrown_about_the_commands_keep_the_limits(jumps):
    arm = guided()
    assert arm.engage() == ''
    place = HOME[:7].copy()
    for joint, jump in jumps:
        place[joint] += jump
        there = place.copy()
        commands = arm.run(100, lead(arm, lambda _: there))  # noqa: B023
        assert_within_limits(commands)
    assert arm.status.mode == 'running'
    assert (np.abs(np.array(arm.commands[-1])[:7]) < 3.1).all()


def test_the_arm_follows_the_leader():
    arm = guided()
    assert arm.engage() == ''
    arm.run(3000, lead(arm, lambda s: HOME[:7] + 0.3 * np.sin(s) * np.eye(7)[0]))
    behind = 0.3 * np.sin(3.0) - arm.commands[-1][0]
    assert abs(behind) < 0.3 * 0.12  # rad: within 0.12 s of a leader at 0.3 rad/s
    arm.run(500, lead(arm, lambda _: HOME[:7] + 0.2 * np.eye(7)[0]))
    assert abs(arm.commands[-1][0] - 0.2) < 1e-6


def test_a_lost_leader_holds_the_arm_and_only_engaging_again_moves_it():
    arm = guided()
    assert arm.engage() == ''
    arm.run(300, lead(arm, lambda s: HOME[:7] + 0.3 * s))
    arm.run(1000)
    assert arm.session.lead is Lead.HOLD
    assert arm.session.reason == 'nothing received on /leader for 0.22 s; limit 0.2 s'
    assert arm.status.mode == 'running'
    commands = arm.run(1000, lead(arm, lambda s: HOME[:7] - 0.3 * s))
    np.testing.assert_allclose(commands, np.tile(commands[0], (len(commands), 1)), atol=1e-9)
    assert arm.engage() == ''
    assert_within_limits(arm.run(1000, lead(arm, lambda s: HOME[:7] - 0.3 - 0.1 * s)))
    assert arm.commands[-1][0] < commands[0][0] - 0.08


def test_a_person_takes_over_from_a_moving_policy_without_a_jump_or_a_swing_back():
    arm = guided(with_policy=True)
    assert arm.session.passes(arm.now_ns)
    arm.controller.accept(policy_chunk(arm, speed=0.5), arm.now_ns)
    arm.run(600, lead(arm, lambda _: HOME[:7]))
    assert arm.velocities[0] > 0.45
    before = len(arm.commands)
    assert arm.engage() == ''
    assert not arm.session.passes(arm.now_ns)
    arm.run(1000, lead(arm, lambda _: HOME[:7]))
    commands = np.array(arm.commands[before - 3:])
    assert_within_limits(commands)
    speeds = np.diff(commands[:, 0]) * 100.0
    assert speeds.min() > -0.01
    assert speeds[-1] == 0.0
    assert 0.05 < commands[-1][0] - commands[2][0] < 0.12


def test_a_hold_brings_a_moving_policy_to_rest_until_it_is_handed_back():
    arm = guided(with_policy=True)
    arm.controller.accept(policy_chunk(arm, speed=0.5), arm.now_ns)
    arm.run(600, lead(arm, lambda _: HOME[:7]))
    arm.session.hold(arm.commands[-1], arm.velocities, PAUSED)
    assert not arm.session.passes(arm.now_ns + MS)
    commands = arm.run(1000)
    assert_within_limits(commands)
    assert np.diff(commands[:, 0]).min() > -1e-4
    assert arm.velocities[0] == 0.0
    assert arm.session.hand_back(arm.now_ns) is not None
    assert arm.session.lead is Lead.POLICY


def test_handing_back_waits_for_what_the_policy_sees_from_then_on():
    arm = guided(with_policy=True)
    assert arm.engage() == ''
    arm.run(500, lead(arm, lambda s: HOME[:7] + 0.2 * s))
    seen_before = arm.now_ns - 50 * MS
    arm.controller.accept(arm.session.hand_back(arm.now_ns), arm.now_ns)
    assert arm.session.lead is Lead.POLICY
    assert not arm.session.passes(seen_before)
    arm.run(1000)  # without an answer of the policy: it waits
    assert arm.status.mode == 'running'
    chunk = policy_chunk(arm, speed=0.2)
    assert arm.session.passes(chunk.start_ns)
    assert arm.controller.accept(chunk, arm.now_ns)
    assert_within_limits(arm.run(1000))
    assert arm.velocities[0] > 0.15
    assert arm.status.chunks_rejected == 0


def test_a_leader_that_is_lost_does_not_hand_back_to_the_policy():
    arm = guided(with_policy=True)
    assert arm.engage() == ''
    arm.run(500)
    assert arm.session.lead is Lead.HOLD
    assert not arm.session.passes(arm.now_ns)
    assert arm.session.hand_back(arm.now_ns) is not None
    assert arm.session.lead is Lead.POLICY


def test_a_leader_that_was_never_heard_is_refused():
    arm = GuidedArm(JointLeader(SPEC, JointLeaderSpec('/leader'), 0.2))
    assert arm.engage() == 'nothing received on /leader'
    assert arm.session.lead is Lead.IDLE
    assert arm.session.tick(arm.now_ns) is None


@settings(max_examples=10, deadline=None)
@given(st.floats(-1.0, 1.0), st.booleans(), st.integers(1, 40))
def test_releasing_a_leader_holds_the_arm_with_a_policy_as_without(speed, with_policy, periods):
    arm = guided(with_policy)
    assert arm.engage() == ''
    arm.run(20 * periods, lead(arm, lambda s: HOME[:7] + speed * s * np.eye(7)[0]))
    arm.session.release()
    assert arm.session.lead is Lead.HOLD
    assert not arm.session.passes(arm.now_ns + MS)
    commands = arm.run(1500)
    assert_within_limits(commands)
    np.testing.assert_allclose(arm.velocities, np.zeros(8), atol=1e-9)
    assert arm.status.mode == 'running'
    assert np.abs(arm.commands[-1] - arm.session.target).max() < 1e-9


def test_a_policy_that_is_taken_over_by_a_leader_that_cannot_lead_yet_is_held():
    arm = GuidedArm(JointLeader(SPEC, JointLeaderSpec('/leader'), 0.2), with_policy=True)
    arm.controller.accept(policy_chunk(arm, speed=0.5), arm.now_ns)
    arm.run(600)
    assert arm.engage() == 'nothing received on /leader'
    assert (arm.session.lead, arm.session.reason) == (Lead.HOLD, 'nothing received on /leader')
    assert_within_limits(arm.run(1000))
    assert arm.velocities[0] == 0.0


def test_after_a_gate_in_a_persons_lead_nobody_leads_until_one_engages_or_hands_back():
    arm = guided(with_policy=True)
    assert arm.engage() == ''
    arm.run(300, lead(arm, lambda s: HOME[:7] + 0.3 * s))
    arm.controller.trip('tracking_error', 'a test', arm.now_ns)
    arm.session.stop('control_node is not running')
    assert arm.session.lead is Lead.IDLE
    arm.run(1000)
    assert arm.arm() == ''
    assert arm.session.tick(arm.now_ns) is None
    assert not arm.session.passes(arm.now_ns + MS)
    assert arm.status.waiting
    assert arm.session.hand_back(arm.now_ns) is None
    assert arm.session.passes(arm.now_ns + MS)


def test_a_gate_in_the_policys_lead_leaves_it_the_lead_unless_a_person_takes_it():
    arm = guided(with_policy=True)
    arm.session.stop('control_node is not running')
    assert arm.session.lead is Lead.POLICY
    arm.session.take_from_policy('control_node is not running')
    assert arm.session.lead is Lead.IDLE
    assert not arm.session.passes(arm.now_ns + MS)
