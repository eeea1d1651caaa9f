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
Collects labelled steps of a task: what was seen, and what the expert would do next.

The arm is led by the expert under disturbances, or by a policy (DAgger); every visited state is
labelled by the expert, so labels stay clean however bad the motion is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import RobotSpec
from faster_ros.sim.expert import PickExpert
from faster_ros.sim.simulator import CameraRenderer, Simulator
from faster_ros.sim.tasks import CUBE_COLOURS, PICK, Task
import mujoco
import numpy as np

_FINGER_SPEED = 0.1  # m/s
_RENDER_SCALE = 2  # images are rendered larger and averaged down, as a camera's pixels are
_STEPS_AFTER_SUCCESS = 2
_DOWN = np.diag([1.0, -1.0, -1.0])

Act = Callable[[dict[str, ImageArray], FloatArray, str, FloatArray | None], FloatArray]


@dataclass(frozen=True)
class PickStep:
    """
    One labelled step.

    ``images``: uint8 (cameras, height, width, 3) in RobotSpec order; ``positions``: (D,);
    ``actions``: the expert's chunk (H, D). ``commanded``: the target (D,) that is due at this
    step, whoever leads the arm.
    """

    images: ImageArray
    positions: FloatArray
    actions: FloatArray
    commanded: FloatArray
    instruction: str
    success: bool


@dataclass(frozen=True)
class PickSettings:
    """
    How episodes are collected; sizes in pixels, disturbance in rad per step.

    ``longest_delay``: steps between an observation and the policy's answer, at most; 0 draws none.
    """

    task: Task = PICK
    step_s: float = 0.1
    action_horizon: int = 16
    image_width: int = 128
    image_height: int = 96
    disturbance: float = 0.012
    random_start_share: float = 0.5
    execution_horizon: int = 4
    longest_delay: int = 0


class PickCollector:
    """Runs episodes of one simulator and yields their labelled steps."""

    def __init__(self, spec: RobotSpec, settings: PickSettings) -> None:
        self._spec = spec
        self._settings = settings
        self._kinematics = Kinematics(spec)
        self._simulator = Simulator(spec, settings.task)
        self._expert = PickExpert(spec, settings.step_s, settings.task)
        self._renderer = CameraRenderer(self._simulator, _RENDER_SCALE * settings.image_width,
                                        _RENDER_SCALE * settings.image_height)

    def episode(self, seed: int, act: Act | None = None) -> Iterator[PickStep]:
        """
        Yield the steps of one episode; ``act`` leads the arm instead of the expert.

        With a longest delay its answers come late in half of the episodes, by as many steps as
        are drawn.
        """
        settings, simulator = self._settings, self._simulator
        rng = np.random.default_rng([seed, 1])
        instruction = simulator.reset(seed).instruction
        if rng.random() < settings.random_start_share:
            self._place_randomly(rng)
        set_point, _ = simulator.state()
        target = set_point
        offset = np.zeros(len(set_point) - 1)
        left = settings.task.longest_steps
        if act is not None:
            delay = 0
            if settings.longest_delay and rng.random() < 0.5:
                delay = int(rng.integers(settings.longest_delay + 1))
            policy = _LatePolicy(act, delay, settings.execution_horizon)
        for step in range(settings.task.longest_steps):
            positions, _ = simulator.state()
            images = self._images()
            chunk = self._expert.plan(simulator, settings.action_horizon)
            commanded = np.append(set_point[:-1], target[-1])
            yield PickStep(images, positions, chunk, commanded, instruction,
                           simulator.succeeded())
            left = min(left, _STEPS_AFTER_SUCCESS) if simulator.succeeded() else left
            left -= 1
            if left < 0:
                return
            if act is None:
                if step % 4 == 0:
                    offset = settings.disturbance * rng.normal(size=len(offset))
                    offset *= rng.random() < 0.5
                target = chunk[1].copy()
                target[:-1] += offset
            else:
                named = dict(zip(self._spec.cameras, images))
                target = policy.target(named, positions, instruction, commanded)
            set_point = self._move(set_point, target)

    def _images(self) -> ImageArray:
        size = (self._settings.image_width, self._settings.image_height)
        return np.stack([
            cv2.resize(self._renderer.render(camera, self._simulator.data), size,
                       interpolation=cv2.INTER_AREA)
            for camera in self._spec.cameras])

    def _move(self, start: FloatArray, target: FloatArray) -> FloatArray:
        """Lead the set point from ``start`` to ``target`` in one step; return where it ended."""
        simulator = self._simulator
        target = np.clip(target, self._spec.limit_array('lower'), self._spec.limit_array('upper'))
        count = round(self._settings.step_s / simulator.timestep_s)
        velocity = (target - start) / self._settings.step_s
        velocity[-1] = np.clip(velocity[-1] * 10, -_FINGER_SPEED, _FINGER_SPEED)
        low, high = np.minimum(start, target), np.maximum(start, target)
        for index in range(1, count + 1):
            point = np.clip(start + velocity * index * simulator.timestep_s, low, high)
            simulator.advance(point, velocity)
        return point

    def _place_randomly(self, rng: np.random.Generator) -> None:
        """Start with the tool anywhere over the table, or near one of the cubes."""
        place = rng.uniform((0.33, -0.25, 0.06), (0.67, 0.25, 0.36))
        if rng.random() < 0.6:
            colour = self._simulator.target
            if rng.random() < 0.3:
                colour = str(rng.choice(list(CUBE_COLOURS)))
            place[:2] = self._simulator.cube_position(colour)[:2] + rng.normal(0.0, 0.025, 2)
            place[2] = rng.uniform(0.05, 0.2)
        tilt = rng.normal(0.0, 0.08, 3)
        matrix = np.zeros(9)
        quat = np.concatenate([[1.0], tilt / 2])
        mujoco.mju_quat2Mat(matrix, quat / np.linalg.norm(quat))
        rotation = matrix.reshape(3, 3) @ _DOWN
        joints = self._spec.home_positions
        start, _ = self._kinematics.forward(joints[:-1])
        for share in np.linspace(0.1, 1.0, 10):
            joints[:-1] = self._kinematics.step_towards(
                joints[:-1], start + share * (place - start), rotation, joints[:-1])
        if rng.random() < 0.15:
            joints[-1] = self._spec.gripper.closed
        self._simulator.place_arm(joints)


class _LatePolicy:
    """Targets of a policy whose answers take ``delay`` steps; meanwhile the arm goes on."""

    def __init__(self, act: Act, delay: int, horizon: int) -> None:
        self._act, self._delay, self._horizon = act, delay, horizon
        self._queue: list[FloatArray] = []  # targets of the steps to come

    def target(self, images: dict[str, ImageArray], positions: FloatArray, instruction: str,
               commanded: FloatArray) -> FloatArray:
        """Return where to go next, (D,); ``commanded`` is where it goes now."""
        late = len(self._queue)
        if late <= self._delay:
            committed = np.stack([commanded, *self._queue]) if late else None
            answer = self._act(images, positions, instruction, committed)
            self._queue += list(answer[1 + late:1 + late + self._horizon])
        return self._queue.pop(0)
