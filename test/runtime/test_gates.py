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
"""What holds for every gate: it brakes, flushes, latches, and only an explicit arm ends it."""

from collections.abc import Callable
from dataclasses import replace
import re

from faster_ros.interfaces import RobotState
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime import supervisor
from faster_ros.runtime.controller import MotionController
from faster_ros.runtime.deadman import Deadman
import numpy as np
from perfect_arm import Arm, chunk, HOME, MS, SPEC, state, T0
import pytest

WALLS = {'x_max': Kinematics(SPEC).forward(HOME[:7])[0][0] + 0.05}
GATES = sorted(re.findall(r'^    (\w+_\w+) {2,}\S', supervisor.__doc__, re.MULTILINE))


class Gated(Arm):
    """A running arm with all gates; the fault changes what it measures, hears or is sent."""

    def __init__(self) -> None:
        super().__init__(RobotSpec.from_dict(SPEC.to_dict() | {'workspace': WALLS}, 'x.yaml'),
                         deadman=Deadman('/joy', 0, 0.3))
        self.held = True
        self.measured: Callable[[RobotState], RobotState | None] = lambda now: now
        self.follows = True
        self.fed = True
        self.vouches = True
        assert self.start() == ''

    def start(self) -> str:
        self.press()
        return self.controller.arm(self.now_ns, self.measured(state(self.ms, self.positions)))

    def press(self) -> None:
        self.controller.note_buttons([int(self.held)], self.now_ns)

    @property
    def now_ns(self) -> int:
        return T0 + self.ms * MS

    def run(self, milliseconds: int, **_) -> None:
        for _ in range(milliseconds // 10):
            self.ms += 10
            self.press()
            if self.vouches:
                self.controller.note_fresh_until(self.now_ns + 300 * MS)
            if self.fed and self.ms % 100 == 0:
                self.send()
            measured = self.measured(state(self.ms, self.positions))
            command = self.controller.tick(self.now_ns, measured)
            if command is not None:
                self.commands.append(command.positions)
                self.positions = command.positions if self.follows else self.positions

    def send(self, **change) -> bool:
        value = chunk(self.ms, speed=0.0)
        value.actions[:] = self.positions
        value.actions[:, 0] += 0.02 * np.arange(16)
        return self.accept(replace(value, **change))


def measured(**change) -> Callable[[Gated], None]:
    def fault(arm: Gated) -> None:
        arm.measured = lambda now: replace(now, **change)
    return fault


def silence(arm: Gated) -> None:
    last = state(arm.ms, arm.positions)
    arm.measured = lambda now: last


def incomplete(arm: Gated) -> None:
    arm.controller.note_incomplete_state('joint state lacks fr3_joint5')
    silence(arm)


def starve(arm: Gated) -> None:
    arm.fed = False


def stall(arm: Gated) -> None:
    arm.follows = arm.fed = False
    away = np.tile(arm.positions, (16, 1))
    away[:, 0] += 0.05 * np.arange(16)
    arm.ms += 10
    arm.send(actions=away)
    arm.run(1500)


def release(arm: Gated) -> None:
    arm.held = False


def far_target(arm: Gated) -> None:
    arm.fed = False
    arm.controller.reset(arm.now_ns)
    arm.run(300)  # a reset waits for a new first chunk
    arm.send(actions=np.tile(HOME, (16, 1)) + np.eye(8)[2])


def walk_out(arm: Gated) -> None:
    out = np.tile(arm.positions, (16, 1))
    out[:, 3] += 0.12 * np.arange(16)
    arm.fed = False
    arm.ms += 10
    arm.send(actions=out)
    arm.run(1500)


def jump(arm: Gated) -> None:
    rows = np.tile(arm.positions, (16, 1))
    rows[9:, 4] -= 0.6
    arm.ms += 10
    arm.fed = False
    assert not arm.send(actions=rows)


FAULTS: dict[str, Callable[[Gated], None]] = {
    'joint_state_missing': lambda arm: setattr(arm, 'measured', lambda now: None),
    'joint_state_stale': silence,
    'joint_state_not_finite': measured(positions=np.full(8, np.nan)),
    'joint_missing': incomplete,
    'joint_outside_limits': measured(positions=HOME + 60.0 * np.eye(8)[3]),
    'deadman_released': release,
    'driver_not_ready': lambda arm: arm.controller.note_driver('expected true on /ready'),
    'outside_workspace': walk_out,
    'images_stale': lambda arm: setattr(arm, 'vouches', False),
    'chunk_invalid': lambda arm: arm.send(names=('x',) * 8),
    'chunk_jump': jump,
    'policy_problem': lambda arm: arm.controller.note_policy_problem('no camera', arm.now_ns),
    'chunk_starved': starve,
    'too_far_at_engage': far_target,
    'tracking_error': stall,
    'internal_error': lambda arm: arm.controller.trip('internal_error', 'x', arm.now_ns)}


def test_every_documented_gate_is_closed_by_a_test():
    assert sorted(FAULTS) == GATES


@pytest.mark.parametrize('gate', GATES)
def test_a_closed_gate_flushes_brakes_latches_and_needs_an_explicit_arm(gate):
    arm = Gated()
    arm.run(500)
    assert (arm.status.mode, arm.status.waiting) == ('running', False), arm.status
    before = len(arm.commands)
    FAULTS[gate](arm)
    for _ in range(300):
        if arm.status.mode == 'holding':
            break
        arm.run(10)
    assert (arm.status.mode, arm.status.reason) == ('holding', gate)
    assert arm.status.detail
    assert arm.status.remaining_s == 0.0
    acceleration = np.diff(arm.commands[before:], n=2, axis=0) / 1e-4
    assert np.all(np.abs(acceleration) <= 0.5 * 10.0 + 1e-6)  # of the fr3's arm, scaled

    heal(arm)
    late = arm.ms - 200
    arm.run(600)
    still = arm.commands[-1]
    arm.run(1000)
    np.testing.assert_array_equal(arm.commands[-1], still)
    assert (arm.status.mode, arm.status.reason) == ('holding', gate)

    arm.fed = False
    assert arm.start() == ''
    assert not arm.accept(chunk(late))
    arm.run(300)
    np.testing.assert_allclose(arm.commands[-1], still, atol=1e-9)
    assert (arm.status.mode, arm.status.waiting) == ('running', True)
    arm.fed = True
    arm.run(600)
    assert (arm.status.mode, arm.status.waiting) == ('running', False), arm.status
    assert arm.commands[-1][0] > still[0] + 0.02


def heal(arm: Gated) -> None:
    """End the fault, as far as the world is concerned."""
    arm.measured = lambda now: now
    arm.held = arm.follows = arm.fed = arm.vouches = True
    arm.positions = np.array(arm.commands[-1])
    arm.controller.note_incomplete_state('')
    arm.controller.note_driver('')
    arm.controller.note_policy_problem('', arm.now_ns)


@pytest.mark.parametrize('gate', ['joint_state_missing', 'joint_state_stale', 'joint_missing',
                                  'joint_state_not_finite', 'joint_outside_limits',
                                  'driver_not_ready', 'deadman_released'])
def test_a_gate_that_is_closed_at_arming_refuses_it_by_name(gate):
    arm = Gated()
    arm.controller.disarm(arm.now_ns)
    FAULTS[gate](arm)
    arm.ms += 500
    arm.controller.note_buttons([int(arm.held)], arm.now_ns)
    refusal = arm.controller.arm(arm.now_ns, arm.measured(state(arm.ms)))
    assert refusal.startswith(f'{gate}: ')
    assert arm.status.mode == 'disarmed'


def test_a_stop_brakes_at_the_acceleration_limit_then_falls_silent_and_says_who():
    arm = Gated()
    arm.run(1000)
    arm.controller.stop('by ~/stop', arm.now_ns)
    before = len(arm.commands)
    assert (arm.status.mode, arm.status.reason, arm.status.detail) == (
        'disarmed', 'stopped', 'by ~/stop')
    assert arm.status.remaining_s == 0.0
    arm.run(1000)
    speeds = np.diff(arm.commands[before - 1:], axis=0)[:, 0] / 0.01
    assert np.all(np.diff(speeds) < 0)  # every command brakes
    # The mean over the last period, at whose end the arm stands.
    assert 0 <= speeds[-1] < 0.5 * SPEC.limit_array('acceleration')[0] * 0.01
    silent = len(arm.commands)
    arm.run(1000)
    assert len(arm.commands) == silent


def test_the_measured_pose_is_commanded_once_and_only_at_rest():
    arm = Gated()
    assert 'expected one that stands' in arm.controller.hold_measured(arm.now_ns, state(0))
    arm.controller.disarm(arm.now_ns)
    arm.run(500)
    count = len(arm.commands)
    assert arm.controller.hold_measured(arm.now_ns, None).startswith('joint_state_missing')
    pose = HOME + 0.01
    assert arm.controller.hold_measured(arm.now_ns, state(arm.ms, pose)) == ''
    arm.run(100)
    np.testing.assert_array_equal(arm.commands[count:], [pose])


def slowed(share: float, milliseconds: int, feed_ms: int = 300) -> np.ndarray:
    """Follow a policy that sees the arm and moves on at 0.2 rad/s; returns joint 1 over time."""
    arm = Arm()
    assert arm.arm() == ''
    arm.controller.note_driver_speed(share, T0)
    for _ in range(milliseconds // feed_ms):
        arm.accept(chunk(arm.ms, offset=arm.positions[0] - HOME[0] - 0.2e-3 * arm.ms, speed=0.2))
        arm.run(feed_ms)
    assert arm.status.mode == 'running', arm.status
    return np.array(arm.commands)[:, 0]


@pytest.mark.parametrize('share', [1.0, 0.7, 0.3, 0.1])
def test_a_driver_at_a_share_of_its_speed_is_commanded_at_that_share(share):
    speeds = np.diff(slowed(share, 9000)) / 0.01
    joined = speeds[len(speeds) // 2:]  # the first seam is over
    assert np.mean(joined) == pytest.approx(0.2 * share, rel=0.1)
    assert joined.max() <= 0.2 * share * 1.2 + 1e-3


def test_a_driver_at_zero_percent_is_held_without_a_fault_and_goes_on():
    arm = Arm()
    assert arm.arm() == ''
    arm.accept(chunk(0, speed=0.2))
    arm.run(300)
    arm.controller.note_driver_speed(0.0, T0 + arm.ms * MS)
    arm.run(200)
    still = arm.positions[0]
    for _ in range(10):
        arm.accept(chunk(arm.ms, offset=still - HOME[0] - 0.2e-3 * arm.ms, speed=0.2))
        arm.run(500)
    assert abs(arm.positions[0] - still) < 1e-5
    assert (arm.status.mode, arm.status.faults, arm.status.chunks_rejected) == ('running', 0, 0)
    arm.controller.note_driver_speed(1.0, T0 + arm.ms * MS)
    arm.run(500)
    assert arm.positions[0] > still + 0.05


def test_a_slowed_arm_does_not_follow_actions_past_their_end_without_a_policy():
    arm = Arm()
    assert arm.arm() == ''
    arm.controller.note_driver_speed(0.1, T0)
    arm.accept(chunk(0, speed=0.2))
    arm.run(1400)
    assert arm.status.mode == 'running'
    arm.run(900)
    assert (arm.status.mode, arm.status.reason) == ('holding', 'chunk_starved')


def test_a_chunk_from_the_future_is_refused_at_any_speed_of_the_driver():
    controller = MotionController(SPEC)
    controller.arm(T0, state(0))
    controller.note_driver_speed(0.0, T0)
    assert not controller.accept(chunk(500), T0)
    assert 'in the future' in controller.status(T0).problem
