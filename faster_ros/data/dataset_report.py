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
The page of a data set: what is in it, what its truth checks found, thumbnails, trajectories.

One self-contained HTML file. Everything is judged anew from the rows and the frames of the videos;
only what the recorder counted is taken from what was stored when the episode was saved.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
from faster_ros.data.dataset_spec import ACTION, STATE
from faster_ros.data.episode_checks import (
    check_episode,
    EpisodeReport,
)
from faster_ros.data.episode_evidence import (
    COUNTED,
    EpisodeEvidence,
    joint_facts,
    JointFacts,
)
from faster_ros.data.lerobot_dataset import EpisodeEntry, LeRobotDataset, short_name
from faster_ros.data.video_encoder import ImageStatistics
from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.robot_spec import RobotSpec
import jinja2
from matplotlib.figure import Figure
import numpy as np

_THUMBNAILS = 4  # of each camera, over an episode
_WIDTH = 128
_OUTLIER = 4.0  # median absolute deviations
_TEMPLATE = jinja2.Template(
    """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ name }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1e21; background: #f6f7f9; margin: 0; }
main { max-width: 1060px; margin: 0 auto; padding: 24px; }
table { border-collapse: collapse; width: 100%; background: #fff; font-size: 14px; }
th, td { padding: 6px 10px; text-align: left; border: 1px solid #e2e5ea; vertical-align: top; }
th { background: #eef1f5; } .sub { color: #60656d; } img { background: #fff; max-width: 100%; }
.good { color: #1b7f3b; } .flagged { color: #9a6700; } .refused { color: #b3261e; }
</style></head><body><main><h1>{{ name }}</h1>
<p class="sub">{{ subtitle }}</p>
<p>{% for verdict, count in verdicts %}<b class="{{ verdict }}">{{ count }} {{ verdict }}</b>
{% endfor %}{% if problems %}</p><h2 class="refused">Damaged</h2><ul>
{% for line in problems %}<li>{{ line }}</li>{% endfor %}</ul><p>{% endif %}</p>
<h2>Episodes</h2><table><tr><th>#</th><th>images</th><th>what it is</th><th>findings</th></tr>
{% for row in episodes %}<tr><td>{{ row.number }}</td>
<td>{% for picture in row.pictures %}<img alt="" src="data:image/jpeg;base64,{{ picture }}"><br>
{% endfor %}</td><td>{{ row.task }}<br>{{ '%.1f' % row.seconds }} s {{ row.outcome }}<br>
<small class="sub">{% for key, value in row.figures %}{{ key }} {{ value }}<br>{% endfor %}</small>
</td><td><b class="{{ row.verdict }}">{{ row.verdict }}</b>
{% for line in row.findings %}<br>{{ line }}{% endfor %}</td></tr>{% endfor %}</table>
<h2>Outliers</h2>{% if outliers %}<ul>
{% for line in outliers %}<li>{{ line }}</li>{% endfor %}</ul>
{% else %}<p>No episode is far from the others in length, motion or timing.</p>{% endif %}
{% for title, picture in plots %}<h2>{{ title }}</h2>
<img alt="{{ title }}" src="data:image/png;base64,{{ picture }}">{% endfor %}
</main></body></html>
""", autoescape=True)


@dataclass(frozen=True)
class ExaminedEpisode:
    """An episode, its numbers (N, D) by column, its report and thumbnails of each camera."""

    entry: EpisodeEntry
    columns: Mapping[str, FloatArray]
    report: EpisodeReport
    thumbnails: Sequence[ImageArray]


def limits_of(robot: RobotSpec, dataset: LeRobotDataset) -> JointFacts:
    """Return the limits of a robot; ValueError where a data set is not of its joints."""
    state = dataset.spec().numbers.get(STATE)
    if state is None or state.shape != (len(robot.joint_names),) or (
            state.names and state.names != robot.joint_names):
        found = ', '.join(state.names) or f'shape {state.shape}' if state else 'none'
        raise ValueError(f"{dataset.folder} is of robot '{dataset.info.robot}', --robot is "
                         f"'{robot.robot}': expected {STATE} of {', '.join(robot.joint_names)}, "
                         f'got {found}')
    return joint_facts(robot)


def examine(dataset: LeRobotDataset, entry: EpisodeEntry,
            joints: JointFacts | None = None) -> ExaminedEpisode:
    """Judge an episode anew from its rows and all frames of its videos."""
    columns, changes, strips = dataset.columns(entry), {}, []
    for camera in dataset.cameras:
        seen, shown = ImageStatistics(), []
        chosen = np.linspace(0, entry.length - 1, _THUMBNAILS).astype(int).tolist()
        for row, picture in enumerate(dataset.images(entry, camera)):
            seen.add(picture)
            if row in chosen:
                height = round(_WIDTH * picture.shape[0] / picture.shape[1])
                shown.append(np.asarray(cv2.resize(
                    picture, (_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8))
        if len(seen.changes) + 1 != entry.length:
            raise ValueError(f'{camera} has {len(seen.changes) + 1} frames and the episode '
                             f'{entry.length} rows')
        changes[camera] = seen.changes
        strips.append(np.concatenate(shown, 1))
    names = {name: item.names for name, item in dataset.spec().numbers.items()}
    report = check_episode(EpisodeEvidence(
        round(dataset.info.fps), columns, names, changes, entry.counted, joints))
    return ExaminedEpisode(entry, columns, report, strips)


def write_page(path: Path, dataset: LeRobotDataset, examined: Sequence[ExaminedEpisode],
               problems: Sequence[str]) -> None:
    """Write the page; ``problems`` as ``dataset_validation`` finds them."""
    seconds = sum(item.entry.length for item in examined) / dataset.info.fps
    verdicts = Counter(item.report.verdict for item in examined)
    path.write_text(_TEMPLATE.render(
        name=dataset.folder.name, verdicts=verdicts.items(), problems=problems,
        subtitle=f'{dataset.info.robot}, {len(examined)} episodes, {seconds:.0f} s at '
                 f'{dataset.info.fps:g} Hz, {len(dataset.tasks)} tasks',
        episodes=[_row(dataset, item) for item in examined], outliers=outliers(examined),
        plots=_plots(dataset, examined)), encoding='utf-8')


def outliers(examined: Sequence[ExaminedEpisode]) -> list[str]:
    """Name the episodes that are far from the others in length, motion or timing."""
    if len(examined) < 5:
        return []
    figures: dict[str, list[float]] = {'rows': [item.entry.length for item in examined]}
    for name in (STATE, ACTION):
        if name in examined[0].columns:
            figures[f'path of {name}'] = [
                float(np.abs(np.diff(item.columns[name], axis=0)).sum()) for item in examined]
    for name in examined[0].report.figures:
        if name.endswith(('age_s', 'rate_hz', 'skew_p95_s')):
            figures[name] = [item.report.figures.get(name, 0.0) for item in examined]
    found = []
    for name, values in figures.items():
        middle = float(np.median(values))
        spread = max(float(np.median(np.abs(np.array(values) - middle))), 0.02 * abs(middle), 1e-3)
        found += [f'episode {item.entry.number}: {name} is {value:.4g}, usually {middle:.4g}'
                  for item, value in zip(examined, values)
                  if abs(value - middle) > _OUTLIER * spread]
    return found


def _row(dataset: LeRobotDataset, item: ExaminedEpisode) -> dict[str, Any]:
    entry, report = item.entry, item.report
    return {
        'number': entry.number, 'task': entry.facts.task, 'outcome': entry.facts.outcome,
        'seconds': entry.length / dataset.info.fps, 'verdict': report.verdict,
        'findings': [f'{finding.check}: {finding.message}' for finding in report.findings],
        'figures': [*entry.facts.facts.items(),
                    *((key, f'{value:.4g}') for key, value in report.figures.items()
                      if key != 'seconds' and (value or not key.endswith(COUNTED)))],
        'pictures': [_jpeg(strip) for strip in item.thumbnails]}


def _plots(dataset: LeRobotDataset,
           examined: Sequence[ExaminedEpisode]) -> list[tuple[str, str]]:
    spec, plots = dataset.spec(), []
    for title, column in (('Measured', STATE), ('Sent', ACTION)):
        if column in spec.numbers and examined and len(spec.numbers[column].shape) == 1:
            names = spec.numbers[column].names or [
                f'{column}_{index}' for index in range(spec.numbers[column].shape[0])]
            rows = [item.columns[column].reshape(item.entry.length, -1) for item in examined]
            plots.append((f'{title}: every episode over time, and how often each value',
                          _png(_joint_figure(names, rows, dataset.info.fps))))
    return plots


def _joint_figure(names: Sequence[str], episodes: Sequence[FloatArray], fps: float) -> Figure:
    figure = Figure(figsize=(10, 1.5 * len(names)), layout='constrained')
    axes = figure.subplots(len(names), 2, squeeze=False, width_ratios=[4, 1])
    for column, (name, (over_time, counts)) in enumerate(zip(names, axes)):
        for rows in episodes:
            over_time.plot(np.arange(len(rows)) / fps, rows[:, column], linewidth=0.7, alpha=0.7)
        over_time.set_ylabel(name, fontsize=8)
        values = np.concatenate([rows[:, column] for rows in episodes])
        counts.hist(values, bins=40, color='#2f7ed8')
        counts.set_yticks([])
    axes[-1][0].set_xlabel('s')
    return figure


def _png(figure: Figure) -> str:
    content = BytesIO()
    figure.savefig(content, format='png', dpi=80)
    return b64encode(content.getvalue()).decode()


def _jpeg(picture: ImageArray) -> str:
    _, content = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return b64encode(content.tobytes()).decode()


def camera_names(dataset: LeRobotDataset) -> str:
    """Return the cameras in words."""
    return ', '.join(
        f'{short_name(name)} {dataset.image_size(name)[1]}x{dataset.image_size(name)[0]}'
        for name in dataset.cameras) or 'no cameras'
