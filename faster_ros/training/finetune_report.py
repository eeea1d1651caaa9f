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
"""How good a policy in training is on episodes it has not seen, and the run's report."""

from __future__ import annotations

from functools import partial
from io import BytesIO
import json
from pathlib import Path
from typing import Any

from faster_ros.data.durable import write_durably
from faster_ros.policy.action_representation import from_deltas
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.backbones.pretrained import PADDING
from faster_ros.policy.checkpoint import PolicyParts
from faster_ros.policy.chunk_decoding import generated_chunks
from faster_ros.policy.embodiment import absolute_columns
from faster_ros.robot_spec import RobotSpec
from faster_ros.training.finetune_data import CodedRows, collate, PolicyRows
from matplotlib.figure import Figure
import numpy as np
import torch
from torch import Tensor

_MOST_ROWS = 256
_BATCH = 16


@torch.no_grad()
def validate(parts: PolicyParts, rows: PolicyRows, bf16: bool) -> dict[str, Any]:
    """
    Return token accuracy per level, that of the commonest codes, and errors of decoded actions.

    ``error``: mean absolute difference to the recorded actions of the joints in rad and of the
    grippers in m, over the whole chunk and for its first row. ``bf16``: as the policy is trained.
    A policy with text mode acts on what it says itself; ``text``: the share of tokens, BoBlk among
    them, and of whole texts that are right.
    """
    spread = np.linspace(0, len(rows.validation) - 1, min(_MOST_ROWS, len(rows.validation)))
    picked = rows.validation[spread.round().astype(int)]
    data, device = CodedRows(rows), next(parts.model.parameters()).device
    codes, chunks, said = [], [], []

    def generate(batch: PolicyInput, **options: Any) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return parts.model.generate(batch, **options)

    for part in np.split(picked, range(_BATCH, len(picked), _BATCH)):
        batch, _ = collate([data[int(row)] for row in part])
        codes.append(generate(batch.to(device), levels=parts.model.config.levels).cpu())
        answered = generated_chunks(partial(generate, batch.to(device)),
                                    parts.tokenizer, parts.model.config)
        chunks.append(answered.double().cpu().numpy())
        if parts.model.text is not None:
            said += list(parts.model.text.said.cpu())
    right = (torch.cat(codes) == rows.codes[picked]).float().mean((0, 2))
    commonest = rows.codes[rows.training].mode(0).values
    majority = (rows.codes[picked] == commonest).float().mean((0, 2))
    spec = parts.robot
    actions = from_deltas(parts.action_normaliser.restore(np.concatenate(chunks)),
                          rows.rows.positions[picked], absolute_columns(spec))
    error = np.abs(actions - rows.targets[picked])
    units = ('_rad', '_m') if isinstance(spec, RobotSpec) else ('', '')
    groups = {f'joints{units[0]}': spec.arm_mask, f'grippers{units[1]}': ~spec.arm_mask}
    return {'token_accuracy': right.tolist(), 'token_majority': majority.tolist(),
            'rows': len(picked),
            **({} if rows.texts is None else {'text': text_shares(said, rows.texts[picked])}),
            'error': {name: float(error[..., mask].mean()) for name, mask in groups.items()},
            'error_first_row': {name: float(error[:, 0, mask].mean())
                                for name, mask in groups.items()}}


def text_shares(said: list[Tensor], wanted: Tensor) -> dict[str, float]:
    """
    Return the share of tokens, each at its place, and of whole texts said as wanted (N, L).

    BoBlk, which ends a text, counts as one of its tokens.
    """
    right = tokens = whole = 0
    for ours, theirs in zip(said, wanted):
        spoken, due = ([*ids[ids != PADDING].tolist(), 'BoBlk'] for ids in (ours, theirs))
        right += sum(one == other for one, other in zip(spoken, due))
        tokens += len(due)
        whole += spoken == due
    return {'tokens': right / tokens, 'texts': whole / len(wanted)}


def write_report(out: Path, record: dict[str, Any], curve: list[dict[str, float]],
                 validations: list[dict[str, Any]]) -> None:
    """Write report.md, curves.png and summary.json of the run so far."""
    figure = Figure(figsize=(10, 4), layout='constrained')
    left, right = figure.subplots(1, 2)
    for key in [name for name in curve[0] if name != 'step']:
        left.plot([point['step'] for point in curve], [point[key] for point in curve],
                  label=key.replace('_', ' '))
    for level in range(len(validations[0]['token_accuracy'])):
        right.plot([point['step'] for point in validations],
                   [point['token_accuracy'][level] for point in validations], 'o-',
                   label=f'level {level}')
    left.set(title='training: cross-entropy (nats)', xlabel='step')
    right.set(title='unseen episodes: token accuracy', xlabel='step')
    left.legend()
    right.legend()
    picture = BytesIO()
    figure.savefig(picture, dpi=120)
    write_durably(out / 'curves.png', picture.getvalue())
    write_durably(out / 'summary.json', (json.dumps(
        {**record, 'curve': curve, 'validations': validations}, indent=2) + '\n').encode())
    speaks = 'text' in validations[0]
    lines = [f"# Training of {record['recipe']['backbone']}", '', '![curves](curves.png)', '',
             '| step | token accuracy per level | of the commonest code | '
             + ' | '.join(name.replace('_', ', ') for name in validations[0]['error'])
             + (' | text tokens right, whole texts |' if speaks else ' |'),
             '|---|---|---|---|---|' + '---|' * speaks]
    for point in validations:
        lines.append(f"| {point['step']} | {_shares(point['token_accuracy'])} | "
                     f"{_shares(point['token_majority'])} | "
                     + ' | '.join(f'{error:.4f}' for error in point['error'].values())
                     + (f" | {_shares(list(point['text'].values()))} |" if speaks else ' |'))
    for key in ('cost', 'data', 'recipe'):
        lines += ['', f'{key.capitalize()}: {json.dumps(record[key])}']
    write_durably(out / 'report.md', ('\n'.join(lines) + '\n').encode())


def summary_writer(folder: Path, step: int) -> Any:
    """Return TensorBoard's writer of a run that is at ``step``; later points are dropped."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(f'tensorboard: true needs the Python package of that name ({error}): '
                         'pip install tensorboard') from error
    return SummaryWriter(str(folder), purge_step=step)


def _shares(values: list[float]) -> str:
    return ' '.join(f'{100 * value:.0f} %' for value in values)
