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
What is kept of each trial on a robot or simulator, and the summary of all of them.

Filled by demo_node from topics; read by the report and the video. Times of samples are ns on the
ROS clock; joint vectors are in RobotSpec order.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
import platform
from typing import Any

from faster_ros.evaluation.statistics import quantiles, success_rate
from faster_ros.interfaces import FloatArray
import numpy as np

_PACKAGES = ('faster_ros', 'mujoco', 'numpy', 'ros-rclpy', 'torch')


@dataclass
class JointTrace:
    """Joint positions over time; one writer, readers take ``arrays``."""

    # Arrays hold numbers and no objects: a long run gives the garbage collector nothing to visit.
    stamps_ns: array[int] = field(default_factory=lambda: array('q'))
    positions: array[float] = field(default_factory=lambda: array('d'))
    width: int = 0

    def add(self, stamp_ns: int, positions: Sequence[float]) -> None:
        """Append one sample of D positions."""
        self.width = len(positions)
        self.positions.extend(positions)
        self.stamps_ns.append(stamp_ns)

    def arrays(self, start_ns: int, since_ns: int = 0) -> tuple[FloatArray, FloatArray]:
        """Return seconds after ``start_ns`` (T,) and positions (T, D), from ``since_ns`` on."""
        stamps = np.frombuffer(self.stamps_ns[:], np.int64)
        # The writer may be ahead with the positions of a sample that has no stamp yet.
        positions = np.frombuffer(self.positions[:len(stamps) * self.width], np.float64)
        positions = positions.reshape(len(stamps), self.width)
        first = int(np.searchsorted(stamps, since_ns))
        return (stamps[first:] - start_ns) / 1e9, positions[first:]


@dataclass
class TrialRecord:
    """
    One trial: what was asked, how it ended and everything measured while it ran.

    ``outcome``: success, timeout, or why it was given up; ``detail`` says more. ``counters``:
    growth of the nodes' counters, such as starved_ticks. ``frames``: camera -> (received,
    missed).
    """

    number: int
    seed: int
    instruction: str
    start_ns: int
    outcome: str = ''
    detail: str = ''
    success: bool = False
    wrong: bool = False
    seconds: float = 0.0
    inference_ms: list[float] = field(default_factory=list)
    capture_to_chunk_ms: list[float] = field(default_factory=list)
    period_deviation_ms: list[float] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    frames: dict[str, tuple[int, int]] = field(default_factory=dict)
    commanded: JointTrace = field(default_factory=JointTrace)
    measured: JointTrace = field(default_factory=JointTrace)
    thumbnail_jpeg: bytes = b''

    def figures(self) -> dict[str, Any]:
        """Return the figures of the trial as they are written to summary.json."""
        return {
            'number': self.number,
            'seed': self.seed,
            'instruction': self.instruction,
            'outcome': self.outcome,
            'detail': self.detail,
            'success': self.success,
            'wrong_cube': self.wrong,
            'seconds': round(self.seconds, 3),
            'inference_ms': _rounded(self.inference_ms),
            'capture_to_chunk_ms': _rounded(self.capture_to_chunk_ms),
            'command_period_deviation_ms': _rounded(self.period_deviation_ms),
            'camera_frames': camera_figures([self]),
            **self.counters,
        }

    def line(self, trials: int) -> str:
        """Return the line that is printed when the trial has ended."""
        inference = quantiles(self.inference_ms).p50
        return (
            f'{self.number:>4}/{trials}  {self.instruction:<30} {self.outcome:<12} '
            f'{self.seconds:5.1f} s   inference '
            + (f'{inference:5.1f} ms' if inference is not None else '    -')
        )


def summarize(records: Sequence[TrialRecord], context: Mapping[str, Any]) -> dict[str, Any]:
    """Return all figures of a run; ``context`` says what ran (robot, checkpoint, ...)."""
    rate = success_rate(sum(record.success for record in records), len(records))
    counters = sorted({name for record in records for name in record.counters})
    return {
        **context,
        'trials': rate.trials,
        'successes': rate.successes,
        'success_rate': rate.successes / rate.trials if rate.trials else None,
        'success_interval': {
            'confidence': rate.confidence,
            'method': 'wilson',
            'low': rate.low,
            'high': rate.high,
        },
        'wrong_cube': sum(record.wrong for record in records),
        'seconds_to_success': _rounded([record.seconds for record in records if record.success]),
        'inference_ms': _rounded(pooled(records, 'inference_ms')),
        'capture_to_chunk_ms': _rounded(pooled(records, 'capture_to_chunk_ms')),
        'command_period_deviation_ms': _rounded(pooled(records, 'period_deviation_ms')),
        **{name: sum(record.counters.get(name, 0) for record in records) for name in counters},
        'camera_frames': camera_figures(records),
        'seeds': [record.seed for record in records],
        'versions': versions(),
        'per_trial': [record.figures() for record in records],
    }


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return the summary as it is printed."""
    rate = success_rate(summary['successes'], summary['trials'])
    cameras = ', '.join(
        f'{name} {counts["received"]} of {counts["expected"]}'
        for name, counts in summary['camera_frames'].items()
    )
    rows = [
        ('led by', summary['led_by']),
        ('success', str(rate)),
        ('wrong cube lifted', str(summary['wrong_cube'])),
        ('camera stamp to chunk', _in_words(summary['capture_to_chunk_ms'])),
        ('inference', _in_words(summary['inference_ms'])),
        ('command period deviation', _in_words(summary['command_period_deviation_ms'])),
        ('late steps dropped', str(summary.get('late_steps', 0))),
        ('starved control ticks', str(summary.get('starved_ticks', 0))),
        ('camera frames received', cameras or 'not measured'),
        ('processors', _machine_in_words(summary['machine'])),
    ]
    return [f'  {name:<26}{text}' for name, text in rows]


def _machine_in_words(machine: Mapping[str, Any]) -> str:
    taken = machine['taken_by_host']
    return f'{machine["processors"]}, the host took ' + (
        'an unknown share of their time' if taken is None else f'{taken:.1%} of their time')


def pooled(records: Sequence[TrialRecord], samples: str) -> list[float]:
    """Return one kind of samples of all trials together."""
    return [value for record in records for value in getattr(record, samples)]


def camera_figures(records: Sequence[TrialRecord]) -> dict[str, dict[str, Any]]:
    """Return received and expected frames per camera; gaps between stamps count as expected."""
    figures = {}
    for name in sorted({name for record in records for name in record.frames}):
        counts = [record.frames[name] for record in records if name in record.frames]
        received = sum(count[0] for count in counts)
        expected = received + sum(count[1] for count in counts)
        figures[name] = {
            'received': received,
            'expected': expected,
            'share': round(received / expected, 4) if expected else None,
        }
    return figures


def versions() -> dict[str, str]:
    """Return the versions that the figures depend on."""
    found = {'python': platform.python_version(), 'machine': platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # ROS from apt has no wheel of rclpy
    return found


def _rounded(samples: Sequence[float]) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in asdict(quantiles(samples)).items()
    }


def _in_words(figures: Mapping[str, Any]) -> str:
    if not figures['count']:
        return 'not measured'
    return f'p50 {figures["p50"]:.1f} ms, p99 {figures["p99"]:.1f} ms'
