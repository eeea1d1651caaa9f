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
"""The report of a demo training run: loss curves, times and trials as one HTML file."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from faster_ros.training.evaluate_demo import describe
from jinja2 import Template
from matplotlib.figure import Figure

_PAGE = Template("""<!doctype html><meta charset="utf-8"><title>faster_ros: demo training</title>
<style>body{font:16px sans-serif;max-width:60em;margin:2em auto;color:#222}
td,th{padding:.2em 1em;text-align:right;border-bottom:1px solid #ddd}img{max-width:100%}</style>
<h1>Demo training</h1>
<h2>Trials on unseen layouts, in process</h2><ul>{% for line in trials %}<li>{{ line }}</li>
{% endfor %}</ul>
<h2>Loss</h2><img src="data:image/png;base64,{{ curves }}">
<h2>Held-out steps</h2><table><tr><th>residual level<th>token accuracy<th>commonest code
<th>L1 of the chunk up to this level<th>codes in use</tr>
{% for row in levels %}<tr>{% for cell in row %}<td>{{ cell }}{% endfor %}</tr>{% endfor %}
</table><p>Accuracy is on demonstrations that the policy has not seen. L1 is the mean absolute
error of the tokenizer alone, actions in [-1, 1], on chunks of the DAgger round: it was fitted to
all demonstrations before.</p>
<h2>Times</h2><table>{% for stage, seconds in times.items() %}
<tr><th>{{ stage }}<td>{{ seconds }} s</tr>{% endfor %}</table>
<h2>Plan</h2><table>{% for name, value in plan.items() %}
<tr><th>{{ name }}<td>{{ value }}</tr>{% endfor %}{% for name, value in steps.items() %}
<tr><th>labelled steps, {{ name }}<td>{{ value }}</tr>{% endfor %}</table>
""")


def write_report(figures: dict[str, Any], out: Path) -> Path:
    """Write ``report.html`` and ``curves.png`` into ``out``; return the report's path."""
    image = _curves(figures)
    (out / 'curves.png').write_bytes(image)
    tokenizer = figures['tokenizer']
    levels = zip(range(1, len(tokenizer['code_use']) + 1),
                 _percent(figures['token_accuracy']), _percent(figures['token_majority']),
                 [f'{value:.4f}' for value in tokenizer['l1_by_levels']],
                 _percent(tokenizer['code_use']))
    page = _PAGE.render(
        trials=[describe(figures[f'trials_{subject}']) for subject in ('policy', 'tokenizer')],
        curves=base64.b64encode(image).decode(), levels=levels, times=figures['seconds'],
        plan=figures['plan'], steps=figures['labelled_steps'])
    path = out / 'report.html'
    path.write_text(page)
    return path


def _percent(shares: list[float]) -> list[str]:
    return [f'{100 * share:.1f} %' for share in shares]


def _curves(figures: dict[str, Any]) -> bytes:
    figure = Figure(figsize=(11, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    for axes, curve, title in ((left, figures['tokenizer_curve'], 'tokenizer: L1 + DCT-L1'),
                               (right, figures['policy_curve'], 'policy: cross-entropy (nats)')):
        steps = [point['step'] for point in curve]
        for key in curve[0]:
            if key not in ('step', 'commitment'):
                axes.plot(steps, [point[key] for point in curve], label=key.replace('_', ' '))
        axes.set(title=title, xlabel='step')
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    right.axvline(figures['plan']['dagger_at'], color='grey', linestyle=':')
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    return buffer.getvalue()
