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
"""The limiter never exceeds a limit, and follows exactly what keeps the limits."""

from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.limiter import Limiter
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
PERIOD = 0.01
HOME = SPEC.home_positions


def started(period: float = PERIOD) -> Limiter:
    limiter = Limiter(SPEC, period)
    limiter.start(HOME)
    return limiter


def run(limiter: Limiter, targets) -> np.ndarray:
    """Step through targets (N, D); None holds. Returns the commands with the start, (N+1, D)."""
    commands = [limiter.positions]
    commands += [limiter.hold() if target is None else limiter.step(target) for target in targets]
    return np.array(commands)


def assert_within_limits(limiter: Limiter, commands: np.ndarray, period: float = PERIOD) -> None:
    velocities = np.diff(commands, axis=0) / period
    velocities = np.vstack([np.zeros(commands.shape[1]), velocities])
    accelerations = np.diff(velocities, axis=0) / period
    assert (commands >= limiter.lower - 1e-9).all()
    assert (commands <= limiter.upper + 1e-9).all()
    assert (np.abs(velocities) <= limiter.velocity_limit + 1e-7).all()
    assert (np.abs(accelerations) <= limiter.acceleration_limit + 1e-5).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-4, 0.03, 1.0, 10.0, 1e6]),
       period=st.sampled_from([0.002, 0.004, 0.01, 0.02]))
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
    assert_within_limits(limiter, run(limiter, targets), period)


def test_a_target_that_keeps_the_limits_is_followed_exactly():
    time = np.arange(0, 6, PERIOD)[:, None]
    rates = np.array([0.4, 0.7, 1.0, 1.2, 1.5, 0.9, 1.9, 0.0])
    targets = HOME + 0.5 * (1 - np.cos(rates * time)) * (rates > 0)
    limiter = started()
    commands = run(limiter, targets[1:])
    np.testing.assert_allclose(commands, targets, atol=1e-9)
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
    assert arrived <= ideal + 3 * PERIOD


def test_a_target_beyond_the_range_stops_at_the_margin():
    limiter = started()
    target = HOME.copy()
    target[3] = 0.5
    commands = run(limiter, [target] * 500)
    assert_within_limits(limiter, commands)
    upper = SPEC.joints['fr3_joint4'].upper - SPEC.position_margin
    assert commands[-1, 3] == pytest.approx(upper)
    assert limiter.clamped_ticks > 0


def test_hold_brakes_at_the_acceleration_limit_and_stays():
    limiter = started()
    run(limiter, [HOME + 0.01 * tick * np.eye(8)[0] for tick in range(40)])
    speed = limiter.velocities[0]
    commands = run(limiter, [None] * 100)
    ticks = int(np.ceil(speed / (limiter.acceleration_limit[0] * PERIOD)))
    assert not limiter.moving
    assert np.ptp(commands[ticks:, 0]) < 1e-12
    assert commands[ticks - 2, 0] != commands[-1, 0]


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
