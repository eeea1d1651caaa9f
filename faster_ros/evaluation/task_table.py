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
"""The table of the paper's benchmark on the simulated tasks: Markdown, CSV and a plot."""

from __future__ import annotations

from collections.abc import Sequence
import csv
from pathlib import Path
from typing import Any

from faster_ros.evaluation.statistics import success_rate
from matplotlib.figure import Figure

REFERENCE = 'bar'  # whose decoding time the others are multiples of


def cells(name: str, row: dict[str, Any], latencies: dict[str, dict[str, float]],
          ) -> dict[str, str | float]:
    """Return the columns of a row by title: how it decodes, what is lost, how its trials went."""
    time = latencies[name]
    columns: dict[str, str | float] = {
        'row': name, 'what': row['row']['text'], 'tokens': round(time['tokens'], 1),
        'passes': round(time['passes'], 1), 'decode ms': round(time['p50_ms'], 2)}
    if REFERENCE in latencies:
        columns['times BAR'] = round(time['p50_ms'] / latencies[REFERENCE]['p50_ms'], 2)
    columns |= {'told L1': round(row['reconstruction'], 4),
                'told mrad': round(row['reconstruction_mrad'], 2),
                'policy mrad': ('none' if row['policy_mrad'] is None
                                else round(row['policy_mrad'], 2))}
    for task, result in row['tasks'].items():
        low, high = result['interval_95']
        columns |= {
            f'{task} success': f"{result['successes']}/{result['trials']}",
            f'{task} interval': f'{low:.0%} to {high:.0%}',
            f'{task} jerk': round(result['jerk_rms']),
            f'{task} undecodable': f"{result['undecodable']:.1%}"}
    return columns


def markdown(rows: Sequence[dict[str, str | float]]) -> str:
    """Return the table as Markdown."""
    titles = list(rows[0])
    lines = [titles, ['---'] * len(titles), *([str(row[title]) for title in titles]
                                              for row in rows)]
    return '\n'.join(f"| {' | '.join(line)} |" for line in lines)


def write_csv(rows: Sequence[dict[str, str | float]], path: Path) -> None:
    """Write the table as CSV."""
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def plot(results: dict[str, dict[str, Any]], latencies: dict[str, dict[str, float]],
         path: Path) -> None:
    """Draw success with its interval for each task, and the time of decoding."""
    names = list(results)
    tasks = list(next(iter(results.values()))['tasks'])
    figure = Figure(figsize=(4 + 3 * len(tasks), 1.5 + 0.3 * len(names)), layout='constrained')
    axes = figure.subplots(1, len(tasks) + 1, sharey=True)
    for task, place in zip(tasks, axes):
        rates = [success_rate(row['tasks'][task]['successes'], row['tasks'][task]['trials'])
                 for row in results.values()]
        shares = [rate.successes / rate.trials for rate in rates]
        spread = ([max(0.0, share - rate.low) for share, rate in zip(shares, rates)],
                  [max(0.0, rate.high - share) for share, rate in zip(shares, rates)])
        place.errorbar(shares, names, xerr=spread, fmt='o', color='#4477aa')
        place.set(title=f'{task}: success, 95 %', xlim=(-0.03, 1.03))
    axes[-1].barh(names, [latencies[name]['p50_ms'] for name in names], color='#ccbb44')
    axes[-1].set(title='decoding, ms (p50)', xscale='log')
    axes[0].invert_yaxis()
    figure.savefig(path, dpi=120)
