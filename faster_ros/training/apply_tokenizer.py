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
"""A fitted tokenizer on a recording it was not fitted to: its errors, and what it cannot reach."""

from __future__ import annotations

from faster_ros.data.recordings import fit_normaliser, Recording
from faster_ros.tokenizer.protocol import LIMIT
from faster_ros.training.compare_tokenizers import everything, measure, Measured
from faster_ros.training.grid_tokenizer import GridFasterVq
from faster_ros.training.small_data import SmallDataFasterVq
from faster_ros.training.tokenizer_folder import FittedTokenizer
import numpy as np

_TINY = 1e-6
_OUTSIDE = 0.04  # share outside the range that asks for a warning: twice that of fitted data
_NARROW = 0.05  # share of the range that asks for one: radians span 0.017 of degrees


def apply_tokenizer(fitted: FittedTokenizer, recording: Recording,
                    zero_shot: bool) -> tuple[Measured, list[str]]:
    """
    Return the measurements on all episodes, and warnings.

    Another rate or other columns are an error without ``zero_shot``, another number of columns
    always.
    """
    warnings = [f'warning: {text}' for text in fitted.check(recording, zero_shot)]
    for group, (outside, clipped) in shares_outside(fitted, recording).items():
        if outside > _OUTSIDE:
            warnings.append(f'warning: {outside:.1%} of the values of {group} are outside the '
                            f'fitted range, {clipped:.1%} are clipped')
    for group, share in spans(fitted, recording).items():
        if share < _NARROW:
            warnings.append(f'warning: {group} spans {share:.1%} of the fitted range: it hardly '
                            'moves, or its unit is another one')
    split = everything(recording, fitted.model.config.action_horizon, fitted.normaliser)
    form = SmallDataFasterVq if fitted.model.config.slots else GridFasterVq
    return measure(form.of(fitted.model), split, recording, 0.0), warnings


def shares_outside(fitted: FittedTokenizer,
                   recording: Recording) -> dict[str, tuple[float, float]]:
    """Return for each group the shares of values outside the fitted range, and clipped."""
    low, high = fitted.normaliser.low, fitted.normaliser.high
    beyond = np.abs(np.concatenate(recording.episodes) - (low + high) / 2) - _TINY
    half = (high - low) / 2  # 0 where the fitted column never moved: any other value is outside
    return {group: (float((beyond > half)[:, columns].mean()),
                    float((beyond > LIMIT * half)[:, columns].mean()))
            for group, columns in recording.groups.items()}


def spans(fitted: FittedTokenizer, recording: Recording) -> dict[str, float]:
    """
    Return for each group the widest share of a column's fitted range that the recording spans.

    Columns that rest in either are left out, and grippers, which may rest for many episodes.
    """
    here = fit_normaliser(recording.episodes, recording.grippers)
    there = fitted.normaliser
    ours, theirs = there.high - there.low, here.high - here.low
    moving = {column for column in range(len(ours)) if min(ours[column], theirs[column]) > _TINY}
    return {group: max(float(theirs[column] / ours[column]) for column in found)
            for group, columns in recording.groups.items()
            if (found := moving.intersection(columns) - {*recording.grippers})}
