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
The simulator in real time: one physics thread, paced by the monotonic clock.

Every state carries the ROS time at which it was due, also when the thread woke late and had to
catch up. Called by sim_node, which passes the ROS clock in and gets each state out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
import threading
import time

from faster_ros.interfaces import FloatArray, RobotState
from faster_ros.runtime.scheduling import request_real_time
from faster_ros.sim.followers import Channel, channels_of
from faster_ros.sim.simulator import Layout, Simulator
import mujoco
import numpy as np

_REAL_TIME_PRIORITY = 10  # a real arm does not wait for the machine either
_TASK_CHECK_STEPS = 5  # the success predicate is looked at every so many steps
_LONGEST_CATCH_UP_NS = 250_000_000  # a longer stall is left out instead of caught up

_Frames = Queue[tuple[int, FloatArray]]  # ROS time in ns and positions


@dataclass(frozen=True)
class TaskStatus:
    """
    How the running episode goes.

    ``success`` and ``wrong`` stay true once they were; ``success_s`` is when success came,
    ``time_limit_s`` when a trial of the task is over.
    ``physics_overruns`` counts wake-ups that found more than one step due since the start.
    """

    seed: int
    instruction: str
    success: bool
    wrong: bool
    elapsed_s: float
    success_s: float | None
    lifted_height_m: float
    physics_overruns: int
    time_limit_s: float


class RealTimeSimulation:
    """
    Advances a simulator in its own thread and follows the commands of arms and grippers.

    ``channels``: what is commanded, the first arm first; see ``channels_of``.

    All public methods may be called from any thread. ``on_state`` and
    ``take_commands`` (with the ROS time in ns, before the steps that are due) run in the physics
    thread.
    Each driver's states, by their topic, have every joint that it reports, also a second finger.
    """

    def __init__(
        self,
        simulator: Simulator,
        ros_now_ns: Callable[[], int],
        state_rate_hz: float,
        on_state: Callable[[RobotState], None],
        take_commands: Callable[[int], None],
    ) -> None:
        self._simulator = simulator
        self._ros_now_ns = ros_now_ns
        self._on_state = on_state
        self._take_commands = take_commands
        self._step_ns = round(simulator.timestep_s * 1e9)
        self._state_period_ns = round(1e9 / state_rate_hz)
        self._next_state_ns = 0
        self._frame_period_ns = 0
        self._next_frame_ns = 0
        self._shutters: list[tuple[int, _Frames]] = []  # by what a camera is late, what it saw
        self._exposures: list[tuple[int, _Frames]] = []  # when they are due
        self.joint_names = simulator.shown_joints
        self.channels = channels_of(simulator.spec)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name='physics', daemon=True)
        self.failure: BaseException | None = None
        self._stamp_ns = ros_now_ns()
        self._overruns = 0
        self._begin_episode()

    def start(self) -> None:
        """Start the physics thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the physics thread and wait for it."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def reset(self, seed: int) -> Layout:
        """Start the episode of ``seed``; all controllers hold its start pose."""
        with self._lock:
            layout = self._simulator.reset(seed)
            for channel in self.channels:
                self._hold(channel)
            self._begin_episode()
            for shutter in range(len(self._shutters)):
                while self._frame_of(0.0, shutter) is not None:
                    pass  # of the layout before
        return layout

    def hold_arm(self) -> None:
        """Stop the first arm where it is and forget what it was commanded."""
        with self._lock:
            self._hold(self.channels[0])

    def told_cube(self) -> tuple[int, FloatArray]:
        """Return the ROS time in ns and where the cube that is due is, (3,), base frame, in m."""
        with self._lock:
            simulator = self._simulator
            return self._stamp_ns, simulator.cube_position(simulator.target)

    def trigger_cameras(self, rate_hz: float, offsets_s: Sequence[float] = (0.0,)) -> None:
        """
        Expose frames for ``next_frame`` at that rate.

        Each shutter opens at the step that is nearest to its offset in s after the trigger; the
        offsets ascend.
        """
        if not 0 <= min(offsets_s) <= max(offsets_s) < 1 / rate_hz:
            raise ValueError(f'expected offsets of cameras from 0 to less than {1 / rate_hz:.4g} '
                             f's, got {list(offsets_s)}')
        self._shutters = [(round(1e9 * offset), Queue(1)) for offset in offsets_s]
        self._frame_period_ns = round(1e9 / rate_hz)

    def next_frame(self, target: mujoco.MjData, timeout_s: float, shutter: int = 0) -> int | None:
        """
        Put a shutter's newest frame, if not taken yet, into ``target``; return its ROS time in ns.

        ``target`` is fit for rendering only. None when no frame came within ``timeout_s``.
        """
        frame = self._frame_of(timeout_s, shutter)
        if frame is None:
            return None
        stamp_ns, target.qpos[:] = frame
        model = self._simulator.model
        mujoco.mj_kinematics(model, target)
        mujoco.mj_comPos(model, target)
        mujoco.mj_camlight(model, target)
        return stamp_ns

    def _frame_of(self, timeout_s: float, shutter: int) -> tuple[int, FloatArray] | None:
        try:
            return self._shutters[shutter][1].get(timeout_s > 0.0, timeout_s)
        except Empty:
            return None

    def task(self) -> TaskStatus:
        """Return how the running episode goes."""
        with self._lock:
            layout = self._simulator.layout
            return TaskStatus(
                layout.seed,
                layout.instruction,
                self._success_steps is not None,
                self._wrong,
                self._seconds(self._steps),
                None if self._success_steps is None else self._seconds(self._success_steps),
                self._simulator.lifted_height(),
                self._overruns,
                self._simulator.task.time_limit_s,
            )

    def _hold(self, channel: Channel) -> None:
        channel.follower.hold(self._simulator.state()[0][channel.part])

    def _begin_episode(self) -> None:
        self._steps = 0
        self._wrong = False
        self._success_steps: int | None = None

    def _seconds(self, steps: int) -> float:
        return steps * self._simulator.timestep_s

    def _run(self) -> None:
        request_real_time(_REAL_TIME_PRIORITY)
        try:
            due_ns = time.monotonic_ns()
            while not self._stopping.is_set():
                due_ns = self._advance_until_now(due_ns)
                time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        except BaseException as error:  # handed to the node, which ends with it
            self.failure = error

    def _advance_until_now(self, due_ns: int) -> int:
        """Make every step that is due; return when the next one is."""
        now_ns = time.monotonic_ns()
        ros_offset_ns = self._ros_now_ns() - now_ns
        if now_ns - due_ns > self._step_ns:
            self._overruns += 1
        if now_ns - due_ns > _LONGEST_CATCH_UP_NS:
            due_ns = now_ns
        self._take_commands(now_ns + ros_offset_ns)
        while due_ns <= now_ns:
            stamp_ns = max(self._stamp_ns + 1, due_ns + ros_offset_ns)
            with self._lock:
                self._step(stamp_ns)
                states = self._states_if_due(stamp_ns)
                self._expose_if_due(stamp_ns)
            for state in states:
                self._on_state(state)
            due_ns += self._step_ns
        return due_ns

    def _step(self, stamp_ns: int) -> None:
        samples = [channel.follower.sample(stamp_ns) for channel in self.channels]
        self._simulator.advance(np.concatenate([positions for positions, _ in samples]),
                                np.concatenate([velocities for _, velocities in samples]))
        self._stamp_ns = stamp_ns
        self._steps += 1
        if self._steps % _TASK_CHECK_STEPS == 0:
            self._wrong = self._wrong or self._simulator.wrong_lifted()
            if self._success_steps is None and self._simulator.succeeded():
                self._success_steps = self._steps

    def _states_if_due(self, stamp_ns: int) -> list[RobotState]:
        """Return each driver's state at the first step of each state period."""
        if stamp_ns < self._next_state_ns:
            return []
        self._next_state_ns = _due_after(stamp_ns, self._next_state_ns, self._state_period_ns)
        return [RobotState(stamp_ns, *values, topic)
                for topic, values in self._simulator.joint_states().items()]

    def _expose_if_due(self, stamp_ns: int) -> None:
        """Keep what the cameras see."""
        if self._frame_period_ns and stamp_ns >= self._next_frame_ns:
            self._next_frame_ns = _due_after(stamp_ns, self._next_frame_ns, self._frame_period_ns)
            self._exposures = [(stamp_ns + offset_ns - self._step_ns // 2, frames)
                               for offset_ns, frames in self._shutters]
        while self._exposures and self._exposures[0][0] <= stamp_ns:
            _, frames = self._exposures.pop(0)
            _replace(frames, (stamp_ns, self._simulator.data.qpos.copy()))


def _replace(frames: _Frames, frame: tuple[int, FloatArray]) -> None:
    """Keep a frame; one that nobody took is lost, so that images are fresh."""
    try:
        frames.put_nowait(frame)
    except Full:
        with suppress(Empty):
            frames.get_nowait()
        frames.put_nowait(frame)  # the physics thread alone puts any there


def _due_after(stamp_ns: int, due_ns: int, period_ns: int) -> int:
    """Return when the next is due: one period on, or from now after a stall."""
    return due_ns + period_ns if due_ns + period_ns > stamp_ns else stamp_ns + period_ns
