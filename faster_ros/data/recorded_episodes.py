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
"""Episodes as a file holds them, and their way to one rate: what every reader hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from faster_ros.interfaces import FloatArray
import numpy as np

_GAP_PERIODS = 5.0  # a pause of more periods separates episodes: nothing is invented inside it
_GAP_SECONDS = 0.2
SAME_RATE = 1e-3  # share by which two rates may differ and be one
_FINGERS = ('finger', 'knuckle')  # what Franka's and Robotiq's drivers call a gripper's joint
_OF_A_HAND = ('hand', 'thumb', 'index', 'middle', 'ring', 'little', 'pinky')


@dataclass(frozen=True)
class Episode:
    """
    ``rows``: (N, D), evenly spaced at ``rate_hz``.

    ``where`` names it for a person; ``task`` is its instruction; ``fault`` says why it cannot be
    used, or is ''.
    """

    rows: FloatArray
    rate_hz: float
    where: str
    task: str = ''
    fault: str = ''


@dataclass(frozen=True)
class RecordedEpisodes:
    """Episodes of the columns ``names``; ``notes`` tell what the reader left out."""

    names: list[str]
    episodes: list[Episode]
    notes: tuple[str, ...] = ()


def is_gripper(name: str) -> bool:
    """
    Say whether a column is named after a gripper, or a finger of one.

    A finger that is said to be of a hand, such as ``left_index_finger``, bends on its own.
    """
    text = name.lower()
    finger = any(word in text for word in _FINGERS)
    return 'gripper' in text or finger and not any(word in text for word in _OF_A_HAND)


def continuous_parts(times: FloatArray) -> list[slice]:
    """Return the runs of ``times`` (N,), in s, between gaps."""
    steps = np.diff(times)
    longest = max(_GAP_SECONDS, _GAP_PERIODS * float(np.median(steps))) if len(steps) else 0.0
    borders = [0, *(np.flatnonzero(steps > longest) + 1).tolist(), len(times)]
    return [slice(first, last) for first, last in zip(borders, borders[1:])]


def ticks(first: float, last: float, rate_hz: float) -> FloatArray:
    """Return the times from ``first`` to at most ``last``, in s, at a rate."""
    times: FloatArray = first + np.arange(int((last - first) * rate_hz + 1e-6) + 1) / rate_hz
    return times


def sampled(times: FloatArray, rows: FloatArray, names: Sequence[str],
            wanted: FloatArray) -> FloatArray:
    """
    Return rows (N, D), recorded at increasing ``times`` in s, at the times ``wanted``.

    Values in between are linear; a gripper keeps its last value, since half open was never asked.
    """
    last = np.clip(np.searchsorted(times, wanted + 1e-9, side='right') - 1, 0, len(times) - 1)
    return np.stack([
        rows[last, column] if is_gripper(name) else np.interp(wanted, times, rows[:, column])
        for column, name in enumerate(names)], 1)


def at_rate(episode: Episode, names: Sequence[str], rate_hz: float) -> Episode:
    """Return an episode at ``rate_hz``; one that has this rate stays as it is."""
    if abs(episode.rate_hz / rate_hz - 1) < SAME_RATE or len(episode.rows) < 2:
        return replace(episode, rate_hz=rate_hz)
    times = np.arange(len(episode.rows)) / episode.rate_hz
    wanted = ticks(0.0, times[-1], rate_hz)
    return replace(episode, rows=sampled(times, episode.rows, names, wanted), rate_hz=rate_hz)
