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
An FR3 driven by libfranka itself, without ros2_control: the loop of 1 kHz, free of ROS.

The robot wants a position every millisecond and stops itself (a reflex) when a step, a kink or
too many lost cycles reach it. The loop samples a joint trajectory controller on the robot's own
time and lets ``Follower`` go there inside the vendor's acceleration and jerk limits, also across
cycles that were lost. Called by
``nodes/libfranka_node.py``, in a process of its own; pylibfranka is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import time
from typing import Any, Protocol

from faster_ros.interfaces import FloatArray
from faster_ros.robots.optional_messages import load_sdk
import numpy as np

_CYCLE_S = 0.001
# Shares of what libfranka's rate_limiting.h allows an FR3. A robot that misses an answer goes on
# at constant acceleration; the less the acceleration changes, the smaller the kink that makes.
_JERK = 0.06 * 5000.0  # rad/s^3
_ACCELERATION_SHARE = 0.6
_STIFFNESS = 25.0  # 1/s, at which the follower closes a gap; twice this x acceleration = jerk
_CLOSING_RAD_S = 0.3
_LARGEST_GAP = 0.1  # rad between trajectory and set point; more is not a motion but a step
_REPORT_CYCLES = 10
_REST_RAD_S = 1e-4
_RETRY_S = 0.05
_WARM_UP_CYCLES = 300
_MOST_LOST_CYCLES = 20  # in a row, after which the robot stops by itself
_ASTRAY_RAD = 0.01
_CLOCK_SET_S = 0.5


class Trajectories(Protocol):
    """What the loop needs of a joint trajectory controller."""

    def hold(self, positions: FloatArray) -> None:
        """Forget the trajectory and hold a pose."""

    def sample(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Return desired positions and velocities."""
        ...


Motion = tuple[FloatArray, FloatArray, FloatArray]  # rad, rad/s, rad/s^2, each of shape (J,)


class Follower:
    """
    The next set point towards a trajectory: continuous up to the acceleration.

    A robot that misses cycles goes on at constant acceleration; the follower reckons the same, so
    its next set point meets the robot where it is. The robot's own word counts only when it is
    far away: its state may have been sent before the last answer arrived.
    """

    def __init__(self, acceleration: FloatArray, start: FloatArray) -> None:
        """``acceleration``: the vendor's limits, rad/s^2; ``start``: where the robot holds."""
        self._acceleration = _ACCELERATION_SHARE * acceleration
        self._last: Motion = start, np.zeros(len(start)), np.zeros(len(start))

    def base(self, told: Motion, elapsed_s: float) -> Motion:
        """Return what the next set point goes on from; ``told``: by the robot's state."""
        position, speed, push = self._last
        for _ in range(min(round(elapsed_s / _CYCLE_S), _MOST_LOST_CYCLES) - 1):
            speed = speed + push * _CYCLE_S
            position = position + speed * _CYCLE_S
        far = np.abs(told[0] - position).max() > _ASTRAY_RAD
        return told if far else (position, speed, push)

    def step(self, positions: FloatArray, velocities: FloatArray, base: Motion) -> FloatArray:
        """Return the set point after ``base``, one cycle on, towards a moving target."""
        held, speed, push = base
        gap = np.abs(positions - held)
        # A gap, as late messages leave it, is closed no faster than the arm can stop from.
        closing = np.minimum(0.5 * _STIFFNESS * gap, np.sqrt(self._acceleration * gap))
        closing = np.copysign(np.minimum(closing, _CLOSING_RAD_S), positions - held)
        wanted = 2 * _STIFFNESS * (velocities + closing - speed)
        wanted = np.clip(wanted, -self._acceleration, self._acceleration)
        push = push + np.clip(wanted - push, -_JERK * _CYCLE_S, _JERK * _CYCLE_S)
        speed = speed + push * _CYCLE_S
        self._last = held + speed * _CYCLE_S, speed, push
        return self._last[0]


class RobotClock:
    """
    The ROS clock as the robot's cycles tell it: even, where the wall clock of a loop is not.

    A reading of the wall clock jitters with the load of the machine, and a trajectory sampled at
    jittering times is rough. Here time advances by the robot's cycles, at a ``rate`` from 0.2 to
    1.8 that follows the wall clock slowly. A wall clock that was set, by more than 0.5 s between
    two cycles, is followed at once. Behind a robot that is simulated too slowly this clock falls
    back evenly: its states are old then, and whoever commands holds, instead of taking a step.
    """

    def __init__(self, wall_ns: int) -> None:
        self.rate = 1.0
        self._now_ns = wall_ns
        self._difference_s = self._drift = self._last_difference_s = 0.0

    def advance(self, elapsed_s: float, wall_ns: int) -> int:
        """Return the time ``elapsed_s`` of the robot after the last call."""
        difference_s = (wall_ns - self._now_ns) * 1e-9 - elapsed_s
        if abs(difference_s - self._last_difference_s) > _CLOCK_SET_S:
            self._now_ns, self.rate = wall_ns, 1.0
            self._difference_s = self._last_difference_s = 0.0
            return wall_ns
        self._difference_s += 0.02 * (difference_s - self._difference_s)
        self._drift += 20.0 * self._difference_s * elapsed_s  # a simulator's seconds are longer
        self._drift = min(max(self._drift, -0.5), 0.5)
        self.rate = 1.0 + self._drift + min(max(10.0 * self._difference_s, -0.3), 0.3)
        self._now_ns += round(elapsed_s * self.rate * 1e9)
        self._last_difference_s = (wall_ns - self._now_ns) * 1e-9
        return self._now_ns


@dataclass(frozen=True)
class ArmReport:
    """Measured joints (rad, rad/s) at a time; ``problem``: why no command is followed, or ''."""

    stamp_ns: int
    positions: tuple[float, ...]
    velocities: tuple[float, ...]
    problem: str


class FrankaLoop:
    """
    Holds the arm and follows ``trajectories``; on an error it watches until ``recover``.

    ``tend`` is called once a cycle to hand over what arrived, ``report`` every tenth cycle.
    """

    def __init__(self, robot: Any, trajectories: Trajectories, acceleration: FloatArray,
                 tend: Callable[[FrankaLoop], None], report: Callable[[ArmReport], None],
                 wall_ns: Callable[[], int]) -> None:
        """``robot``: of ``connect``; ``wall_ns``: the ROS clock."""
        self._vendor = vendor()
        self._robot = robot
        self._trajectories = trajectories
        self._acceleration = acceleration
        self._tend, self._report, self._wall_ns = tend, report, wall_ns
        self._cycles = 0
        self._last: ArmReport | None = None
        self._wants_control = True
        self._in_control = self._recover_at_rest = False
        self.problem = 'libfranka has not taken control yet'
        self.now_ns = wall_ns()
        self.stopping = False

    def run(self) -> None:
        """Serve the arm until ``stopping``; then let the trajectory end and release the arm."""
        self._guard(self._warm_up)
        while not self.stopping:
            if self._wants_control:
                self._wants_control = False
                self._guard(self._control)
            elif self._recover_at_rest:
                self._recover_at_rest = False
                self.recover()
            else:
                self._guard(self._watch)

    def recover(self) -> str:
        """
        Clear the robot's error and take control again, at rest; returns '' or why not.

        An arm that still brakes is recovered when it stands, unless a reflex comes first.
        """
        if not self.problem:
            return ''
        if self._in_control:
            self._recover_at_rest = True
            return f'the arm still brakes ({self.problem}); it is recovered when it stands'
        try:
            self._robot.automatic_error_recovery()
        except RuntimeError as error:
            self.problem = f'the robot refuses to recover: {_first_line(error)}'
            return self.problem
        self._wants_control = True
        return ''

    def _guard(self, serve: Callable[[], None]) -> None:
        try:
            serve()
        except RuntimeError as error:  # all of pylibfranka's: reflex, network, refused command
            self.problem = _first_line(error)
            self._in_control = self._recover_at_rest = False  # of this fault nobody knew
            if self._last is not None:  # with its old stamp: whoever needs a new one will see
                self._report(replace(self._last, problem=self.problem))
            self._tend(self)
            time.sleep(_RETRY_S)

    def _warm_up(self) -> None:
        """Run every line of the loop before the robot counts its cycles: first times are slow."""
        state = self._robot.read_once()
        held = np.array(state.q)
        clock, follower = RobotClock(self._wall_ns()), Follower(self._acceleration, held)
        for _ in range(_WARM_UP_CYCLES):
            self._watch()
            clock.advance(_CYCLE_S, self._wall_ns())
            positions, velocities = self._trajectories.sample(self.now_ns)
            _step_problem(positions, held)
            follower.step(positions, velocities, follower.base((held, held, held), _CYCLE_S))

    def _control(self) -> None:
        """Follow the trajectories; returns when a motion has ended, raises on a reflex."""
        mode = self._vendor.ControllerMode.JointImpedance
        control = self._robot.start_joint_position_control(mode)
        state, _ = control.readOnce()
        clock = RobotClock(self._wall_ns())
        start = np.array(state.q_d)
        follower = Follower(self._acceleration, start)
        self._trajectories.hold(start)
        self.problem, self._in_control, finished = '', True, False
        while not finished:
            state, elapsed = control.readOnce()
            self.now_ns = clock.advance(elapsed.to_sec(), self._wall_ns())
            base = follower.base(
                (np.array(state.q_d), np.array(state.dq_d), np.array(state.ddq_d)),
                elapsed.to_sec())
            self._tend(self)
            positions, velocities = self._trajectories.sample(self.now_ns)
            self.problem = self.problem or _step_problem(positions, base[0])
            if self.problem:
                positions, velocities = base[0], np.zeros(len(positions))
            command = self._vendor.JointPositions(
                follower.step(positions, velocities * clock.rate, base).tolist())
            at_rest = bool(np.abs(base[1]).max() < _REST_RAD_S and not velocities.any())
            finished = at_rest and (self.stopping or bool(self.problem))
            command.motion_finished = finished
            control.writeOnce(command)
            self._count(state, self.problem)
        self._in_control = False
        self.problem = self.problem or 'the driver has let go of the arm'

    def _watch(self) -> None:
        state = self._robot.read_once()
        self.now_ns = self._wall_ns()
        self._tend(self)
        self._count(state, self.problem)

    def _count(self, state: Any, problem: str) -> None:
        self._cycles += 1
        if self._cycles % _REPORT_CYCLES == 0:
            self._last = ArmReport(self.now_ns, tuple(state.q), tuple(state.dq), problem)
            self._report(self._last)


def vendor() -> Any:
    """Return the module pylibfranka, or MissingMessagesError with the name of its package."""
    return load_sdk('pylibfranka', 'pylibfranka', 'driving a Franka arm directly')


def connect(address: str, enforce_real_time: bool) -> Any:
    """Return the robot at an address; without it an OSError that says what to look at."""
    config = vendor().RealtimeConfig
    wanted = config.kEnforce if enforce_real_time else config.kIgnore
    try:
        return vendor().Robot(address, wanted)
    except RuntimeError as error:
        raise OSError(
            f'expected a Franka arm at {address}, got: {_first_line(error)}; is FCI activated in '
            'Desk, the address right, and this machine the only one connected?') from error


def _step_problem(positions: FloatArray, held: FloatArray) -> str:
    gap = np.abs(positions - held)
    if gap.max() <= _LARGEST_GAP:
        return ''
    joint = int(np.argmax(gap))
    return (f'the trajectory is {gap[joint]:.3f} rad from the set point of joint {joint + 1}, '
            f'more than {_LARGEST_GAP:g}: a step, or faster than the arm may accelerate')


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
