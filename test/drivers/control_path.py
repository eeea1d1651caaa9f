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
The whole control path in the robot's own time, however busy the machine is.

MotionController, trajectories, the driver's loop and libfranka are the real ones; a clock that
counts the robot's cycles takes the place of the wall clock, and a queue with uneven delays that of
the topics. franka-sim counts in cycles too, so a slow machine only makes a run longer.
"""

from array import array

from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.nodes import conversions
from faster_ros.robots import libfranka_arm
from faster_ros.robots.arm_interface import ArmInterface, CommandOptions
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.sim.trajectory_controller import (
    TrajectoryController,
    TrajectoryPoint,
    TrajectoryRejected,
)
import numpy as np

MS = 1_000_000
PERIOD_NS, LEAD_NS = 10 * MS, 20 * MS
STEP_NS, ROWS = 33 * MS, 30  # of a chunk


class CycleClock:
    """Stands in for RobotClock: the robot's cycles, and nothing else."""

    rate = 1.0

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def advance(self, elapsed_s: float, _: int) -> int:
        self._now_ns += round(elapsed_s * 1e9)
        return self._now_ns


class Demonstration:
    """What a policy wants: a swing of all joints, at the speed of the demo."""

    def __init__(self, home, seed: int) -> None:
        random = np.random.default_rng(seed)
        self._home = np.array(home)
        self._periods = random.uniform(4.0, 9.0, (2, len(home)))

    def pose(self, seconds: np.ndarray) -> np.ndarray:
        """Return joints (N, J) at N times; at rest at 0."""
        swing = sum(np.sin(2 * np.pi * seconds[:, None] / period) for period in self._periods)
        rise = np.clip(seconds / 3.0, 0.0, 1.0)[:, None] ** 2
        return self._home + 0.12 * rise * swing


class ControlPath:
    """Policy and control_node between two cycles of the driver's loop."""

    def __init__(self, spec, robot, seconds: float, seed: int,
                 stalls_ms: tuple[int, int] | None = None) -> None:
        """``stalls_ms``: about once a second the control loop stalls, from .. to."""
        self._stalls_ms, self._last_tick_ns = stalls_ms, 0
        self.stalls = []  # ms, while the arm moved
        self._random = np.random.default_rng(seed)
        self._spec, names = spec, spec.arm_joint_names
        count = len(names)
        self.controller = MotionController(spec, MotionConfig(actuation_latency_s=LEAD_NS * 1e-9))
        self._messages = ArmInterface(spec, CommandOptions(lead_ns=LEAD_NS))
        self._start_ns = 1_700_000_000 * 10**9
        self._end_ns = self._start_ns + round(seconds * 1e9)
        self._next_tick_ns = self._next_chunk_ns = self._start_ns
        self._chunks, self._trajectories = [], []  # (time of arrival, what)
        self._state = None
        self._demonstration = None
        self.sent = dict.fromkeys(('plain', 'late', 'contradicting', 'out of order'), 0)
        self.points, self.measured = array('d'), array('d')  # time, joints
        self.rejected = 0
        self.follows = TrajectoryController(names, np.zeros(count))
        self.loop = libfranka_arm.FrankaLoop(
            robot, self.follows, spec.limit_array('acceleration')[:count], self.tend, self.report,
            lambda: self._start_ns)

    def report(self, report) -> None:
        if report.problem:
            self.loop.stopping = self._demonstration is not None
            return
        gripper = self._spec.gripper.open
        self._state = RobotState(report.stamp_ns, np.array([*report.positions, gripper]),
                                 np.array([*report.velocities, 0.0]))
        self.measured.extend(((report.stamp_ns - self._start_ns) * 1e-9, *report.positions))

    def tend(self, loop) -> None:
        """Do what is due in this cycle."""
        now_ns = loop.now_ns
        if loop.problem or self._state is None:
            return
        if self._demonstration is None:
            self._demonstration = Demonstration(self._state.positions[:-1], seed=7)
            self._start_ns, self._end_ns = now_ns, now_ns + self._end_ns - self._start_ns
            self._next_tick_ns = self._next_chunk_ns = self._last_tick_ns = now_ns
            assert self.controller.arm(now_ns, self._state) == ''
        if now_ns >= self._end_ns:
            loop.stopping = True  # the trajectory that is executed brakes
            return
        if now_ns >= self._next_chunk_ns:
            self._send_chunk(now_ns)
        for chunk in self._arrived(self._chunks, now_ns):
            self.controller.accept(chunk, now_ns)
        if now_ns >= self._next_tick_ns:
            self._tick()
        for message in self._arrived(self._trajectories, now_ns):
            self._follow(message, now_ns)

    @staticmethod
    def _arrived(queue, now_ns):
        ready = [item for item in queue if item[0] <= now_ns]
        queue[:] = [item for item in queue if item[0] > now_ns]
        return [item[1] for item in ready]

    def _send_chunk(self, now_ns: int) -> None:
        """Observe; the chunk arrives after a delay, by the kind of trouble it stands for."""
        kind = self._random.choice(list(self.sent), p=[0.85, 0.05, 0.05, 0.05])
        self.sent[kind] += 1
        delay_s = {'late': 0.8, 'out of order': 0.5}.get(kind, self._random.uniform(0.08, 0.3))
        times = (now_ns - self._start_ns + STEP_NS * np.arange(ROWS)) * 1e-9
        joints = self._demonstration.pose(times)
        joints += self._random.normal(0.0, 0.002, joints.shape)
        if kind == 'contradicting':
            joints += self._random.choice([-0.15, 0.15], joints.shape[1])
        gripper = np.where(np.sin(times) > 0, self._spec.gripper.open, self._spec.gripper.closed)
        self._chunks.append((now_ns + round(delay_s * 1e9), ActionChunk(
            now_ns, STEP_NS, np.column_stack([joints, gripper]), self._spec.joint_names)))
        self._next_chunk_ns = now_ns + self._random.integers(150, 350) * MS

    def _tick(self) -> None:
        due_ns = self._next_tick_ns
        self._next_tick_ns += PERIOD_NS * (1 + self._stall())
        missed = max(0, (due_ns - self._last_tick_ns) // PERIOD_NS - 1)
        self._last_tick_ns = due_ns
        self.controller.coast(missed, due_ns, self._state)
        command = self.controller.tick(due_ns, self._state)
        status = self.controller.status(due_ns)
        assert not status.faults, status
        if command is None:
            return
        self.points.extend(((due_ns + LEAD_NS - self._start_ns) * 1e-9, *command.positions[:-1]))
        message = dict(self._messages.write(command, self._state))[self._spec.command_topic]
        # A topic on one machine: 1 to 5 ms, one message in a hundred 30 ms.
        delay_ms = 30 if self._random.random() < 0.01 else self._random.integers(1, 6)
        self._trajectories.append((due_ns + delay_ms * MS, message))

    def _stall(self) -> int:
        """Return how many periods the loop misses after this one."""
        if self._stalls_ms is None or self._random.random() > 0.01:
            return 0
        stall_ms = int(self._random.integers(self._stalls_ms[0], self._stalls_ms[1] + 1))
        if self.controller.moving:
            self.stalls.append(stall_ms)
        return stall_ms * MS // PERIOD_NS

    def _follow(self, message, now_ns: int) -> None:
        points = [TrajectoryPoint(conversions.to_ns(point.time_from_start), point.positions,
                                  point.velocities) for point in message.points]
        stamp_ns = conversions.to_ns(message.header.stamp)
        try:
            self.follows.set_trajectory(message.joint_names, stamp_ns, points, now_ns)
        except TrajectoryRejected:
            self.rejected += 1

    def tracking(self) -> dict:
        """Return how the measured arm follows the set points, in rad, s and rad/s."""
        points = np.array(self.points).reshape(-1, 8)
        measured = np.array(self.measured).reshape(-1, 8)
        return tracking(points[:, 0], points[:, 1:], measured[:, 0], measured[:, 1:])


def tracking(due, points, when, measured) -> dict:
    """
    Return the RMSE of measured joints (M, J) to set points (N, J), at their times in s.

    ``raw``: at one and the same time. ``lag_s`` and ``compensated``: the delay at which the RMSE
    is smallest, and that RMSE. ``speed``: the fastest set points.
    """
    inside = (when > due[0] + 0.2) & (when < due[-1] - 0.2)
    when, measured = when[inside], measured[inside]

    def rmse(lag_s: float) -> float:
        wanted = np.array([np.interp(when - lag_s, due, column) for column in points.T]).T
        return float(np.sqrt(np.mean((measured - wanted) ** 2)))

    lags = np.arange(-0.02, 0.1, 0.001)
    errors = [rmse(lag) for lag in lags]
    best = int(np.argmin(errors))
    speed = np.abs(np.diff(points, axis=0) / np.diff(due)[:, None]).max()
    return {'raw': rmse(0.0), 'lag_s': round(float(lags[best]), 3), 'compensated': errors[best],
            'speed': float(speed)}
