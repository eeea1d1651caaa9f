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
The job `faster_ros lab`: what delay does to each rule of joining chunks.

Without ``--closed-loop`` a motion, built in or recorded, is replayed through the executor; no
robot, no policy, no GPU. With it the demo's policy picks cubes in the simulator, in process.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
import json
from pathlib import Path
from typing import Any

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.runtime.blending import RULES
from faster_ros.runtime.chunk_scheduler import WAIT_ABOVE_S
from faster_ros.runtime.latency_lab import (
    figures,
    Motion,
    Replay,
    replay,
    Scenario,
    sines,
    sines_robot,
)
import numpy as np

_COLUMNS = (('stall', 'stall %', 8, 1), ('rows_step', 'step', 8, 4),
            ('rows_acceleration', 'accel', 8, 1), ('rows_rmse', 'rmse', 8, 4),
            ('cold_acceleration', 'cold', 8, 1), ('fine_step', 'step', 10, 4),
            ('fine_acceleration', 'accel', 8, 1), ('sent_acceleration', 'sent acc', 10, 1),
            ('sent_rmse', 'rmse', 8, 4))


def main(arguments: Sequence[str], checkpoint: Path) -> int:
    """Run ``faster_ros lab`` and return its exit code."""
    options = _parser(checkpoint).parse_args(arguments)
    unknown = [rule for rule in options.rules if rule not in RULES]
    if unknown:
        raise ValueError(f"--rules: '{unknown[0]}' is unknown; expected some of "
                         f"{', '.join(RULES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / ('closed_loop.json' if options.closed_loop else 'open_loop.json')
    if options.closed_loop:
        _closed_loop(options, path)
    else:
        _write(path, _open_loop(options))
    print(f'figures: {path}')
    return 0


def _write(path: Path, results: dict[str, Any]) -> None:
    """Write all figures at once: a run that is ended leaves the file before or after."""
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(results, indent=2) + '\n')
    partial.replace(path)


def _parser(checkpoint: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='faster_ros lab', description=__doc__)
    add = parser.add_argument
    add('--rules', nargs='+', default=list(RULES), metavar='RULE', help=', '.join(RULES))
    add('--out', type=Path, default=Path('out/lab'), help='folder of JSON and plot (%(default)s)')
    add('--blend', type=float, help='length of a seam in s (0.25, closed loop 0.12)')
    replayed = parser.add_argument_group('replay')
    add = replayed.add_argument
    add('--delay', type=float, default=0.3, help='of a chunk in s (%(default)s)')
    add('--jitter', type=float, default=0.05, help='of the delay, standard deviation in s')
    add('--loss', type=float, default=0.0, help='share of chunks that never arrive')
    add('--offset', type=float, default=0.02, help='of a chunk in rad, standard deviation')
    add('--seeds', type=int, default=5, help='replays of each rule (%(default)s)')
    add('--recording', type=Path, help='.npz of episodes instead of the built-in motion')
    add('--episode', type=int, default=0, help='of the recording (%(default)s)')
    add('--robot', default='fr3', help='whose joints the recording has, and limits (%(default)s)')
    closed = parser.add_argument_group('closed loop')
    add = closed.add_argument
    add('--closed-loop', action='store_true', help='let the policy pick cubes in the simulator')
    add('--delays', type=float, nargs='+', default=[0.0, 0.1, 0.2, 0.3, 0.5, 0.8], metavar='S')
    add('--drift', type=float, default=0.0, help='speed of the cube in m/s (%(default)s)')
    add('--trials', type=int, default=50, help='for each rule and delay (%(default)s)')
    add('--workers', type=int, default=2, help='processes (%(default)s)')
    add('--wait-above', type=float, default=WAIT_ABOVE_S, metavar='S',
        help='delay above which the arm waits for smooth chunks, as wait_above of policy_node '
        '(%(default)s)')
    add('--unconditioned', action='store_true', help='do not tell the policy what is committed')
    add('--checkpoint', type=Path, default=checkpoint)
    return parser


def _open_loop(options: argparse.Namespace) -> dict[str, Any]:
    scenario = Scenario(latency=options.delay, jitter=options.jitter, loss=options.loss,
                        offset=options.offset, blend=options.blend or 0.25)
    spec, motion = load_robot_spec(options.robot), sines()
    if options.recording is None:
        spec = sines_robot(spec)
    else:
        motion, scenario = _recorded(options, spec, scenario)
    print(f'{options.delay * 1e3:.0f} +- {options.jitter * 1e3:.0f} ms, loss {options.loss:g}, '
          f'{scenario.row_rate_hz:g} Hz, {scenario.rows} rows, offset {options.offset:g} rad, '
          f'{scenario.seconds:.0f} s, mean of {options.seeds} seeds; rad and rad/s^2')
    print(f"{'':12}{'at the rate of the rows':^40}"
          f"{f'at {scenario.command_rate_hz:g} Hz':^18}{'behind the limiter':^18}")
    print(f"{'rule':12}" + ''.join(f'{title:>{width}}' for _, title, width, _ in _COLUMNS))
    results: dict[str, Any] = {'scenario': asdict(scenario), 'rules': {}}
    first: dict[str, Replay] = {}
    for rule in options.rules:
        replays = [replay(motion, spec, rule, scenario, seed) for seed in range(options.seeds)]
        found = results['rules'][rule] = figures(replays, scenario)
        first[rule] = replays[0]
        print(f'{rule:12}' + ''.join(f'{found[key]:{width}.{digits}f}'
                                     for key, _, width, digits in _COLUMNS), flush=True)
    _plot(first, options.out / 'open_loop.png')
    return results


def _recorded(options: argparse.Namespace, spec: RobotSpec,
              scenario: Scenario) -> tuple[Motion, Scenario]:
    """Return a recorded episode as a motion; its last row is held."""
    from faster_ros.data.recordings import read_recording
    from scipy.interpolate import CubicSpline

    recording = read_recording([options.recording], 1.0)
    if tuple(recording.names) != spec.joint_names:
        raise ValueError(f"{options.recording}: columns {', '.join(recording.names)}; expected "
                         f"the joints of {spec.robot}: {', '.join(spec.joint_names)}")
    if not 0 <= options.episode < len(recording.episodes):
        raise ValueError(f'--episode must be in [0, {len(recording.episodes) - 1}], got '
                         f'{options.episode}')
    rows = recording.episodes[options.episode]
    times = np.arange(len(rows)) / recording.rate_hz
    curve = CubicSpline(times, rows)

    def motion(seconds: FloatArray) -> FloatArray:
        return np.array(curve(np.clip(seconds, 0.0, times[-1])))

    return motion, replace(scenario, seconds=float(times[-1]), row_rate_hz=recording.rate_hz,
                           rows=max(2, round(recording.rate_hz)))


def _plot(replays: dict[str, Replay], path: Path) -> None:
    """Draw two seconds of the first joint and its acceleration behind the limiter."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2 + 1.6 * len(replays)), layout='constrained')
    axes = figure.subplots(len(replays), 2, squeeze=False, sharex=True)
    for (rule, run), (left, right) in zip(replays.items(), axes):
        part = (run.times >= 3.0) & (run.times < 5.0)
        times = run.times[part]
        left.plot(times, run.motion[part, 0], 'k', linewidth=0.8, label='motion')
        left.plot(times, run.targets[part, 0], label='target')
        left.plot(times, run.commands[part, 0], '--', label='command')
        left.set_ylabel(f'{rule}\nrad')
        speed = np.gradient(run.commands[part, 0], times)
        right.plot(times, np.gradient(speed, times))
        right.set_ylabel('rad/s²')
    axes[0][0].legend(fontsize='small')
    for axis in axes[-1]:
        axis.set_xlabel('s')
    figure.savefig(path)


def _closed_loop(options: argparse.Namespace, path: Path) -> None:
    """Run the cells that are not in the file yet; each is written when it is done."""
    from faster_ros.sim.pick_trials import Execution
    from faster_ros.training.evaluate_demo import SUBJECTS
    from faster_ros.training.evaluate_execution import describe, fingerprint, measure

    blend_s = 0.12 if options.blend is None else options.blend
    known = json.loads(path.read_text())['cells'] if path.exists() else []
    cells: dict[str, dict[str, Any]] = {_key(cell): cell for cell in known}
    checkpoint = fingerprint(options.checkpoint)

    def cell(way: Execution, subject: str) -> dict[str, Any]:
        key = _key({'checkpoint': checkpoint, 'trials': options.trials,
                    'subject': SUBJECTS[subject], 'execution': asdict(way)})
        if key not in cells:
            cells[key] = measure(options.checkpoint, way, options.trials, options.workers, subject)
            _write(path, {'cells': list(cells.values())})
        return cells[key]

    expert = cell(Execution(blend_s=blend_s, drift_m_s=options.drift), 'expert')
    print(f'the expert alone: {describe(expert)}', flush=True)
    for delay in options.delays:
        for rule in options.rules:
            way = Execution(delay, rule, blend_s, drift_m_s=options.drift,
                            conditioned=not options.unconditioned,
                            wait_above_s=options.wait_above)
            found = cell(way, 'policy')
            jerk, jump = (found[name] / expert[name] for name in ('jerk_rms', 'border_jump'))
            print(f"{describe(found)}, {jerk:.2f} of the expert's jerk and {jump:.2f} of its jump",
                  flush=True)


def _key(cell: dict[str, Any]) -> str:
    """Return what makes a cell comparable with another one of the same key."""
    return json.dumps([cell[name] for name in ('checkpoint', 'trials', 'subject', 'execution')],
                      sort_keys=True)
