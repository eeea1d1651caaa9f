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
How much later one signal follows another, from recordings of both; numpy only.

A lag is where the correlation of the two is largest. It is believed when the correlation is
strong, its peak lies inside the range that was searched, and both halves of the recording agree.
Used by ``faster_ros calibrate latency``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from faster_ros.interfaces import FloatArray
import numpy as np

WEAKEST = 0.7  # correlation
UNSTEADY_S = 0.02  # largest difference between two halves of a recording
SEARCHED_S = (-0.1, 0.6)
_COARSE_S, _FINE_S = 0.01, 0.001
_TURNED = 0.1, 0.5  # shares of a step between which a gripper moves evenly


@dataclass(frozen=True)
class Lag:
    """``seconds``: the lag; ``correlation``: at it; ``spread``: between two halves, in s."""

    seconds: float
    correlation: float
    spread: float

    @property
    def problem(self) -> str:
        """Return '' or why this lag is not to be believed."""
        if not self.correlation >= WEAKEST:
            return (f'the correlation is {self.correlation:.2f}, expected at least {WEAKEST:g}: '
                    'too little motion, or too much noise')
        if not SEARCHED_S[0] < self.seconds < SEARCHED_S[1]:
            return (f'the best lag, {self.seconds:.3f} s, is at the end of what was searched, '
                    f'{SEARCHED_S[0]:g} to {SEARCHED_S[1]:g} s')
        if self.spread > UNSTEADY_S:
            return (f'two halves of the recording differ by {self.spread * 1e3:.0f} ms, expected '
                    f'at most {UNSTEADY_S * 1e3:.0f}: the latency is not steady')
        return ''


def joint_lag(times: FloatArray, positions: FloatArray, asked_times: FloatArray,
              asked: FloatArray) -> Lag:
    """
    Return the lag of measured positions (N,) behind those asked for (M,); all times in s.

    For an arm whose response depends on the frequency it is that of the motion asked for.
    """
    return _lag(positions, lambda lag, part: np.interp(times[part] - lag, asked_times, asked))


def image_lag(stamps: FloatArray, images: FloatArray, times: FloatArray,
              positions: FloatArray) -> Lag:
    """
    Return the lag of images (N, height, width) stamped (N,) behind measured joints (M,).

    What changes from one image to the next is compared with how far the joint moved between two
    times that far apart, so the frame rate does not blur the lag.
    """
    changes = np.abs(np.diff(images, axis=0)).mean((1, 2))

    def moved(lag: float, part: slice) -> FloatArray:
        places = np.interp(stamps - lag, times, positions)
        return np.asarray(np.abs(np.diff(places))[part])

    return _lag(changes, moved)


def step_lag(times: FloatArray, positions: FloatArray, steps: Sequence[float],
             seconds: float) -> Lag:
    """
    Return the lag of a gripper's motion behind ``steps``, the times at which it was told.

    It is when an even motion began, from the times at which the first tenth and the first half of
    the way were done; each step is watched for ``seconds``. ``correlation``: the share of steps
    that were followed.
    """
    lags = []
    for step in steps:
        part = (times >= step) & (times < step + seconds)
        if part.sum() < 4:
            continue
        when, way = times[part], positions[part] - np.interp(step, times, positions)
        if abs(way[-1]) < 0.5 * np.ptp(positions) or np.ptp(positions) == 0.0:
            continue
        share = np.maximum.accumulate(way / way[-1])
        first, half = np.interp(_TURNED, share, when)
        lags.append(first - (half - first) * _TURNED[0] / (_TURNED[1] - _TURNED[0]) - step)
    if not lags:
        return Lag(0.0, 0.0, 0.0)
    return Lag(float(np.median(lags)), len(lags) / len(steps), float(np.ptp(lags)) / 2)


def _lag(values: FloatArray, model: Callable[[float, slice], FloatArray]) -> Lag:
    """Return the lag at which ``model(lag, part)`` is most like ``values[part]``."""
    half = len(values) // 2
    if half < 10:
        return Lag(0.0, 0.0, 0.0)
    whole, first, second = slice(None), slice(0, half), slice(half, None)
    lag, correlation = _best(values, model, whole)
    halves = [_best(values[part], model, part)[0] for part in (first, second)]
    return Lag(lag, correlation, abs(halves[0] - halves[1]))


def _best(values: FloatArray, model: Callable[[float, slice], FloatArray],
          part: slice) -> tuple[float, float]:
    lags = np.arange(SEARCHED_S[0], SEARCHED_S[1] + _FINE_S, _COARSE_S)
    for step in (_COARSE_S, _FINE_S):
        scores = np.array([_correlation(values, model(float(lag), part)) for lag in lags])
        best = int(np.argmax(scores))
        lags = lags if step == _FINE_S else lags[best] + np.arange(-_COARSE_S, _COARSE_S, _FINE_S)
    return float(lags[best]), float(scores[best])


def _correlation(one: FloatArray, other: FloatArray) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / size if size > 1e-12 else 0.0
