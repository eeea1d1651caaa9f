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
"""Whatever chunks arrive, and whatever the clock does, the commands are safe to send."""

from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.blending import RULES
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.runtime.limiter import Limiter
from faster_ros.runtime.supervisor import Gates
from hypothesis import given, settings, strategies as st
import numpy as np

SPEC = load_robot_spec('fr3')
HOME = SPEC.home_positions
LIMITS = Limiter(SPEC, 0.01)
MS = 1_000_000
T0 = 3_000_000_000_000
PERIOD_NS = 10 * MS
# From the last target to rest: braking from full speed, and the knots of the smooth curve.
LONGEST_STOP_S = float((LIMITS.velocity_limit / LIMITS.acceleration_limit).max()) + 0.05
KINDS = ('good', 'late', 'future', 'duplicate', 'old', 'wild', 'nan', 'empty', 'narrow',
         'one_row', 'fast_rows')

arrivals = st.lists(st.tuples(
    st.integers(0, 25), st.sampled_from(KINDS), st.integers(0, 2**32 - 1)), max_size=25)
steps = st.lists(max_size=2, elements=st.tuples(
    st.integers(0, 400), st.sampled_from([-3600.0, -0.3, -0.004, 0.3, 60.0])))


class Run:
    """A controller, a perfect arm and a ROS clock that may step."""

    def __init__(self, rule: str) -> None:
        gates = Gates(engage_distance=1e9, tracking_error=1e9)
        self.controller = MotionController(SPEC, MotionConfig(rule, gates=gates))
        self.now = T0
        self.positions, self.velocities = HOME, np.zeros(8)
        self.commands = []
        self.last_start = T0
        assert self.controller.arm(T0, self.state()) == ''

    def state(self) -> RobotState:
        return RobotState(self.now, self.positions, np.zeros(8))

    def tick(self) -> None:
        self.now += PERIOD_NS
        command = self.controller.tick(self.now, self.state())
        if command is not None:
            self.positions = command.positions
            self.commands.append(command)

    def send(self, kind: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        size = {'empty': 0, 'one_row': 1}.get(kind, int(rng.integers(2, 20)))
        scale = 30.0 if kind == 'wild' else 0.1
        actions = self.positions + scale * rng.normal(size=(size, 8))
        if kind == 'narrow':
            actions = actions[:, :7]
        if kind == 'nan':
            actions[rng.integers(size), rng.integers(8)] = rng.choice([np.nan, np.inf, -np.inf])
        start = self.now - int({
            'late': rng.integers(500, 3000), 'future': -rng.integers(1, 500),
            'old': 10_000, 'duplicate': 0}.get(kind, rng.integers(0, 400))) * MS
        if kind == 'duplicate':
            start = self.last_start
        self.last_start = start
        step = MS if kind == 'fast_rows' else int(rng.integers(10, 120)) * MS
        self.controller.accept(ActionChunk(start, step, actions, SPEC.joint_names), self.now)


def assert_safe(run: Run) -> None:
    positions = np.array([HOME] + [command.positions for command in run.commands])
    velocities = np.array([np.zeros(8)] + [command.velocities for command in run.commands])
    accelerations = np.array([np.zeros(8)] + [command.accelerations for command in run.commands])
    assert np.isfinite(positions).all()
    assert (positions >= LIMITS.lower - 1e-9).all()
    assert (positions <= LIMITS.upper + 1e-9).all()
    assert (np.abs(velocities) <= LIMITS.velocity_limit + 1e-7).all()
    assert (np.abs(accelerations) <= LIMITS.acceleration_limit + 1e-5).all()
    # Each command is the continuation of the one before it, also over a step of the clock.
    period = PERIOD_NS * 1e-9
    np.testing.assert_allclose(np.diff(velocities, axis=0),
                               period * (accelerations[1:] + accelerations[:-1]) / 2, atol=1e-9)
    np.testing.assert_allclose(np.diff(positions, axis=0), period * velocities[:-1] + period**2
                               * (2 * accelerations[:-1] + accelerations[1:]) / 6, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(rule=st.sampled_from(RULES), arrivals=arrivals, steps=steps)
def test_commands_keep_all_limits_and_continue_each_other(rule, arrivals, steps):
    run = Run(rule)
    jumps = dict(steps)
    for wait, kind, seed in arrivals:
        for _ in range(wait):
            run.now += round(jumps.pop(len(run.commands), 0.0) * 1e9)
            run.tick()
        run.send(kind, seed)
        if run.controller.status(run.now).mode == 'holding' and seed % 2:
            for _ in range(100):
                run.tick()
            assert run.controller.arm(run.now, run.state()) == ''
            run.last_start = run.now
    for _ in range(30):
        run.tick()
    assert_safe(run)


@settings(max_examples=25, deadline=None)
@given(rule=st.sampled_from(RULES), arrivals=arrivals, step=st.sampled_from([0.0, -5.0, 5.0]))
def test_when_the_chunks_stop_the_arm_stands_in_a_bounded_time(rule, arrivals, step):
    run = Run(rule)
    for wait, kind, seed in arrivals:
        for _ in range(wait):
            run.tick()
        run.send(kind, seed)
    run.now += round(step * 1e9)
    left_s = run.controller.status(run.now).remaining_s
    for _ in range(round((left_s + LONGEST_STOP_S) * 100) + 1):
        run.tick()
    stopped = len(run.commands)
    for _ in range(20):
        run.tick()
    assert not run.controller.moving
    for command in run.commands[stopped:]:
        np.testing.assert_array_equal(command.velocities[:7], np.zeros(7))


def test_a_clock_that_steps_back_is_survived():
    run = Run('smooth')
    for _ in range(80):
        run.tick()
        if len(run.commands) > 50 and len(run.commands) % 10 == 0:
            run.send('good', len(run.commands))
    assert run.controller.status(run.now).chunks_merged >= 1
    run.now -= 3_600_000 * MS
    for _ in range(200):
        run.tick()
    assert run.controller.status(run.now).reason == 'chunk_starved'
    assert not run.controller.moving
    assert run.controller.arm(run.now, run.state()) == ''
    for _ in range(50):
        run.tick()
    merged = run.controller.status(run.now).chunks_merged
    run.send('good', 4)
    assert run.controller.status(run.now).chunks_merged == merged + 1
    assert_safe(run)


def test_a_clock_that_steps_forward_drops_what_is_late_and_takes_the_next_chunk():
    run = Run('smooth')
    while not run.controller.status(run.now).chunks_merged:
        run.tick()
        run.send('good', len(run.commands))
    run.now += 3_600_000 * MS
    here = len(run.commands)
    run.tick()
    late = ActionChunk(run.now - 3_600_000 * MS, 50 * MS, np.tile(run.positions + 0.1, (10, 1)),
                       SPEC.joint_names)
    assert not run.controller.accept(late, run.now)
    for _ in range(20):
        run.tick()
    # No row is made up for: the arm brakes where it is.
    moved = np.abs(run.commands[-1].positions - run.commands[here].positions)[:7]
    assert moved.max() < 0.1
    assert run.controller.status(run.now).mode == 'running'
    run.send('good', 4)
    assert run.controller.status(run.now).remaining_s > 0.0
    assert_safe(run)
