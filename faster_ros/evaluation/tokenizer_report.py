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
"""The outcome of a tokenizer comparison: table, recommendation, CSV, JSON and one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import json
from pathlib import Path
from typing import Any

from faster_ros.evaluation.report import png
from faster_ros.interfaces import FloatArray
import jinja2
from matplotlib.figure import Figure
import numpy as np

_GOOD_VRR = 0.95  # share of time steps within 0.1 that counts as faithful in the recommendation
_BLUE, _ORANGE = '#2f7ed8', '#e07b1a'
_OTHERS = ('#2f7ed8', '#1b7f3b', '#8a4fbf', '#b3261e', '#60656d', '#12939a', '#c2459c',
           '#8c6d1f', '#1c1e21')
_PLOTTED_COLUMNS = 8
_COLUMNS = (  # key, title, format
    ('name', 'tokenizer', '{}'), ('vocabulary', 'V', '{}'),
    ('tokens_mean', 'tokens', '{:.1f}'), ('tokens_p99', 'p99', '{:.0f}'),
    ('bits', 'bits', '{:.0f}'), ('mse', 'MSE', '{:.2e}'), ('l1', 'L1', '{:.4f}'),
    ('p99', 'p99 error', '{:.3f}'), ('vrr_0.05', 'VRR .05', '{:.3f}'),
    ('vrr_0.1', 'VRR .10', '{:.3f}'), ('jerk_ratio', 'jerk', '{:.2f}'),
    ('border_jump', 'border', '{:.2f}'), ('decodes_corrupted', '1 wrong token', '{:.0%}'),
)
_MORE_COLUMNS = (
    ('name', 'tokenizer', '{}'), ('compression', 'compression', '{:.1f}'),
    ('mse_low', 'MSE from', '{:.2e}'), ('mse_high', 'to', '{:.2e}'),
    ('gaussian_mse', 'ideal MSE', '{:.2e}'),
    ('vrr_0.001', 'VRR mean .001', '{:.3f}'), ('vrr_0.005', 'VRR mean .005', '{:.3f}'),
    ('clipped', 'clipped', '{:.2%}'), ('overlap', 'overlap', '{:.2f}'),
    ('decodes_random', 'random', '{:.0%}'), ('decodes_truncated', 'cut', '{:.0%}'),
    ('gripper_error_steps', 'gripper steps', '{:.2f}'),
    ('gripper_error_steps_p99', 'p99', '{:.1f}'), ('gripper_missed', 'missed', '{:.1%}'),
    ('gripper_extra', 'extra', '{:.2f}'),
    ('encode_ms', 'encode ms', '{:.2f}'), ('decode_ms', 'decode ms', '{:.2f}'),
    ('fit_s', 'fit s', '{:.1f}'),
)
_ABLATION_COLUMNS = (
    ('name', 'variant', '{}'), ('tokens_mean', 'tokens', '{:.0f}'), ('vocabulary', 'K', '{}'),
    ('mse', 'MSE', '{:.2e}'), ('mse_low', 'from', '{:.2e}'), ('mse_high', 'to', '{:.2e}'),
    ('l1', 'L1', '{:.4f}'), ('vrr_0.05', 'VRR .05', '{:.2f}'), ('vrr_0.1', 'VRR .10', '{:.2f}'),
    ('jerk_ratio', 'jerk', '{:.2f}'), ('border_jump', 'border', '{:.2f}'),
    ('use_1', 'use of level 1', '{:.0%}'), ('fit_s', 'fit s', '{:.0f}'),
)
_BY_LEVEL = (('use', '{:.0%}'), ('perplexity', '{:.2f}'), ('level_mse', '{:.1e}'))
_TEMPLATE = jinja2.Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1e21; background: #f6f7f9; margin: 0; }
main { max-width: 1160px; margin: 0 auto; padding: 24px; }
h1 { font-size: 26px; margin: 8px 0 2px; } h2 { font-size: 18px; margin: 34px 0 8px; }
p.sub { color: #60656d; margin: 0 0 18px; }
p.advice { background: #fff; border-left: 4px solid #2f7ed8; padding: 10px 14px; }
table { border-collapse: collapse; width: 100%; background: #fff; font-size: 14px;
  border: 1px solid #e2e5ea; }
th, td { padding: 6px 8px; text-align: right; border-bottom: 1px solid #eceef2; }
th { background: #eef1f5; font-weight: 600; } td:first-child, th:first-child { text-align: left; }
td { white-space: nowrap; } td.text { text-align: left; white-space: normal; }
div.wide { overflow-x: auto; }
tr.chosen td { background: #eef6ee; font-weight: 600; }
img.plot { width: 100%; background: #fff; border: 1px solid #e2e5ea; border-radius: 8px; }
</style></head><body><main>
<h1>{{ title }}</h1><p class="sub">{{ subtitle }}</p><p class="advice">{{ advice }}</p>
{% for heading, note, head, rows in tables %}<h2>{{ heading }}</h2><p class="sub">{{ note }}</p>
<div class="wide"><table><tr>{% for cell in head %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in rows %}<tr{% if row[0] == chosen %} class="chosen"{% endif %}>
{% for cell in row %}<td{% if cell is string and cell | length > 24 %} class="text"{% endif %}>
{{- cell }}</td>{% endfor %}</tr>{% endfor %}</table></div>{% endfor %}
{% for heading, note, image in plots %}<h2>{{ heading }}</h2><p class="sub">{{ note }}</p>
<img class="plot" alt="{{ heading }}" src="data:image/png;base64,{{ image }}">{% endfor %}
{% if remarks %}<h2>Remarks</h2><ul>{% for remark in remarks %}<li>{{ remark }}</li>
{% endfor %}</ul>{% endif %}</main></body></html>
""",
    autoescape=True,
)


def recommend(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the tokenizer to take and the sentence that says why."""
    safe = [row for row in rows if row['fixed_length'] and row['decodes_corrupted'] == 1
            and row['decodes_random'] == 1]
    if not safe:
        best = min(rows, key=lambda row: float(row['mse']))
        return best['name'], (f"Take {best['name']}: it has the lowest error here, but none of "
                              'these has a fixed length and decodes every sequence.')
    faithful = [row for row in safe if row['vrr_0.1'] >= _GOOD_VRR]
    if faithful:
        best = min(faithful, key=lambda row: (float(row['tokens_p99']), float(row['mse'])))
        reason = (f'of the {len(faithful)} with a fixed length that decode every sequence and '
                  f'keep {_GOOD_VRR:.0%} of time steps within 0.1 in every dimension it needs the '
                  f"fewest tokens, {best['tokens_mean']:.0f}")
    else:
        best = min(safe, key=lambda row: float(row['mse']))
        reason = (f"it has the lowest error, MSE {best['mse']:.1e}, of those with a fixed length "
                  f'that decode every sequence; none keeps {_GOOD_VRR:.0%} of time steps within '
                  '0.1, so more tokens or more episodes are needed')
    return best['name'], f"Take {best['name']}: {reason}."


def table_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the main table for a terminal."""
    head, body = _cells(rows, _COLUMNS)
    lines = [head, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return '\n'.join(
        '  '.join([line[0].ljust(widths[0]),
                   *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
        for line in lines)


def write_outcome(folder: Path, heading: Mapping[str, Any], rows: Sequence[Mapping[str, Any]],
                  pictures: Mapping[str, Mapping[str, tuple[FloatArray, FloatArray]]],
                  saved: str = '') -> str:
    """
    Write report.html, comparison.csv and comparison.json; return the recommendation.

    ``heading``: title, subtitle, names, rate_hz and remarks of the recording. ``pictures``:
    tokenizer -> 'median' and 'worst' -> original and decoded chunk; those of ``saved`` are shown
    if it is named, else those of the recommended one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen, advice = recommend(rows)
    if saved:
        chosen, advice = saved, f'{saved} is saved, and its chunks are shown. {advice}'
    (folder / 'comparison.json').write_text(json.dumps(
        {**heading, 'recommendation': advice, 'tokenizers': list(rows)}, indent=2),
        encoding='utf-8')
    _write_csv(folder / 'comparison.csv', rows)
    (folder / 'report.html').write_text(_TEMPLATE.render(
        title=heading['title'], subtitle=heading['subtitle'], remarks=heading['remarks'],
        advice=advice, chosen=chosen, tables=_tables(rows),
        plots=_plots(heading, rows, chosen, pictures)), encoding='utf-8')
    return advice


def write_ablation(folder: Path, rows: Sequence[Mapping[str, Any]], budget: str) -> str:
    """Write ablation.md, ablation.csv and ablation.json; return the Markdown table."""
    folder.mkdir(parents=True, exist_ok=True)
    head, body = _cells([_flat(row) for row in rows], _ABLATION_COLUMNS)
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ['---'] * len(head), *body)]
    text = '\n'.join(lines)
    (folder / 'ablation.md').write_text(f'{budget}\n\n{text}\n', encoding='utf-8')
    (folder / 'ablation.json').write_text(
        json.dumps({'budget': budget, 'variants': list(rows)}, indent=2), encoding='utf-8')
    _write_csv(folder / 'ablation.csv', rows)
    return text


def error_figure(rows: Sequence[Mapping[str, Any]], chosen: str) -> Figure:
    """Plot the error of each tokenizer over its tokens, with intervals and the p99 length."""
    figure = Figure(figsize=(12, 5), layout='constrained')
    axis = figure.subplots()
    for place, row in enumerate(rows):
        recommended = row['name'] == chosen
        color = _ORANGE if recommended else _OTHERS[place % len(_OTHERS)]
        axis.errorbar(row['tokens_mean'], row['mse'], color=color, capsize=3, label=row['name'],
                      marker='D' if recommended else 'o', markersize=10 if recommended else 6,
                      yerr=[[max(0.0, row['mse'] - row['mse_low'])],
                            [max(0.0, row['mse_high'] - row['mse'])]])
        axis.plot([row['tokens_mean'], row['tokens_p99']], [row['mse']] * 2, color=color, lw=1)
    figure.legend(loc='outside right upper', fontsize=9)
    axis.set_xscale('log')
    axis.set_yscale('log')
    axis.set_xlabel('tokens of a chunk: mean, and a line to the 99th percentile')
    axis.set_ylabel('MSE, quantile-normalised')
    axis.grid(alpha=0.3, which='both')
    return figure


def chunk_figure(pair: tuple[FloatArray, FloatArray], names: Sequence[str],
                 rate_hz: float) -> Figure:
    """Plot one chunk before and after its tokens; of many columns those that err the most."""
    original, decoded = pair
    span = np.maximum(np.ptp(original, axis=0), 1e-9)
    order = np.argsort(-np.abs(decoded - original).max(0) / span)[:_PLOTTED_COLUMNS]
    rows = -(-len(order) // 4)
    figure = Figure(figsize=(12, 2.3 * rows), layout='constrained')
    axes = figure.subplots(rows, 4, sharex=True, squeeze=False)
    time = np.arange(len(original)) / rate_hz
    for axis in axes.flat[len(order):]:
        axis.set_visible(False)
    for axis, column in zip(axes.flat, sorted(order)):
        axis.plot(time, original[:, column], color=_BLUE, label='recorded')
        axis.plot(time, decoded[:, column], color=_ORANGE, linestyle='--', label='decoded')
        axis.set_title(names[column], fontsize=9)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
    axes.flat[0].legend(fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel('s', fontsize=9)
    return figure


def _plots(heading: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], chosen: str,
           pictures: Mapping[str, Mapping[str, tuple[FloatArray, FloatArray]]],
           ) -> list[tuple[str, str, str]]:
    plots = [('Error and length',
              f'orange diamond: {chosen}; bars: 95 % interval over episodes',
              png(error_figure(rows, chosen)))]
    for kind in ('median', 'worst'):
        if chosen in pictures:
            plots.append((f'{chosen}: the {kind} chunk', 'in the units of the recording',
                          png(chunk_figure(pictures[chosen][kind], heading['names'],
                                           heading['rate_hz']))))
    return plots


def _tables(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[str], Any]]:
    groups = list(rows[0]['groups'])
    group_rows = [[row['name'], *(f"{row['groups'][group][key]:.3g}"
                                  for group in groups for key in ('l1', 'p99'))] for row in rows]
    code_rows = [[row['name'], *(
        ', '.join(text.format(value) for value in row[key]) or '-' for key, text in _BY_LEVEL),
        row['source']] for row in rows]
    return [
        ('Reconstruction', 'errors in quantile-normalised units; border: jump between chunks over '
         "the data's own step, both p99; 1 wrong token: share that still decodes",
         *_cells(rows, _COLUMNS)),
        ('More', 'MSE from, to: 95 % interval over episodes; ideal MSE: of a perfect code with as '
         'many bits, were the numbers Gaussian; VRR mean: share of time steps whose mean error is '
         'below; clipped: share of the numbers that normalisation cuts off; overlap: equal tokens '
         'one step later; gripper: also columns of two values only',
         *_cells(rows, _MORE_COLUMNS)),
        ('Groups', 'L1 and p99 of the error in the units of the recording',
         ['tokenizer', *(f'{group} {key}' for group in groups for key in ('L1', 'p99'))],
         group_rows),
        ('Codes', 'share of codes seen, perplexity over V, and the MSE of chunks decoded from the '
         'first level, the first two, ...: level by level',
         ['tokenizer', 'use', 'perplexity', 'MSE', 'source'], code_rows),
    ]


def _cells(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str, str]],
           ) -> tuple[list[str], list[list[str]]]:
    shown = [column for column in columns if any(row.get(column[0]) is not None for row in rows)]
    return [title for _, title, _ in shown], [
        ['-' if row.get(key) is None else text.format(row[key]) for key, _, text in shown]
        for row in rows]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without nesting, as a CSV line has it."""
    flat = {key: value for key, value in row.items()
            if key not in (*dict(_BY_LEVEL), 'groups')}
    for key, _ in _BY_LEVEL:
        flat |= {f'{key}_{level + 1}': value for level, value in enumerate(row[key])}
    for group, errors in row['groups'].items():
        flat |= {f'{group}_{key}': value for key, value in errors.items()}
    return flat


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    flat = [_flat(row) for row in rows]
    with path.open('w', newline='', encoding='utf-8') as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(key for row in flat for key in row)))
        writer.writeheader()
        writer.writerows(flat)
