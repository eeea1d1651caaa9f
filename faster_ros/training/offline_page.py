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
"""The HTML page of an offline evaluation: errors, accuracy, predicted beside recorded chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from faster_ros.evaluation.report import png
from faster_ros.training.evaluate_offline import Answer, CODED, PREDICTED
import jinja2
from matplotlib.figure import Figure
import numpy as np

_SHOWN = 4  # points whose chunks are drawn
_COLOURS = {'recorded': '#1c1e21', PREDICTED: '#2f7ed8', CODED: '#e07b1a'}
_TEMPLATE = jinja2.Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Offline evaluation</title><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1e21; background: #f6f7f9; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 24px; }
table { border-collapse: collapse; width: 100%; background: #fff; font-size: 14px; }
th, td { padding: 6px 10px; text-align: right; border: 1px solid #e2e5ea; }
th { background: #eef1f5; } td:first-child, th:first-child { text-align: left; }
img { width: 100%; background: #fff; } .sub { color: #60656d; }
</style></head><body><main><h1>Offline evaluation</h1>
<p class="sub">{{ figures.checkpoint }} on {{ figures.recording }}, {{ figures.robot }}:
{{ figures.points }} points of {{ figures.episodes | length }} episodes. A low error open loop does
not promise success: only trials show that.</p>
<h2>Error of a chunk</h2><p class="sub">mean and 99th percentile of the distance from what was
commanded</p><table><tr><th></th>{% for group in groups %}<th>{{ group }}, L1</th>
<th>p99</th>{% endfor %}</tr>{% for name, errors in figures.error.items() %}<tr><td>{{ name }}</td>
{% for group in groups %}<td>{{ '%.4f' % errors[group].l1 }}</td>
<td>{{ '%.4f' % errors[group].p99 }}</td>{% endfor %}</tr>{% endfor %}</table>
<h2>Right tokens</h2><table><tr><th>block</th>{% for _ in figures.block_accuracy %}
<th>{{ loop.index }}</th>{% endfor %}</tr><tr><td>accuracy</td>
{% for share in figures.block_accuracy %}<td>{{ '%.1f' % (100 * share) }} %</td>{% endfor %}</tr>
</table>
<h2>Error over the chunk</h2>
<img alt="error over the chunk" src="data:image/png;base64,{{ steps }}">
{% for title, image in chunks %}<h2>{{ title }}</h2>
<img alt="{{ title }}" src="data:image/png;base64,{{ image }}">{% endfor %}
</main></body></html>
""", autoescape=True)


def render(figures: Mapping[str, Any], answers: Sequence[Answer]) -> str:
    """Return the page."""
    places = np.unique(np.linspace(0, len(answers) - 1, _SHOWN).astype(int))
    chunks = [(_title(answers[place]), png(chunk_figure(answers[place], figures['names'])))
              for place in places]
    return _TEMPLATE.render(figures=figures, groups=list(figures['error_by_step']),
                            steps=png(step_figure(figures['error_by_step'])), chunks=chunks)


def _title(answer: Answer) -> str:
    point = answer.point
    return f"Episode {point.episode}, {point.seconds:.1f} s: '{point.instruction}'"


def chunk_figure(answer: Answer, names: Sequence[str]) -> Figure:
    """Plot the recorded, the predicted and the coded chunk of one point, joint by joint."""
    columns = 4
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(12, 2.2 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False)
    drawn = {'recorded': answer.point.recorded, PREDICTED: answer.chunks[PREDICTED],
             CODED: answer.chunks[CODED]}
    for index, axis in enumerate(axes.flat):
        axis.set_visible(index < len(names))
        if index >= len(names):
            continue
        for name, chunk in drawn.items():
            axis.plot(chunk[:, index], color=_COLOURS[name], label=name,
                      linestyle='--' if name == CODED else '-')
        axis.set_title(names[index], fontsize=10)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
    axes.flat[0].legend(fontsize=8)
    return figure


def step_figure(by_group: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Plot the mean error at each step of the chunk, group by group."""
    figure = Figure(figsize=(12, 3), layout='constrained')
    axes = figure.subplots(1, len(by_group), squeeze=False)
    for axis, (group, subjects) in zip(axes.flat, by_group.items()):
        for name, errors in subjects.items():
            axis.plot(errors, label=name)
        axis.set_title(group, fontsize=10)
        axis.set_xlabel('step of the chunk')
        axis.set_ylim(bottom=0.0)
        axis.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=8)
    return figure
