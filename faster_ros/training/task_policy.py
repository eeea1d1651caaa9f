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
"""A row of the benchmark as a policy that answers many observations in one batch."""

from __future__ import annotations

from faster_ros.interfaces import ActionChunk, FloatArray, Observation
from faster_ros.policy.action_representation import from_deltas
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.config import PolicyConfig
from faster_ros.policy.preprocess import PixelsAndWords
from faster_ros.robot_spec import RobotSpec
from faster_ros.training.benchmark_rows import Subject
from faster_ros.training.demo_inputs import Normalisers
import numpy as np
import torch


class TaskPolicy:
    """
    Observations in, chunks out.

    Tokens that stand for no chunk give one that holds the pose; ``undecodable`` of ``answers``
    were such.
    """

    def __init__(self, subject: Subject, config: PolicyConfig, normalisers: Normalisers,
                 spec: RobotSpec, step_s: float) -> None:
        self._subject, self._normalisers, self._spec = subject, normalisers, spec
        self._cameras = config.cameras
        self._preprocess = PixelsAndWords(config)
        self._step_ns = round(step_s * 1e9)
        self.answers = self.undecodable = 0

    def infer(self, observations: list[Observation]) -> list[ActionChunk]:
        """Return a chunk for each observation."""
        with torch.inference_mode():
            prefix = self._subject.model.prefix(self._batch(observations))
            chunks = self._subject.answer(prefix).chunks
        return [ActionChunk(observation.stamp_ns, self._step_ns,
                            self._actions(chunk, observation.positions), self._spec.joint_names)
                for observation, chunk in zip(observations, chunks)]

    def _batch(self, observations: list[Observation]) -> PolicyInput:
        normalise = self._normalisers.state.normalise
        one = [self._preprocess([each.images[camera] for camera in self._cameras],
                                normalise(each.positions), each.instruction)
               for each in observations]
        return PolicyInput(torch.cat([each.images for each in one]),
                           torch.cat([each.words for each in one]),
                           torch.cat([each.state for each in one]))

    def _actions(self, chunk: FloatArray, positions: FloatArray) -> FloatArray:
        self.answers += 1
        if np.isnan(chunk).any():
            self.undecodable += 1
            return np.repeat(positions[None], len(chunk), 0)
        return from_deltas(self._normalisers.actions.restore(chunk), positions,
                           self._spec.gripper_index)
