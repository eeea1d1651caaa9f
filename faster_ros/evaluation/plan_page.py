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
"""The HTML page of an evaluation: verdict, intervals, tables, failures; one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from faster_ros.evaluation.plan_report import evaluate, write_csv
from faster_ros.evaluation.report import png
from faster_ros.evaluation.trial_journal import Attempt, TrialJournal, TrialResult
from faster_ros.evaluation.trial_plan import PlannedTrial, read_key, read_order
from faster_ros.evaluation.trial_recordings import label_recordings, read_recordings, Recording
import jinja2
from matplotlib.figure import Figure

_TEMPLATE = jinja2.Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ plan }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1e21; background: #f6f7f9; margin: 0; }
main { max-width: 960px; margin: 0 auto; padding: 24px; }
table { border-collapse: collapse; width: 100%; background: #fff; font-size: 14px; }
th, td { padding: 6px 10px; text-align: left; border: 1px solid #e2e5ea; }
th { background: #eef1f5; } img { width: 100%; background: #fff; } .sub { color: #60656d; }
code { overflow-wrap: anywhere; }
</style></head><body><main><h1>{{ plan }}</h1>
<p class="sub">{{ robot }}; {{ done }} of {{ planned }} trials
{%- if unblinded_early %}; policies named before the evaluation was over{% endif %}</p>
{% if verdict is defined %}<p><b>{{ verdict or 'no comparison' }}</b></p>
<img alt="success rates with intervals" src="data:image/png;base64,{{ plot }}">
{% for name, rows in groups %}<h2>{{ name }}</h2><table><tr><th>policy</th><th>success</th>
<th>95% Wilson</th><th>95% exact</th><th>score</th><th>s to success, p50</th><th>failures</th>
<th>interventions</th><th>faults</th></tr>
{% for policy, row in rows.items() %}<tr><td>{{ policy }}</td>
<td>{{ row.successes }} / {{ row.trials }}</td>
<td>{{ percent(row.interval_95_wilson) }}</td><td>{{ percent(row.interval_95_exact) }}</td>
<td>{{ scored(row.score) if row.score is defined else '-' }}</td>
<td>{{ '%.1f' % row.seconds_to_success.p50 if row.seconds_to_success.p50 is not none else '-' }}
</td><td>{{ row.failures.items() | map('join', ' ') | join(', ') or '-' }}</td>
<td>{{ row.interventions }}</td><td>{{ row.faults }}</td></tr>
{% endfor %}</table>{% endfor %}
<h2>Tests</h2><table><tr><th>pair</th><th>test</th><th>difference</th><th>p</th></tr>
{% for pair in comparisons %}{% for kind in ('paired', 'unpaired') if pair[kind] is defined %}
<tr><td>{{ pair.second }} - {{ pair.first }}</td><td>{{ kind }}, {{ pair[kind].method }}</td>
<td>{{ '%+.0f%%' % (100 * pair[kind].difference) }}</td>
<td>{{ '%.3g' % pair[kind].p_value }}</td></tr>{% endfor %}{% endfor %}</table>
{% if sequential is defined %}<p>Sequential test: e-value {{ '%.1f' % sequential.e_value }};
decides at {{ '%.0f' % (1 / sequential.error) }}.</p>{% endif %}
{% else %}<p>The evaluation runs; policies are named when it is over.</p>{% endif %}
{% macro table(rows) %}<table><tr><th>trial</th><th>task</th><th>initial state</th>
{% if verdict is defined %}<th>policy</th>{% endif %}<th>outcome</th><th>score</th><th>s</th>
<th>ended</th><th>note</th><th>recording</th></tr>{% for row in rows %}<tr>
<td>{{ row.trial.number }}{% if row.attempt > 1 %}, attempt {{ row.attempt }}{% endif %}</td>
<td>{{ row.trial.task }}</td><td>{{ row.trial.initial_state }}</td>
{% if verdict is defined %}<td>{{ row.policy }}</td>{% endif %}<td>{{ row.outcome }}</td>
{% if row.result %}<td>{{ '%.2g' % row.result.score }}</td><td>{{ '%.1f' % row.result.seconds }}
</td><td>{{ row.result.ended }}</td><td>{{ row.result.note }}</td>
{% else %}<td></td><td></td><td></td><td></td>{% endif %}
<td>{% for name, file in row.videos.items() %}<a href="{{ file | urlencode }}">{{ name }}</a>
{% endfor %}{% for text in row.remarks %}<div class="sub">{{ text }}</div>{% endfor %}
{% if row.findings %}<details class="sub"><summary>{{ row.findings | length }} found by checks
</summary>{{ row.findings | join('; ') }}</details>{% endif %}</td></tr>
{% endfor %}</table>{% endmacro %}
{% if failures and verdict is defined %}<h2>Trials without success</h2>{{ table(failures) }}
{% endif %}{% if attempts %}<h2>All attempts</h2><p class="sub">{{ recordings.episodes }} of
{{ recordings.attempts }} are episodes of the data set <code>recordings</code>.</p>
{{ table(attempts) }}{% endif %}
{% if under_test %}<h2>Policies</h2><table><tr><th>name</th><th>checkpoint</th>
<th>parameters</th></tr>{% for name, policy in under_test.items() %}<tr><td>{{ name }}</td>
<td>{{ policy.checkpoint }}</td><td>{% for key, value in policy.parameters.items() %}
<code>{{ key }}: {{ value }}</code><br>{% else %}as they come{% endfor %}</td></tr>
{% endfor %}</table>{% endif %}
<h2>Identity</h2><table>{% for name, value in identity %}
<tr><td>{{ name }}</td><td><code>{{ value }}</code></td></tr>{% endfor %}</table>
</main></body></html>
""", autoescape=True)


def write_results(folder: Path, unblind: bool = False) -> dict[str, Any]:
    """
    Write results.json and report.html, and trials.csv once unblinded; return the figures.

    The recordings are told how their trials ended and, once unblinded, by which policy.
    """
    figures = evaluate(folder, unblind)
    (folder / 'results.json').write_text(json.dumps(figures, indent=1) + '\n')
    named = 'policies' in figures
    policies = dict(enumerate(read_key(folder), 1)) if named else {}
    label_recordings(folder, policies)
    if named:
        write_csv(folder, folder / 'trials.csv')
    attempts = _attempts(folder, policies)
    (folder / 'report.html').write_text(_TEMPLATE.render(
        **figures, percent=lambda bounds: f'{bounds[0]:.0%} to {bounds[1]:.0%}',
        groups=_groups(figures) if named else [], scored=_scored,
        attempts=attempts, failures=[row for row in attempts if row.outcome not in
                                     ('success', '') and row.result],
        plot=png(interval_figure(figures['policies'])) if named else '',
        identity=[*figures['hashes'].items(), *figures['versions'].items()]), encoding='utf-8')
    return figures


@dataclass(frozen=True)
class _Row:
    """An attempt as the page shows it; ``remarks`` and ``findings``: on its recording."""

    trial: PlannedTrial
    attempt: int
    policy: str
    outcome: str
    result: TrialResult | None
    videos: Mapping[str, str]
    remarks: Sequence[str]
    findings: Sequence[str]


def _attempts(folder: Path, policies: Mapping[int, str]) -> list[_Row]:
    """Return every attempt, in order."""
    trials = {trial.number: trial for trial in read_order(folder).trials}
    recordings = read_recordings(folder)
    return [_row(trials[attempt.trial], attempt, policies.get(attempt.trial, ''),
                 recordings.get((attempt.trial, attempt.number)))
            for attempt in TrialJournal(folder).attempts]


def _row(trial: PlannedTrial, attempt: Attempt, policy: str, found: Recording | None) -> _Row:
    remarks = [attempt.recording] if attempt.recording else []
    if found is None:
        remarks = remarks or ['not recorded']
    elif found.episode is None:
        remarks.append(f'interrupted; what there is: {found.files}')
    result = attempt.result
    outcome = f'voided: {attempt.voided}' if attempt.voided else '' if result is None else (
        'success' if result.success else result.failure or 'failure')
    return _Row(trial, attempt.number, policy, outcome, result,
                found.videos if found else {}, remarks, found.findings if found else ())


def _groups(figures: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the tables: all tasks together, where there are several, and each task."""
    tasks = list(figures['tasks'].items())
    return [('all tasks', figures['policies']), *tasks] if len(tasks) > 1 else tasks


def _scored(score: Sequence[float]) -> str:
    mean, low, high = score  # equal where all scores are: that is no interval
    return f'{mean:.2f} ({low:.2f} to {high:.2f})' if low < high else f'{mean:.2f}'


def interval_figure(policies: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Plot each policy's success rate with its Wilson interval."""
    figure = Figure(figsize=(9, 0.8 + 0.6 * len(policies)), layout='constrained')
    axis = figure.subplots()
    for place, row in enumerate(policies.values()):
        low, high = row['interval_95_wilson']
        axis.plot([low, high], [place, place], color='#2f7ed8', linewidth=3)
        if row['trials']:
            axis.plot(row['successes'] / row['trials'], place, 'o', color='#e07b1a',
                      clip_on=False, zorder=3)
    axis.set_yticks(range(len(policies)), list(policies))
    axis.set_ylim(len(policies) - 0.5, -0.5)
    axis.set_xlim(0, 1)
    axis.set_xlabel('success rate, 95% interval (Wilson)')
    axis.grid(alpha=0.3)
    return figure
