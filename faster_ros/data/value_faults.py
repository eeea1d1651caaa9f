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
Episodes with values that no motion has, found by what the others hold.

A whole recording would be judged by such values themselves where they are many, so each episode is
judged by the usual one: real logs have 1e100, and glitches of a row or two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from faster_ros.data.normalisation import full_range_columns
from faster_ros.data.recorded_episodes import Episode, is_gripper
from faster_ros.interfaces import FloatArray
import numpy as np
from numpy.typing import NDArray

_LARGEST = 1e6  # in any unit: no joint, pose or gripper comes near
_WILD = 1000.0  # usual ranges from the middle at which a value can be no motion of the arm
_USUAL = 0.1  # cut off at each end for the usual range: short logs have their outliers inside 1 %
_SMALLEST_USUAL = 0.1  # of a range
_MOVING = 0.75  # quantile of the columns' ranges that is one of a column that moves
_HELD = 3  # rows for which a gripper stays where it was sent, at any usual rate
_GLITCH = 3.0  # ranges beyond what is held
_WIDE = 5.0  # usual ranges of an episode, for a note
_TINY = 1e-6
_GLITCHED = ', a glitch: it is not held there, and elsewhere within {low:g} to {high:g}'

BoolArray = NDArray[np.bool_]


def with_faults(episodes: Sequence[Episode], names: Sequence[str]) -> list[Episode]:
    """Return the episodes; what is wrong with the values of one is its fault."""
    sane = [rows for episode in episodes
            if len(rows := episode.rows[(np.abs(episode.rows) <= _LARGEST).all(1)])]
    if not sane:
        raise ValueError('expected finite data, every row holds NaN, infinity or a number beyond '
                         f'{_LARGEST:g}')
    middle, span = _usual(sane)
    low, high = _held(sane)
    margin = np.full(len(names), np.inf)
    for column in _full_range(sane, names):
        if high[column] - low[column] > _TINY:
            margin[column] = _GLITCH * (high[column] - low[column])
    found = []
    for episode in episodes:
        wild = (np.abs(episode.rows - middle) > _WILD * span) | (np.abs(episode.rows) > _LARGEST)
        glitch = (episode.rows > high + margin) | (episode.rows < low - margin)
        found.append(replace(episode, fault=episode.fault or _fault(
            episode.rows, names, wild, glitch, (low, high))))
    return found


def wide_notes(episodes: Sequence[Episode], names: Sequence[str]) -> list[str]:
    """Return a note for each column that keeps a full range far wider than the usual one."""
    widths = np.stack([np.ptp(episode.rows, axis=0) for episode in episodes])
    usual, widest = _lower_median(widths), widths.argmax(0)
    return [f'{names[column]} spans {widths[widest[column], column]:g} in '
            f'{episodes[widest[column]].where} and {usual[column]:g} in the usual episode, which '
            'is a small part of its range then'
            for column in _full_range([episode.rows for episode in episodes], names)
            if usual[column] > _TINY and widths[:, column].max() > _WIDE * usual[column]]


def _full_range(episodes: Sequence[FloatArray], names: Sequence[str]) -> list[int]:
    grippers = [column for column, name in enumerate(names) if is_gripper(name)]
    return full_range_columns(np.concatenate(list(episodes)), grippers)


def _usual(episodes: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return the middle (D,) and the range (D,) of the usual episode."""
    low, middle, high = np.stack(
        [np.quantile(rows, [_USUAL, 0.5, 1 - _USUAL], axis=0) for rows in episodes], 1)
    # A trigger that is pressed now and then has no range but its full one.
    full = np.stack([np.ptp(rows, axis=0) for rows in episodes])
    usual = _lower_median(np.where(high - low > _TINY, high - low, full))
    centre = _lower_median(middle)
    # A column at rest in the usual episode may move once, as far as those that move, degrees too.
    moving = max(_SMALLEST_USUAL, float(np.quantile(usual, _MOVING)))
    return centre, np.maximum(np.maximum(usual, np.abs(centre)), moving)


def _held(episodes: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest values (D,) at or beyond which columns stay."""
    runs = [np.lib.stride_tricks.sliding_window_view(rows, min(_HELD, len(rows)), axis=0)
            for rows in episodes]
    return (np.min([run.max(-1).min(0) for run in runs], axis=0),
            np.max([run.min(-1).max(0) for run in runs], axis=0))


def _fault(rows: FloatArray, names: Sequence[str], wild: BoolArray, glitch: BoolArray,
           held: tuple[FloatArray, FloatArray]) -> str:
    """Return what is wrong with the first wrong value, or ''."""
    for wrong, why in ((~np.isfinite(rows), ''), (wild, ', far outside its usual range'),
                       (glitch, _GLITCHED)):
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            return (f'{names[column]} is {rows[row, column]:g} in row {row}'
                    f'{why.format(low=held[0][column], high=held[1][column])}')
    return ''


def _lower_median(values: FloatArray) -> FloatArray:
    """Return the median (D,) over episodes (E, D); of two, the smaller one."""
    median: FloatArray = np.quantile(values, 0.5, axis=0, method='lower')
    return median
