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
The demo's policy in process under delays and rules of execution; used by ``faster_ros lab``.

Every cell of the table sees the same layouts, so its cells can be compared trial by trial.
"""

from __future__ import annotations

from dataclasses import asdict
import hashlib
from pathlib import Path
from typing import Any

from faster_ros.evaluation.statistics import success_rate
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.pick_trials import Execution
from faster_ros.training.evaluate_demo import evaluate
import numpy as np


def measure(checkpoint: Path, way: Execution, trials: int, workers: int,
            subject: str = 'policy') -> dict[str, Any]:
    """
    Run the trials of one way; return counts, interval, times, jerk and jumps; see ``evaluate``.

    Jerk and border jump are medians over the trials.
    """
    result = evaluate(checkpoint, load_robot_spec('fr3'), subject, trials, workers=workers,
                      execution=way)
    each = result.pop('each')
    times = [trial['seconds'] for trial in each if trial['success']]
    return result | {
        'checkpoint': fingerprint(checkpoint), 'execution': asdict(way),
        'median_s': float(np.median(times)) if times else None,
        'jerk_rms': float(np.median([trial['jerk_rms'] for trial in each])),
        'border_jump': float(np.median([trial['border_jump'] for trial in each])),
        'waited_s': float(np.mean([trial['waited_s'] for trial in each])),
        'succeeded': [trial['success'] for trial in each]}


def fingerprint(checkpoint: Path) -> str:
    """Return a short hash of weights and config, by which figures are told from others'."""
    parts = [(checkpoint / name).read_bytes() for name in ('policy.safetensors', 'config.json')]
    return hashlib.sha256(b''.join(parts)).hexdigest()[:12]


def describe(cell: dict[str, Any]) -> str:
    """Return one line of text for a cell."""
    way = cell['execution']
    rate = success_rate(cell['successes'], cell['trials'])
    time = 'none' if cell['median_s'] is None else f"{cell['median_s']:.1f} s"
    return (f"{way['delay_s'] * 1e3:4.0f} ms  {way['merge']:12} {rate}, median time of a success "
            f"{time}, jerk {cell['jerk_rms']:.0f} rad/s^3, border "
            f"jump {cell['border_jump'] * 1e3:.1f} mrad, waited {cell['waited_s']:.1f} s, "
            f"faults {len(cell['faults'])}")
