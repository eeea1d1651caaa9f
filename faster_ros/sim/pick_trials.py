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
Trials of the task ``pick`` in process: simulated time, no ROS, synchronous execution.

Chunks pass the same MotionController as on a robot; the simulation stands still while a policy
thinks, so the result tells about the policy and not about the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from faster_ros.interfaces import ActionChunk, FloatArray, Observation, RobotState
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.controller import MotionController
from faster_ros.sim.simulator import CameraRenderer, Simulator

TIME_LIMIT_S = 12.0
_STEPS_PER_TICK = 2  # physics steps per control period

Infer = Callable[[Observation], ActionChunk]


@dataclass(frozen=True)
class PickTrial:
    """How one trial ended; ``seconds`` is simulated time."""

    seed: int
    instruction: str
    success: bool
    wrong_lifted: bool
    seconds: float
    fault: str


class PickTrials:
    """Runs trials one after the other on one simulator."""

    def __init__(self, spec: RobotSpec, image_size: tuple[int, int] | None,
                 execution_s: float = 0.3) -> None:
        """``image_size``: width, height of rendered images, or None for a policy without eyes."""
        self.simulator = Simulator(spec)
        self._spec = spec
        self._renderer = CameraRenderer(self.simulator, *image_size) if image_size else None
        self._tick_ns = round(_STEPS_PER_TICK * self.simulator.timestep_s * 1e9)
        self._ticks_per_chunk = round(execution_s * 1e9 / self._tick_ns)

    def run(self, seed: int, infer: Infer) -> PickTrial:
        """Run one trial until success, fault or the time limit."""
        simulator = self.simulator
        layout = simulator.reset(seed)
        controller = MotionController(self._spec, rate_hz=1e9 / self._tick_ns)
        now_ns = 0
        refusal = controller.arm(now_ns, self._state(now_ns))
        fault, wrong, ticks = refusal, False, 0
        while not fault and not simulator.succeeded() and now_ns < TIME_LIMIT_S * 1e9:
            if ticks % self._ticks_per_chunk == 0:
                controller.accept(infer(self._observation(now_ns, layout.instruction)), now_ns)
            self._advance(controller, now_ns)
            status = controller.status(now_ns)
            fault = f'{status.reason}: {status.detail}' if status.mode == 'holding' else ''
            wrong = wrong or simulator.wrong_lifted()
            ticks += 1
            now_ns += self._tick_ns
        return PickTrial(seed, layout.instruction, simulator.succeeded(), wrong, now_ns / 1e9,
                         fault)

    def _state(self, now_ns: int) -> RobotState:
        positions, velocities = self.simulator.state()
        return RobotState(now_ns, positions, velocities)

    def _observation(self, now_ns: int, instruction: str) -> Observation:
        renderer = self._renderer
        images = {camera: renderer.render(camera, self.simulator.data).copy()
                  for camera in self._spec.cameras} if renderer else {}
        return Observation(now_ns, images, self.simulator.state()[0], instruction)

    def _advance(self, controller: MotionController, now_ns: int) -> None:
        """Command one control period; the set point moves linearly towards the command."""
        command = controller.tick(now_ns, self._state(now_ns))
        assert command is not None
        for step in range(_STEPS_PER_TICK):
            left = (_STEPS_PER_TICK - 1 - step) * self.simulator.timestep_s
            point: FloatArray = command.positions - command.velocities * left
            self.simulator.advance(point, command.velocities)
