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
"""
Our limiter beside ruckig, as figures: run with ``-s`` to see them; needs ``pip install ruckig``.

Ruckig plans to one state; the target of a stream moves on. Each tick it plans from where it is to
the target's position, velocity and acceleration at the next tick, and is sampled one period on.
"""

import time

from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.limiter import Limiter
import numpy as np
import pytest

ruckig = pytest.importorskip('ruckig')

SPEC = load_robot_spec('fr3')
HOME = SPEC.home_positions
PERIOD = 0.01
JOINTS = len(HOME)


class RuckigFollower:
    """Ruckig under the limits of our limiter, with the position range by clipping the target."""

    def __init__(self, limiter: Limiter) -> None:
        self._limits = limiter
        self._otg = ruckig.Ruckig(JOINTS, PERIOD)
        self._input, self._output = ruckig.InputParameter(JOINTS), ruckig.OutputParameter(JOINTS)
        jerk = SPEC.limit_array('jerk') * SPEC.acceleration_scale
        self._input.max_velocity = list(limiter.velocity_limit)
        self._input.max_acceleration = list(limiter.acceleration_limit)
        self._input.max_jerk = list(np.where(jerk > 0, jerk, 2500.0))
        self._input.current_position = list(HOME)

    def step(self, target: np.ndarray, speed: np.ndarray, bend: np.ndarray) -> np.ndarray:
        limits, now = self._limits, np.clip(target, self._limits.lower, self._limits.upper)
        slow = np.clip(speed, -limits.velocity_limit, limits.velocity_limit)
        self._input.target_position = list(now)
        self._input.target_velocity = list(slow)
        self._input.target_acceleration = list(np.where(
            (slow == speed) & (np.abs(slow) < 0.99 * limits.velocity_limit),
            np.clip(bend, -0.99 * limits.acceleration_limit, 0.99 * limits.acceleration_limit),
            0.0))
        result = self._otg.update(self._input, self._output)
        if result not in (ruckig.Result.Working, ruckig.Result.Finished):
            raise RuntimeError(f'ruckig: {result}')
        self._output.pass_to_input(self._input)
        return np.array(self._output.new_position)


def followers():
    limiter = Limiter(SPEC, PERIOD)
    limiter.start(HOME)
    return {'ours': limiter, 'ruckig': RuckigFollower(limiter)}


def follow(follower, targets):
    """Return the commands, the failures and the median time of a step in microseconds."""
    commands, failures, times = [], 0, []
    last = HOME
    speeds = np.gradient(targets, PERIOD, axis=0)
    states = zip(targets, speeds, np.gradient(speeds, PERIOD, axis=0))
    for target, speed, bend in states:
        start = time.perf_counter()
        try:
            last = (follower.step(target) if isinstance(follower, Limiter)
                    else follower.step(target, speed, bend))
        except RuntimeError:
            failures += 1
        times.append(time.perf_counter() - start)
        commands.append(last)
    return np.array(commands), failures, 1e6 * float(np.median(times))


def reached(targets):
    return {name: follow(follower, targets) for name, follower in followers().items()}


def report(title, runs, errors):
    for name, (_, failures, micros) in runs.items():
        print(f'{title}: {name:7} error {errors[name]:.2e}, refusals {failures}, '
              f'{micros:.0f} us a step')


def smooth_targets():
    seconds = np.arange(0, 6, PERIOD)[:, None]
    rates = np.array([0.4, 0.7, 1.0, 1.2, 1.5, 0.9, 1.9, 0.0])
    return HOME + 0.5 * (1 - np.cos(rates * seconds)) * (rates > 0)


@pytest.mark.slow
def test_both_follow_a_smooth_target():
    targets = smooth_targets()
    runs = reached(targets)
    # Ours is read ahead by its delay; ruckig arrives at once, or one tick later.
    errors = {name: min(np.abs(run[0][late:] - targets[:len(targets) - late]).max()
                        for late in (0, 1)) for name, run in runs.items()}
    report('smooth', runs, errors)
    assert errors['ours'] < 1e-4


@pytest.mark.slow
def test_a_policy_s_rows_are_followed_as_closely_and_stay_inside_the_range():
    rng = np.random.default_rng(0)
    rows = HOME + np.cumsum(0.05 * rng.normal(size=(120, JOINTS)), axis=0) * SPEC.arm_mask
    seconds = np.arange(0, 11.9, PERIOD)
    targets = np.array([np.interp(seconds, 0.1 * np.arange(120), rows[:, joint])
                        for joint in range(JOINTS)]).T
    runs = reached(targets)
    errors = {name: float(np.sqrt(np.mean((run[0][1:] - targets[:-1])**2)))
              for name, run in runs.items()}
    report('rows', runs, errors)
    assert errors['ours'] < 1.5 * errors['ruckig']


@pytest.mark.slow
def test_jumps_towards_a_stop_never_overshoot_it_with_ours():
    rng = np.random.default_rng(1)
    limiter = Limiter(SPEC, PERIOD)
    places = np.where(rng.random((40, JOINTS)) < 0.5, limiter.lower - 0.2, limiter.upper + 0.2)
    targets = np.repeat(places, rng.integers(5, 120, 40), axis=0)
    targets[:, -1] = HOME[-1]
    runs = reached(targets)
    errors = {name: float(np.maximum(run[0] - limiter.upper, limiter.lower - run[0]).max())
              for name, run in runs.items()}
    report('beyond the stop', runs, errors)
    assert errors['ours'] <= 1e-9
