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
The job `faster_ros latency-report`: where the time goes between a camera and the arm, from a bag.

Record with: ros2 bag record /policy_node/timing /policy/chunk /control_node/command, and the
camera topics for the transport of images. The picture has one lane for each observation.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
from pathlib import Path

from faster_ros.data.latency_traces import LANES, read_traces, Trace
import numpy as np

_COLOURS = dict(zip(LANES, ('#9ecae1', '#d9d9d9', '#fdae6b', '#e6550d', '#bcbddc', '#74c476')))


def main(arguments: Sequence[str]) -> int:
    """Run ``faster_ros latency-report`` and return its exit code."""
    parser = argparse.ArgumentParser(prog='faster_ros latency-report', description=__doc__)
    parser.add_argument('bag', type=Path, help='a rosbag2 folder, or an .mcap or .db3 file')
    parser.add_argument('--out', type=Path, default=Path('out/latency'),
                        help='folder of latency.png and latency.json (%(default)s)')
    parser.add_argument('--start', type=float, default=0.0,
                        help='where the picture begins, s after the first observation')
    parser.add_argument('--seconds', type=float, default=3.0, help='how long it is (%(default)s)')
    options = parser.parse_args(arguments)
    traces = read_traces(options.bag)
    figures = durations(traces)
    _print(figures, traces)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / 'latency.json').write_text(json.dumps(
        {'bag': options.bag.name, 'observations': len(traces),
         'followed': _followed(traces), 'ms': figures}, indent=2) + '\n')
    _draw(traces, options.start, options.seconds, options.out / 'latency.png')
    print(f"picture: {options.out / 'latency.png'}")
    return 0


def durations(traces: Sequence[Trace]) -> dict[str, dict[str, float]]:
    """Return p50, p99 and largest of each part and of observation to command, in ms."""
    parts: dict[str, list[int]] = {}
    for trace in traces:
        for lane, begin, end in trace.lanes():
            parts.setdefault(lane, []).append(end - begin)
        if trace.to_command_ns is not None:
            parts.setdefault('observation to command', []).append(trace.to_command_ns)
    return {name: {'p50': float(np.quantile(values, 0.5)) / 1e6,
                   'p99': float(np.quantile(values, 0.99)) / 1e6,
                   'max': float(np.max(values)) / 1e6, 'count': len(values)}
            for name, values in parts.items()}


def _followed(traces: Sequence[Trace]) -> int:
    return sum(trace.command_ns is not None for trace in traces)


def _print(figures: dict[str, dict[str, float]], traces: Sequence[Trace]) -> None:
    print(f'{len(traces)} observations answered, {_followed(traces)} followed by the arm; ms')
    print(f"{'':24}{'p50':>8}{'p99':>8}{'max':>8}{'count':>8}")
    for name in (*LANES, 'observation to command'):
        if name in figures:
            row = figures[name]
            print(f"{name:24}{row['p50']:8.1f}{row['p99']:8.1f}{row['max']:8.1f}"
                  f"{row['count']:8.0f}")


def _draw(traces: Sequence[Trace], start_s: float, seconds: float, path: Path) -> None:
    """Draw one lane per observation of a part of the run."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    begin_ns = traces[0].stamp_ns + round(start_s * 1e9)
    shown = [trace for trace in traces
             if 0 <= trace.stamp_ns - begin_ns <= seconds * 1e9]
    if not shown:
        raise ValueError(f'--start {start_s:g}: no observation in the {seconds:g} s after it')
    figure = Figure(figsize=(11, 1.5 + 0.28 * len(shown)), layout='constrained')
    axes = figure.subplots()
    for row, trace in enumerate(shown):
        for lane, begin, end in trace.lanes():
            axes.broken_barh([((begin - begin_ns) / 1e9, max(end - begin, 1) / 1e9)],
                             (row - 0.4, 0.8), facecolor=_COLOURS[lane])
        axes.plot((trace.stamp_ns - begin_ns) / 1e9, row, 'k|', markersize=9)
    axes.invert_yaxis()
    axes.set(xlabel='s', ylabel='observation', yticks=range(len(shown)))
    used = {lane for trace in shown for lane, _, _ in trace.lanes()}
    axes.legend(handles=[Patch(color=_COLOURS[lane], label=lane) for lane in LANES
                         if lane in used], loc='upper center', ncols=len(LANES),
                bbox_to_anchor=(0.5, 1.0), fontsize='small')
    axes.set_title('| capture', loc='left', fontsize='small')
    figure.savefig(path)
