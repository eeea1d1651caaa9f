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
One task of LIBERO in its simulation, driven by a policy.

Cameras are rendered only when the policy is asked; a step without them is ten times cheaper. Needs
the environment of ``make libero-smoke``; everything of LIBERO is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
import io
import os
from typing import Any

from faster_ros.data.libero_columns import CAMERAS, RATE_HZ, state_of, turned
from faster_ros.interfaces import FloatArray, ImageArray, Observation, Policy
from faster_ros.rendering import load_before_mesa
import numpy as np

_SETTLING_STEPS = 10  # objects fall into place, as in the protocol that papers follow
_IDLE = np.array([0.0] * 6 + [-1.0])  # stay, with the gripper open
# The longest demonstration of a suite and some more, as published evaluations have it.
STEPS = {'libero_spatial': 220, 'libero_object': 280, 'libero_goal': 300, 'libero_10': 520,
         'libero_90': 400}


@dataclass(frozen=True)
class Trial:
    """How a trial went: steps of 1/20 s after settling, and how often the policy was asked."""

    success: bool
    steps: int
    inferences: int


class LiberoTask:
    """A task of a suite; making it takes seconds, so it is used for many trials."""

    def __init__(self, suite: str, number: int, pixels: int) -> None:
        """``pixels``: height and width of the camera images."""
        benchmark, environment = _libero()
        with redirect_stdout(io.StringIO()):  # it tells what nobody asked
            tasks = benchmark.get_benchmark(suite)()
        self.instruction = str(tasks.get_task(number).language)
        self.initial_states: FloatArray = np.asarray(tasks.get_task_init_states(number))
        self._pixels = pixels
        self._env = environment(bddl_file_name=tasks.get_task_bddl_file_path(number),
                                use_camera_obs=False)
        self._env.seed(0)
        self._env.reset()

    def run(self, policy: Policy, initial_state: int, execute: int, limit: int) -> Trial:
        """Run one trial: ``execute`` rows of each chunk, until success or ``limit`` steps."""
        seen = self._env.set_init_state(self.initial_states[initial_state])
        for _ in range(_SETTLING_STEPS):
            seen, *_ = self._env.step(_IDLE)
        steps = inferences = 0
        while steps < limit:
            chunk = policy.infer(self._observation(seen, steps))
            inferences += 1
            for action in chunk.actions[:min(execute, limit - steps)]:
                seen, _, success, _ = self._env.step(np.clip(action, -1.0, 1.0))
                steps += 1
                if success:
                    return Trial(True, steps, inferences)
        return Trial(False, steps, inferences)

    def close(self) -> None:
        """Free the simulation."""
        self._env.close()

    def _observation(self, seen: Mapping[str, Any], steps: int) -> Observation:
        return Observation(round(steps * 1e9 / RATE_HZ), self._images(), _state(seen),
                           self.instruction)

    def _images(self) -> dict[str, ImageArray]:
        size = self._pixels
        return {name: turned(self._env.sim.render(camera_name=camera, width=size, height=size))
                for name, camera in CAMERAS.items()}


def _state(seen: Mapping[str, Any]) -> FloatArray:
    """Return the state as the recordings of LIBERO have it."""
    from robosuite.utils.transform_utils import quat2axisangle

    return state_of(np.asarray(seen['robot0_eef_pos'], float),
                    np.asarray(quat2axisangle(np.array(seen['robot0_eef_quat'])), float),
                    np.asarray(seen['robot0_gripper_qpos'], float))


def _libero() -> tuple[Any, Any]:
    """Return LIBERO's module of suites and its class of simulations."""
    os.environ.setdefault('MUJOCO_GL', 'egl')
    os.environ.setdefault('PYOPENGL_PLATFORM', os.environ['MUJOCO_GL'])
    load_before_mesa()
    try:
        from libero.libero import benchmark
        from libero.libero.envs import OffScreenRenderEnv
    except ImportError as error:
        raise ValueError(f'LIBERO is not installed here ({error}); make libero-smoke makes an '
                         'environment with it, .venv-libero') from error
    return benchmark, OffScreenRenderEnv


def instructions(suite: str) -> list[str]:
    """Return what is to be done in each task of a suite."""
    if suite not in STEPS:
        raise ValueError(f"suite '{suite}' is unknown; expected one of {', '.join(STEPS)}")
    with redirect_stdout(io.StringIO()):
        tasks = _libero()[0].get_benchmark(suite)()
    return [str(tasks.get_task(number).language) for number in range(tasks.get_num_tasks())]
