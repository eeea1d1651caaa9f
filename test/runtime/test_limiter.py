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
"""The limiter never exceeds a limit, and follows what keeps the limits."""

from dataclasses import replace

from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.limiter import Limiter
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
PERIOD = 0.01
HOME = SPEC.home_positions
ENVELOPE = slice(0, 7)


def started(period: float = PERIOD) -> Limiter:
    limiter = Limiter(SPEC, period)
    limiter.start(HOME)
    return limiter


def run(limiter: Limiter, targets) -> np.ndarray:
    """Step through targets (N, D); None holds. Returns the commands with the start, (N+1, D)."""
    return drive(limiter, targets)[0]


def drive(limiter: Limiter, targets) -> np.ndarray:
    """Return positions, velocities, accelerations of start and commands: (3, N+1, D)."""
    states = [(limiter.positions, limiter.velocities, limiter.accelerations)]
    for target in targets:
        limiter.hold() if target is None else limiter.step(target)
        states.append((limiter.positions, limiter.velocities, limiter.accelerations))
    return np.array(states).swapaxes(0, 1)


def assert_within_limits(limiter: Limiter, states: np.ndarray, period: float = PERIOD) -> None:
    """Check the commands and the curve between them, which is a cubic (`test_between_...`)."""
    for share in (0.0, 0.3, 0.7, 0.999):
        positions, velocities, accelerations = between(states, share, period)
        assert (positions >= limiter.lower - 1e-9).all()
        assert (positions <= limiter.upper + 1e-9).all()
        assert (np.abs(velocities) <= limiter.velocity_limit + 1e-7).all()
        assert (np.abs(accelerations) <= limiter.acceleration_limit + 1e-5).all()
        allowed = vendor_envelope(positions)
        assert (velocities[:, ENVELOPE] <= allowed[0] + 1e-6).all()
        assert (-velocities[:, ENVELOPE] <= allowed[1] + 1e-6).all()
    jerk = np.diff(states[2], axis=0) / period
    assert (np.abs(jerk[:, ENVELOPE]) <= 5000.0 * SPEC.acceleration_scale + 1e-3).all()


def between(states: np.ndarray, share: float, period: float) -> np.ndarray:
    """Evaluate the curve at that share of each period: acceleration straight, (3, N, D)."""
    (start, speed, bend), after = states[:, :-1], states[2, 1:]
    time, change = share * period, share * (after - bend)
    return np.array([start + time * speed + time**2 * (bend / 2 + change / 6),
                     speed + time * (bend + change / 2), bend + change])


def vendor_envelope(positions: np.ndarray) -> np.ndarray:
    """Return the velocities that Franka allows upwards and downwards, (2, N, 7)."""
    offset = np.array([0.30, 0.20, 0.20, 0.30, 0.35, 0.35, 0.35])
    brake = np.array([6.0, 2.585, 3.5, 4.0, 17.0, 5.5, 17.0])
    upper, lower = (SPEC.limit_array(name)[ENVELOPE] for name in ('upper', 'lower'))
    gaps = np.array([upper - positions[:, ENVELOPE], positions[:, ENVELOPE] - lower])
    return np.maximum(0.0, -offset + np.sqrt(np.maximum(0.0, 2 * brake * gaps)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-4, 0.03, 1.0, 10.0, 1e6]),
       period=st.sampled_from([0.001, 0.004, 0.01, 0.02]))
def test_no_input_makes_it_exceed_a_limit(seed, scale, period):
    rng = np.random.default_rng(seed)
    limiter = started(period)
    targets: list = []
    while len(targets) < 300:
        kind, ticks = rng.integers(4), int(rng.integers(1, 60))
        base = HOME + scale * rng.normal(size=8)
        if kind == 0:
            targets += [base] * ticks
        elif kind == 1:
            targets += list(base + np.cumsum(scale * 0.1 * rng.normal(size=(ticks, 8)), axis=0))
        elif kind == 2:
            targets += list(np.linspace(base, HOME + scale * rng.normal(size=8), ticks))
        else:
            targets += [None] * ticks
    assert_within_limits(limiter, drive(limiter, targets), period)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_slowed_arm_brakes_to_its_share_of_the_velocity_limits(seed, first, second):
    limiter, rng = started(), np.random.default_rng(seed)
    full, acceleration = limiter.velocity_limit, limiter.acceleration_limit
    longest = round(((full / acceleration)[:7].max() + limiter.delay_s) / PERIOD) + 2
    for share in (1.0, first, second):
        limiter.slow_down(share)
        targets = [HOME + rng.normal(size=8) for _ in range(10) for _ in range(30)]
        _, velocities, accelerations = drive(limiter, targets)
        assert (np.abs(accelerations) <= acceleration + 1e-5).all()
        assert (np.abs(velocities) <= full + 1e-7).all()
        assert (np.abs(velocities[longest:, :7]) <= share * full[:7] + 1e-7).all()
        assert np.abs(velocities[:, 7]).max() > 0.5 * full[7]  # the gripper's driver is another


@pytest.mark.parametrize('sign', [-1.0, 1.0])
def test_near_a_stop_it_is_as_fast_as_the_envelope_allows_and_not_faster(sign):
    limiter = Limiter(replace(SPEC, velocity_scale=1.0, acceleration_scale=1.0), 0.002)
    stop = limiter.upper if sign > 0 else limiter.lower
    start = stop - 1.2 * sign * (np.arange(8) < 7)
    limiter.start(start)
    states = drive(limiter, [stop] * 700)
    allowed = vendor_envelope(states[0])[0 if sign > 0 else 1]
    speed = sign * states[1, :, ENVELOPE]
    assert (speed <= allowed + 1e-6).all()
    # The braking of joints 5 and 7 takes longer than their envelope asks for.
    assert ((speed / np.maximum(allowed, 0.1)).max(axis=0)[[0, 1, 2, 3, 5]] > 0.8).all()
    np.testing.assert_allclose(states[0, -1], stop, atol=1e-6)


def test_between_two_commands_the_curve_is_a_cubic_without_a_step_in_acceleration():
    rng = np.random.default_rng(5)
    limiter = started()
    states = drive(limiter, HOME + 0.3 * rng.normal(size=(200, 8)))
    np.testing.assert_allclose(between(states, 1.0, PERIOD), states[:, 1:], atol=1e-9)


@pytest.mark.parametrize('period', [0.001, 0.01])
@pytest.mark.parametrize('jerk', [20.0, 150.0, 5000.0])
def test_the_jerk_limit_of_each_joint_holds_at_every_rate(jerk, period):
    joints = {name: replace(limits, jerk=jerk) for name, limits in SPEC.joints.items()}
    limiter = Limiter(replace(SPEC, joints=joints), period)
    limiter.start(HOME)
    rng = np.random.default_rng(1)
    targets = [HOME + rng.normal(size=8) for _ in range(6) for _ in range(40)]
    states = drive(limiter, targets + [None] * 200)
    limit = jerk * SPEC.acceleration_scale
    assert np.abs(np.diff(states[2], axis=0) / period).max() <= limit * (1 + 1e-6)
    limiter.step(HOME)
    assert limiter.delay_s <= period + SPEC.limit_array('acceleration').max() / jerk + period


def test_a_target_that_keeps_the_limits_is_followed_at_its_time():
    time = np.arange(0, 6, PERIOD)[:, None]
    rates = np.array([0.4, 0.7, 1.0, 1.2, 1.5, 0.9, 1.9, 0.0])
    targets = HOME + 0.5 * (1 - np.cos(rates * time)) * (rates > 0)
    limiter = started()
    commands = run(limiter, targets[1:])
    late = round(limiter.delay_s / PERIOD)
    # The curve cuts a corner by a sixth of a period squared times the acceleration.
    np.testing.assert_allclose(commands[late:], targets[:-late], atol=PERIOD**2 / 6 * 2)
    assert limiter.clamped_ticks == 0


@pytest.mark.parametrize('joint, jump', [(0, 1.0), (2, -2.0), (3, 0.003), (6, 1e-6)])
def test_a_step_is_reached_in_the_shortest_time_without_overshoot(joint, jump):
    target = HOME.copy()
    target[joint] += jump
    limiter = started()
    commands = run(limiter, [target] * 400)
    way = (commands[:, joint] - HOME[joint]) * np.sign(jump)
    assert (np.diff(way) >= -1e-12).all()
    assert way.max() <= abs(jump) + 1e-12
    assert commands[-1, joint] == pytest.approx(target[joint], abs=1e-12)
    velocity, acceleration = limiter.velocity_limit[joint], limiter.acceleration_limit[joint]
    distance = abs(jump)
    ideal = (2 * np.sqrt(distance / acceleration) if distance < velocity**2 / acceleration
             else distance / velocity + velocity / acceleration)
    arrived = int(np.argmax(way > abs(jump) - 1e-9)) * PERIOD
    assert arrived <= ideal + 4 * PERIOD


def test_a_target_beyond_the_range_stops_at_the_margin():
    limiter = started()
    target = HOME.copy()
    target[3] = 0.5
    states = drive(limiter, [target] * 500)
    assert_within_limits(limiter, states)
    upper = SPEC.joints['fr3_joint4'].upper - SPEC.position_margin
    assert states[0, -1, 3] == pytest.approx(upper)
    assert limiter.clamped_ticks > 0


def test_hold_brakes_at_the_acceleration_limit_and_stays():
    limiter = started()
    run(limiter, [HOME + 0.01 * tick * np.eye(8)[0] for tick in range(40)])
    speed = limiter.velocities[0]
    commands = run(limiter, [None] * 100)
    ticks = int(np.ceil(speed / (limiter.acceleration_limit[0] * PERIOD))) + 2
    assert not limiter.moving
    assert np.ptp(commands[ticks:, 0]) < 1e-12
    assert commands[ticks - 4, 0] != commands[-1, 0]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), period=st.sampled_from([0.002, 0.004, 0.01, 0.02]))
def test_a_stop_that_is_told_ahead_is_what_holding_commands_and_ends_in_time(seed, period):
    rng = np.random.default_rng(seed)
    limiter = started(period)
    for _ in range(int(rng.integers(1, 40))):
        limiter.step(HOME + 3.0 * rng.normal(size=8))
    before = limiter.positions.copy()
    path = limiter.stop_path()
    longest_s = (limiter.velocity_limit / limiter.acceleration_limit)[:7].max() + 0.1
    assert len(path) <= longest_s / period + 2
    np.testing.assert_array_equal(limiter.positions, before)
    held = [(limiter.hold(), limiter.velocities, limiter.accelerations) for _ in path]
    np.testing.assert_array_equal(path, np.reshape(held, path.shape))
    assert not limiter.moving


def test_the_gripper_finishes_its_motion_while_the_arm_is_held():
    limiter = started()
    target = HOME.copy()
    target[7] = SPEC.gripper.closed
    commands = run(limiter, [target] * 5 + [None] * 200)
    assert commands[-1, 7] == pytest.approx(SPEC.gripper.closed, abs=1e-12)


def test_a_start_outside_the_range_is_left_only_inwards():
    limiter = Limiter(SPEC, PERIOD)
    outside = HOME.copy()
    outside[3] = SPEC.joints['fr3_joint4'].upper
    limiter.start(outside)
    further = outside.copy()
    further[3] += 1.0
    assert run(limiter, [further] * 50)[:, 3].max() == outside[3]
    assert run(limiter, [HOME] * 400)[-1, 3] == pytest.approx(HOME[3])


@pytest.mark.parametrize('bad', [np.full(8, np.nan), np.full(8, np.inf), np.zeros(7)])
def test_a_target_that_is_no_pose_is_refused_and_changes_nothing(bad):
    limiter = started()
    with pytest.raises(ValueError, match='expected 8 finite joint values'):
        limiter.step(bad)
    assert (limiter.positions == HOME).all()
