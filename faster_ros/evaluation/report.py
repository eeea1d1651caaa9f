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
"""The HTML report of a run: one self-contained file with tables, plots and thumbnails."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from faster_ros.evaluation.statistics import success_rate
from faster_ros.evaluation.trial_record import pooled, TrialRecord
import jinja2
from matplotlib.figure import Figure
import numpy as np

_BLUE, _ORANGE = '#2f7ed8', '#e07b1a'
_TEMPLATE = jinja2.Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1e21; background: #f6f7f9; margin: 0; }
main { max-width: 1060px; margin: 0 auto; padding: 24px; }
h1 { font-size: 26px; margin: 8px 0 2px; } h2 { font-size: 18px; margin: 34px 0 8px; }
p.sub { color: #60656d; margin: 0 0 18px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; }
.card { background: #fff; border: 1px solid #e2e5ea; border-radius: 8px; padding: 12px 16px; }
.card b { display: block; font-size: 22px; } .card span { color: #60656d; font-size: 13px; }
table { border-collapse: collapse; width: 100%; background: #fff; font-size: 14px;
  border: 1px solid #e2e5ea; }
th, td { padding: 6px 10px; text-align: left; border-bottom: 1px solid #eceef2; }
th { background: #eef1f5; font-weight: 600; } td.n, th.n { text-align: right; }
.good { color: #1b7f3b; font-weight: 600; } .bad { color: #b3261e; font-weight: 600; }
img.plot { width: 100%; background: #fff; border: 1px solid #e2e5ea; border-radius: 8px; }
img.thumb { width: 96px; display: block; border-radius: 4px; }
footer { color: #60656d; font-size: 13px; margin-top: 28px; }
</style></head><body><main>
<h1>{{ title }}</h1><p class="sub">{{ subtitle }}</p>
<div class="cards">{% for name, value, note in cards %}
<div class="card"><span>{{ name }}</span><b>{{ value }}</b><span>{{ note }}</span></div>
{% endfor %}</div>
<h2>Trials</h2><table><tr><th class="n">#</th><th>end of trial</th><th>instruction</th>
<th class="n">seed</th><th>outcome</th><th class="n">seconds</th><th class="n">inference p50</th>
<th class="n">stamp to chunk p99</th><th class="n">starved</th></tr>
{% for row in rows %}<tr><td class="n">{{ row.number }}</td>
<td>{% if row.image %}<img class="thumb" alt="" src="data:image/jpeg;base64,{{ row.image }}">
{% endif %}</td><td>{{ row.instruction }}</td><td class="n">{{ row.seed }}</td>
<td class="{{ 'good' if row.success else 'bad' }}">{{ row.outcome }}
{%- if row.wrong_cube %}, wrong cube lifted{% endif %}
{%- if row.detail %}<br><small>{{ row.detail }}</small>{% endif %}</td>
<td class="n">{{ '%.1f' % row.seconds }}</td><td class="n">{{ row.inference }}</td>
<td class="n">{{ row.latency }}</td><td class="n">{{ row.starved_ticks }}</td></tr>
{% endfor %}</table>
{% for name, note, image in plots %}<h2>{{ name }}</h2><p class="sub">{{ note }}</p>
<img class="plot" alt="{{ name }}" src="data:image/png;base64,{{ image }}">{% endfor %}
<footer>{{ footer }}</footer></main></body></html>
""",
    autoescape=True,
)


def write_report(
    path: Path,
    summary: Mapping[str, Any],
    records: Sequence[TrialRecord],
    joint_names: Sequence[str],
) -> None:
    """Write the report of a run; ``summary`` as ``trial_record.summarize`` returns it."""
    versions = ', '.join(f'{name} {text}' for name, text in summary['versions'].items())
    path.write_text(
        _TEMPLATE.render(
            title=f'{summary["title"]}: {summary["successes"]} of {summary["trials"]} picked',
            subtitle=f'{summary["robot"]}, checkpoint {summary["checkpoint"]}, {summary["date"]}',
            cards=_cards(summary),
            rows=[_row(record) for record in records],
            plots=_plots(summary, records, joint_names),
            footer=versions,
        ),
        encoding='utf-8',
    )


def _cards(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rate = success_rate(summary['successes'], summary['trials'])
    cameras = summary['camera_frames']
    received = sum(counts['received'] for counts in cameras.values())
    expected = sum(counts['expected'] for counts in cameras.values())
    return [
        (
            'success',
            f'{rate.successes} / {rate.trials}',
            f'95% interval {rate.low:.0%} to {rate.high:.0%} (Wilson)',
        ),
        ('wrong cube lifted', str(summary['wrong_cube']), 'trials'),
        (
            'camera stamp to chunk',
            _ms(summary['capture_to_chunk_ms'], 'p50'),
            f'p99 {_ms(summary["capture_to_chunk_ms"], "p99")}',
        ),
        (
            'inference',
            _ms(summary['inference_ms'], 'p50'),
            f'p99 {_ms(summary["inference_ms"], "p99")}',
        ),
        (
            'command period deviation',
            _ms(summary['command_period_deviation_ms'], 'p50'),
            f'p99 {_ms(summary["command_period_deviation_ms"], "p99")}',
        ),
        (
            'starved control ticks',
            str(summary.get('starved_ticks', 0)),
            f'{summary.get("late_steps", 0)} late steps dropped',
        ),
        (
            'camera frames received',
            f'{received / expected:.1%}' if expected else '-',
            f'{received} of {expected}',
        ),
    ]


def _row(record: TrialRecord) -> dict[str, Any]:
    figures = record.figures()
    return {
        'starved_ticks': 0,
        **figures,
        'image': b64encode(record.thumbnail_jpeg).decode(),
        'inference': _ms(figures['inference_ms'], 'p50'),
        'latency': _ms(figures['capture_to_chunk_ms'], 'p99'),
    }


def _plots(
    summary: Mapping[str, Any], records: Sequence[TrialRecord], joint_names: Sequence[str]
) -> list[tuple[str, str, str]]:
    plots = []
    shown = next((record for record in records if record.success), records[0] if records else None)
    if shown is not None and len(shown.commanded.stamps_ns) > 1:
        plots.append(
            (
                f'Joints in trial {shown.number}',
                f"'{shown.instruction}', {shown.outcome}",
                png(joint_figure(shown, joint_names)),
            )
        )
    for name, note, samples in (
        (
            'Camera stamp to chunk',
            'from the stamp of the newest image to the published chunk',
            'capture_to_chunk_ms',
        ),
        (
            'Command period deviation',
            'distance of each command period from the nominal one',
            'period_deviation_ms',
        ),
    ):
        values = pooled(records, samples)
        if values:
            plots.append((name, note, png(histogram_figure(values))))
    return plots


def joint_figure(record: TrialRecord, joint_names: Sequence[str]) -> Figure:
    """Plot commanded and measured positions of every joint over one trial."""
    columns = 4
    rows = -(-len(joint_names) // columns)
    figure = Figure(figsize=(12, 2.4 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    seconds_measured, measured = record.measured.arrays(record.start_ns)
    seconds_commanded, commanded = record.commanded.arrays(record.start_ns)
    for index, axis in enumerate(axes.flat):
        axis.set_visible(index < len(joint_names))
        if index >= len(joint_names):
            continue
        if len(seconds_measured):
            axis.plot(seconds_measured, measured[:, index], color=_BLUE, label='measured')
        axis.plot(
            seconds_commanded,
            commanded[:, index],
            color=_ORANGE,
            linestyle='--',
            label='commanded',
        )
        axis.set_title(joint_names[index], fontsize=10)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
        axis.margins(y=0.2)
    for axis in axes[-1]:
        axis.set_xlabel('s', fontsize=9)
    for axis in axes[:, 0]:
        axis.set_ylabel('rad or m', fontsize=9)
    axes.flat[0].legend(fontsize=8)
    return figure


def histogram_figure(values: Sequence[float]) -> Figure:
    """Plot a histogram of times in ms with its median and 99th percentile."""
    p50, p99 = np.quantile(values, (0.5, 0.99))
    figure = Figure(figsize=(12, 2.8), layout='constrained')
    axis = figure.subplots()
    upper = max(1.3 * p99, 1e-3)
    axis.hist(
        np.minimum(values, upper),
        bins=60,
        range=(0.0 if p50 < 0.5 * upper else min(values), upper),
        color=_BLUE,
    )
    for value, name in ((p50, 'p50'), (p99, 'p99')):
        axis.axvline(value, color=_ORANGE, linestyle='--')
        axis.annotate(
            f' {name} {value:.2f} ms',
            (value, 0.92),
            color=_ORANGE,
            xycoords=('data', 'axes fraction'),
        )
    axis.set_xlabel('ms (the last bar holds everything above)')
    axis.set_ylabel('count')
    axis.grid(alpha=0.3)
    return figure


def png(figure: Figure) -> str:
    """Return a figure as a base64 PNG for a page."""
    buffer = BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    return b64encode(buffer.getvalue()).decode()


def _ms(figures: Mapping[str, Any], name: str) -> str:
    return '-' if figures[name] is None else f'{figures[name]:.1f} ms'
