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
Trials of a task in process: simulated time, no ROS.

Chunks pass the same scheduler and MotionController as on a robot. A chunk arrives after a delay of
simulated time that is given, whatever the policy takes, so the result is the same on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
import math

from faster_ros.interfaces import ActionChunk, FloatArray, JointCommand, Observation, RobotState
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.chunk_scheduler import ChunkScheduler, WAIT_ABOVE_S
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.runtime.supervisor import Gates
from faster_ros.sim.simulator import CameraRenderer, Simulator
from faster_ros.sim.tasks import PICK, Task, TRAINED, Variant
import numpy as np

_STEPS_PER_TICK = 2  # physics steps per control period
_BORDER_NS = 100_000_000  # after a chunk came; a jump is spread by the limits

Infer = Callable[[Observation], ActionChunk]
InferMany = Callable[[list[Observation]], list[ActionChunk]]
Play = Generator[Observation, ActionChunk, 'PickTrial']


@dataclass(frozen=True)
class Execution:
    """
    How chunks are executed.

    ``delay_s``: from observation to arrival; ``merge``, ``blend_s``: see MotionConfig;
    ``horizon``: rows that are used before the next chunk takes over, and all rows of a chunk that
    is executed synchronously; ``drift_m_s``: speed of the cube until the hand is near;
    ``conditioned``: whether the policy is told the committed actions; ``wait_above_s``: see
    ChunkScheduler; only ``smooth`` waits, the other rules run as their authors have them.
    """

    delay_s: float = 0.0
    merge: str = 'smooth'
    blend_s: float = 0.12
    horizon: int = 3
    drift_m_s: float = 0.0
    conditioned: bool = True
    wait_above_s: float = WAIT_ABOVE_S


@dataclass(frozen=True)
class PickTrial:
    """
    How one trial ended.

    ``seconds`` is simulated time; ``jerk_rms`` (rad/s^3) is over all commands and arm joints,
    ``border_jump`` (rad) the largest step of an arm joint's command from one period to the next in
    the 0.1 s after a chunk came, ``waited_s`` the time without a target after the first one.
    """

    seed: int
    instruction: str
    success: bool
    wrong_lifted: bool
    seconds: float
    fault: str
    jerk_rms: float
    border_jump: float
    waited_s: float


class PickTrials:
    """Runs trials one after the other on one simulator."""

    def __init__(self, spec: RobotSpec, image_size: tuple[int, int] | None,
                 execution: Execution | None = None, task: Task = PICK,
                 variant: Variant = TRAINED) -> None:
        """``image_size``: width, height of rendered images, or None for a policy without eyes."""
        self.simulator = Simulator(spec, task, variant)
        self.execution = execution or Execution()
        self._spec = spec
        self._renderer = CameraRenderer(self.simulator, *image_size) if image_size else None
        self._tick_ns = round(_STEPS_PER_TICK * self.simulator.timestep_s * 1e9)

    def run(self, seed: int, infer: Infer) -> PickTrial:
        """Run one trial until success, fault or the time limit."""
        play = self.play(seed)
        try:
            observation = next(play)
            while True:
                observation = play.send(infer(observation))
        except StopIteration as end:
            trial: PickTrial = end.value
            return trial

    def play(self, seed: int) -> Play:
        """Run one trial: yields what the policy sees, is sent its chunk, returns the trial."""
        simulator, how = self.simulator, self.execution
        layout = simulator.reset(seed)
        # A long delay is what is measured here, so it may not close the gate for starvation.
        controller = MotionController(
            self._spec, MotionConfig(how.merge, how.blend_s,
                                     gates=Gates(starve_grace_s=0.5 + 2 * how.delay_s)),
            rate_hz=1e9 / self._tick_ns)
        chunks = _DelayedChunks(how)
        now_ns = 0
        fault, wrong = controller.arm(now_ns, self._state(now_ns)), False
        accelerations = [np.zeros(len(self._spec.joints))] * 2
        positions, border_jump, border_ns = self._state(now_ns).positions, 0.0, -1
        limit_ns = simulator.task.time_limit_s * 1e9
        while not fault and not simulator.succeeded() and now_ns < limit_ns:
            status = controller.status(now_ns)
            if chunks.due(now_ns, status.remaining_s):
                observation = self._observation(now_ns, layout.instruction)
                chunks.answer((yield chunks.completed(observation, controller.plan(now_ns))))
            chunk = chunks.arrived(now_ns)
            if chunk is not None:
                controller.accept(chunk, now_ns)
                border_ns = now_ns + _BORDER_NS
            if how.drift_m_s:
                simulator.drift_cube(how.drift_m_s)
            command = self._advance(controller, now_ns)
            assert command.accelerations is not None
            accelerations.append(command.accelerations)
            if now_ns < border_ns:
                steps = np.abs(command.positions - positions)[self._spec.arm_mask]
                border_jump = max(border_jump, float(steps.max()))
            positions = command.positions
            status = controller.status(now_ns)
            fault = f'{status.reason}: {status.detail}' if status.mode == 'holding' else ''
            wrong = wrong or simulator.wrong_lifted()
            now_ns += self._tick_ns
        jerk = np.diff(accelerations, axis=0)[:, self._spec.arm_mask] / (self._tick_ns * 1e-9)
        return PickTrial(seed, layout.instruction, simulator.succeeded(), wrong, now_ns / 1e9,
                         fault, float(np.sqrt(np.mean(jerk**2))), border_jump,
                         status.starved_ticks * self._tick_ns * 1e-9)

    def _state(self, now_ns: int) -> RobotState:
        positions, velocities = self.simulator.state()
        return RobotState(now_ns, positions, velocities)

    def _observation(self, now_ns: int, instruction: str) -> Observation:
        renderer = self._renderer
        images = {camera: renderer.render(camera, self.simulator.data).copy()
                  for camera in self._spec.cameras} if renderer else {}
        return Observation(now_ns, images, self.simulator.state()[0], instruction)

    def _advance(self, controller: MotionController, now_ns: int) -> JointCommand:
        """Command one control period; returns the command."""
        command = controller.tick(now_ns, self._state(now_ns))
        assert command is not None
        for step in range(_STEPS_PER_TICK):
            left = (_STEPS_PER_TICK - 1 - step) * self.simulator.timestep_s
            point: FloatArray = command.positions - command.velocities * left
            self.simulator.advance(point, command.velocities)
        return command


def run_together(players: Sequence[PickTrials], seeds: Sequence[int],
                 infer: InferMany) -> list[PickTrial]:
    """Run the trials of some seeds side by side, so that one batch answers all that ask."""
    left = list(enumerate(seeds))
    results: dict[int, PickTrial] = {}
    idle = list(players)
    asking: list[tuple[int, PickTrials, Play, Observation]] = []

    def go_on(place: int, player: PickTrials, play: Play, chunk: ActionChunk | None) -> None:
        try:
            observation = next(play) if chunk is None else play.send(chunk)
            asking.append((place, player, play, observation))
        except StopIteration as end:
            results[place] = end.value
            idle.append(player)

    while left or asking:
        while left and idle:
            (place, seed), player = left.pop(0), idle.pop()
            go_on(place, player, player.play(seed), None)
        answered, asking = asking, []
        chunks = infer([observation for *_, observation in answered]) if answered else []
        for (place, player, play, _), chunk in zip(answered, chunks):
            go_on(place, player, play, chunk)
    return [results[place] for place in sorted(results)]


class _DelayedChunks:
    """Chunks of a policy that arrive a fixed time after their observation, one at a time."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._delay_ns = round(execution.delay_s * 1e9)
        self._waits = execution.merge == 'synchronous'
        self._scheduler = ChunkScheduler(
            execution.horizon, first_guess_s=execution.delay_s,
            wait_above_s=execution.wait_above_s if execution.merge == 'smooth' else math.inf)
        self._chunk: ActionChunk | None = None

    def due(self, now_ns: int, remaining_s: float) -> bool:
        """Return whether to ask now."""
        if self._chunk is not None:
            return False
        return remaining_s == 0.0 if self._waits else self._scheduler.should_request(now_ns)

    def completed(self, observation: Observation, plan: ActionChunk | None) -> Observation:
        """Return the observation with what the arm follows, for a policy that is told."""
        if self._execution.conditioned:
            observation = replace(observation, committed=self._scheduler.committed(
                plan, observation.stamp_ns))
        return observation

    def answer(self, chunk: ActionChunk) -> None:
        """Take the policy's chunk, which arrives later."""
        if self._waits:
            chunk = replace(chunk, actions=chunk.actions[:self._execution.horizon + 1])
        self._chunk = chunk

    def arrived(self, now_ns: int) -> ActionChunk | None:
        """Return the chunk that arrives now, if one does."""
        chunk = self._chunk
        if chunk is None or now_ns < chunk.start_ns + self._delay_ns:
            return None
        self._chunk = None
        chunk = self._scheduler.chunk_arrived(chunk, now_ns)
        # The arm stood since the observation; by their time the few rows may all be past.
        return replace(chunk, start_ns=now_ns) if self._waits else chunk
