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
The job `faster_ros calibrate latency`: measure what is late, and write it into a robot file.

One joint swings gently and the gripper steps, through a running control_node; no policy may run.
The arm moves only after the operator has typed yes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from faster_ros.robot_spec import config_path, load_robot_spec
from faster_ros.runtime.calibration_motion import CalibrationMotion
from faster_ros.runtime.latency_calibration import (
    calibrated,
    CalibrationRecording,
    measured_lags,
    write_robot_file,
)
import numpy as np
import yaml


def main(arguments: Sequence[str]) -> int:
    """Run ``faster_ros calibrate`` and return its exit code."""
    options = _parser().parse_args(arguments)
    spec = load_robot_spec(options.robot)
    if spec.arms:
        raise ValueError(f'{options.robot}: this measures robots with one arm; this one has '
                         f"{', '.join(spec.arms)}")
    joint = options.joint or spec.arm_joint_names[0]
    if joint not in spec.arm_joint_names:
        raise ValueError(f"--joint: '{joint}' is unknown; expected one of "
                         f"{', '.join(spec.arm_joint_names)}")
    for name, low, high in (('amplitude', 0.005, 0.2), ('seconds', 6.0, 60.0)):
        if not low <= getattr(options, name) <= high:
            raise ValueError(f'--{name} must be in [{low:g}, {high:g}], got '
                             f'{getattr(options, name):g}')
    motion = CalibrationMotion(spec, joint, options.amplitude, options.seconds,
                               0.0 if options.no_gripper else options.gripper_seconds)
    recording = _record(motion)
    return 0 if recording is None else _report(recording, motion, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros calibrate', description=__doc__)
    job = parser.add_subparsers(required=True, metavar='WHAT').add_parser(
        'latency', help='of cameras, arm and gripper')
    add = job.add_argument
    add('--robot', default='fr3', help='name or path of the robot file (%(default)s)')
    add('--joint', help='which joint swings (the first)')
    add('--amplitude', type=float, default=0.08, help='of the swing in rad (%(default)s)')
    add('--seconds', type=float, default=12.0, help='how long it swings (%(default)s)')
    add('--gripper-seconds', type=float, default=2.0, help='between its steps (%(default)s)')
    add('--no-gripper', action='store_true', help='leave the gripper as it is')
    add('--out', type=Path, help='robot file to write (<robot>_latency.yaml here)')
    return parser


def _record(motion: CalibrationMotion) -> CalibrationRecording | None:
    """Make the motion if the operator agrees; None if not."""
    from faster_ros.nodes.calibration_client import CalibrationClient, CalibrationFault

    client = CalibrationClient(motion.spec)
    try:
        problem = motion.problem(client.positions())
        if client.publishers_of_chunks():
            problem = 'another node publishes policy/chunk; end the policy first'
        if problem:
            raise ValueError(problem)
        print(f'{motion.joint} of {motion.spec.robot} will swing by {motion.amplitude:g} rad, at '
              f'most {motion.fastest:.2f} rad/s, for {motion.seconds:g} s'
              + (f', then the gripper will close and open {len(motion.gripper_steps) // 2} times'
                 if motion.gripper_steps else '')
              + '.\nThe arm moves. Keep clear, a hand at the emergency stop.', flush=True)
        if input('Type yes to begin: ').strip() != 'yes':
            print('nothing was moved')
            return None
        return client.make(motion)
    except CalibrationFault as fault:
        raise ValueError(str(fault)) from None
    except EOFError:
        raise ValueError('nobody typed yes; nothing was moved') from None
    finally:
        client.close()


def _report(recording: CalibrationRecording, motion: CalibrationMotion,
            options: argparse.Namespace) -> int:
    """Print what was measured and write what is believed; 1 if anything is not."""
    spec = motion.spec
    lags = measured_lags(recording, motion)
    silent = [name for name in spec.cameras if name not in lags]
    if recording.delays:
        print(f'joint states arrive {np.median(recording.delays) * 1e3:.0f} ms after their '
              f'stamps, {np.quantile(recording.delays, 0.99) * 1e3:.0f} ms in 1 of 100')
    for name, lag in lags.items():
        print(f'{name:10} {lag.seconds * 1e3:5.0f} ms +- {lag.spread * 1e3 / 2:.0f}, correlation '
              f'{lag.correlation:.2f}' + (f'  NOT USED: {lag.problem}' if lag.problem else ''))
    for name in silent:
        print(f'{name:10} NOT MEASURED: no image on {spec.cameras[name].topic}')
    data = calibrated(spec, lags)
    if not data:
        raise ValueError('nothing could be measured; no file is written')
    path = options.out or Path(f'{spec.robot}_latency.yaml')
    write_robot_file(path, _robot_file(options.robot), data,
                     f'{spec.robot}: latencies measured on {date.today()} by faster_ros calibrate')
    print(f'robot file: {path}\n{yaml.safe_dump(data, sort_keys=False)}', end='')
    return int(bool(silent) or any(lag.problem for lag in lags.values()))


def _robot_file(robot: str) -> Path:
    path = Path(robot)
    return path if path.suffix in ('.yaml', '.yml') else config_path(f'config/{robot}.yaml')
