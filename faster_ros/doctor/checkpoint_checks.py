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
"""Does the checkpoint fit the robot, its cameras, its rate, and the pose it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from faster_ros.doctor.facts import CheckpointFacts
from faster_ros.doctor.report import critical, Line, ok, warning
from faster_ros.policy.compatibility import check_compatible, FILES
from faster_ros.robot_spec import RobotSpec

_CHECK = 'checkpoint'
_BEYOND = 0.5  # share of the range of training that a start may lie outside of it


def fit(spec: RobotSpec, checkpoint: CheckpointFacts,
        positions: Mapping[str, float]) -> list[Line]:
    """Return the lines about a checkpoint; ``positions`` are measured, by joint."""
    if not checkpoint.folder:
        return [ok(_CHECK, 'none named; name one with checkpoint:=<folder>')]
    problem = checkpoint.problem or _problem(spec, checkpoint)
    if problem:
        return [critical(_CHECK, problem, 'name a checkpoint that was trained for this robot, '
                         'with its joints, cameras and action representation')]
    lines = [_steps(spec, checkpoint, float(checkpoint.config['step_s']))]
    if 'state_normaliser' in checkpoint.config:  # a server may not say
        lines.append(_start_pose(spec, checkpoint, positions))
    return lines


def _problem(spec: RobotSpec, checkpoint: CheckpointFacts) -> str:
    if checkpoint.served:
        return ''
    absent = [name for name in FILES if not (Path(checkpoint.folder) / name).exists()]
    if absent:
        return f"{checkpoint.folder} lacks {', '.join(absent)}"
    try:
        check_compatible(checkpoint.config, spec)
    except KeyError as error:
        return f'{checkpoint.folder}: key {error} is missing in config.json'
    except (ValueError, TypeError, AttributeError) as error:
        return f'{checkpoint.folder}: {error}'
    return ''


def _steps(spec: RobotSpec, checkpoint: CheckpointFacts, step_s: float) -> Line:
    cameras = checkpoint.config['policy']['cameras']
    slow = [f'{name} at {spec.cameras[name].rate_hz:g} Hz' for name in cameras
            if spec.cameras[name].rate_hz * step_s < 1.0]
    if slow:
        return warning(_CHECK, f"actions are {step_s:g} s apart, camera {', '.join(slow)}",
                       'raise the rate of the camera: the policy acts faster than it sees')
    return ok(_CHECK, f"joints, cameras {', '.join(cameras)} and representation fit; actions "
              f'{step_s:g} s apart')


def _start_pose(spec: RobotSpec, checkpoint: CheckpointFacts,
                positions: Mapping[str, float]) -> Line:
    check = 'start pose'
    low, high = (checkpoint.config['state_normaliser'][end] for end in ('low', 'high'))
    far = []
    for name, lowest, highest in zip(spec.joint_names, low, high):
        slack = _BEYOND * (highest - lowest) + 1e-6
        value = positions.get(name, lowest)
        if not lowest - slack <= value <= highest + slack:
            far.append(f'{name} at {value:.2f}, trained {lowest:.2f} to {highest:.2f}')
    if far:
        return warning(check, '; '.join(far), 'begin near the poses of the training')
    return ok(check, 'within what the policy was trained on')
