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
From a recorded calibration motion to the latencies of a robot file.

The stamps of the joint states are the reference: camera, arm and gripper are measured against
them. What the robot file has already is made up for while the motion is made, so the arm's lag
is what is missing in it. Used by ``faster_ros calibrate latency``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faster_ros.interfaces import ActionChunk, FloatArray, ImageArray, RobotState
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.runtime.calibration_motion import CalibrationMotion
from faster_ros.runtime.latency_estimate import image_lag, joint_lag, Lag, step_lag
import numpy as np
import yaml

ARM, GRIPPER = 'arm', 'gripper'
_FEWEST_IMAGES = 30


@dataclass
class CalibrationRecording:
    """
    What was heard during the motion; stamps in ns.

    ``images``: camera -> stamps with small grey images (height, width). ``delays``: s from the
    stamp of a joint state to its arrival.
    """

    chunk: ActionChunk
    states: list[RobotState] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    images: dict[str, list[tuple[int, ImageArray]]] = field(default_factory=dict)


def measured_lags(recording: CalibrationRecording, motion: CalibrationMotion) -> dict[str, Lag]:
    """Return the lags of ``arm``, ``gripper`` and each camera with images, against the states."""
    spec, chunk = motion.spec, recording.chunk
    states = recording.states
    times = _seconds([state.stamp_ns for state in states], chunk)
    rows = np.array([state.positions for state in states]).reshape(len(states), -1)
    asked = np.arange(len(chunk.actions), dtype=float) * (chunk.step_ns * 1e-9)
    index, swing = spec.joint_names.index(motion.joint), motion.swing_s
    part = (times >= swing[0]) & (times <= swing[1])
    place = rows[:, index]
    lags = {ARM: joint_lag(times[part], place[part], asked, chunk.actions[:, index])}
    if motion.gripper_steps:
        lags[GRIPPER] = step_lag(times, rows[:, spec.gripper_index], motion.gripper_steps,
                                 motion.gripper_s)
    for camera, frames in recording.images.items():
        stamps = _seconds([stamp_ns for stamp_ns, _ in frames], chunk)
        seen = (stamps >= swing[0]) & (stamps <= swing[1])
        if seen.sum() < _FEWEST_IMAGES:
            lags[camera] = Lag(0.0, 0.0, 0.0)
            continue
        pixels = np.array([image for _, image in frames], dtype=float)
        lags[camera] = image_lag(stamps[seen], pixels[seen], times, place)
    return lags


def calibrated(spec: RobotSpec, lags: Mapping[str, Lag]) -> dict[str, object]:
    """
    Return the keys of a robot file that these lags give; one that is not believed gives none.

    A camera is measured from its stamps as they come; arm and gripper add to what the file has.
    """
    good = {name: lag.seconds for name, lag in lags.items() if not lag.problem}
    data: dict[str, object] = {}
    if ARM in good:
        data['arm_latency_s'] = _rounded(spec.arm_latency_s + good[ARM])
    if ARM in good and GRIPPER in good:
        data['gripper'] = {'latency_s': _rounded(
            spec.gripper.latency_s + good[GRIPPER] - good[ARM])}
    cameras = {name: {'latency_s': _rounded(good[name])} for name in spec.cameras if name in good}
    return data | ({'cameras': cameras} if cameras else {})


def write_robot_file(path: Path, robot_file: Path, data: Mapping[str, object],
                     remark: str) -> RobotSpec:
    """Write a robot file that lays the measured values over another one; return it as loaded."""
    if path.resolve() == robot_file.resolve():
        raise ValueError(f'{path} is the robot file itself; expected another one to write, which '
                         'is based on it')
    text = yaml.safe_dump({'based_on': str(robot_file.resolve()), **data}, sort_keys=False)
    path.write_text(f'# {remark}\n{text}')
    return load_robot_spec(str(path))


def _seconds(stamps_ns: list[int], chunk: ActionChunk) -> FloatArray:
    since_ns = np.array(stamps_ns, dtype=np.int64) - chunk.start_ns
    return np.asarray(since_ns * 1e-9, dtype=float)


def _rounded(seconds: float) -> float:
    return round(max(0.0, seconds), 3)
