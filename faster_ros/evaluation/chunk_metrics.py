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
How well a chunk survives its tokens, in numbers; chunks are (N, H, D), quantile-normalised.

Two readings of the paper's VRR are given, which does not say what a sample is: ``vrr_0.05`` and
``vrr_0.1`` are the shares of time steps in which every dimension errs by less; ``vrr_0.001`` and
``vrr_0.005`` the shares of time steps whose mean error over the dimensions is below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from faster_ros.interfaces import FloatArray
from faster_ros.robot_parts import CLOSE_BELOW, OPEN_ABOVE
import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
_MEAN_BOUNDS = (0.001, 0.005)
_WORST_BOUNDS = (0.05, 0.1)
_CLOSED, _OPEN = 2 * CLOSE_BELOW - 1, 2 * OPEN_ABOVE - 1


def reconstruction(decoded: FloatArray, target: FloatArray) -> dict[str, float]:
    """Return MSE, L1, p99 of the error and the shares of time steps within bounds."""
    error = np.abs(decoded - target)
    return {
        'mse': float(np.square(error).mean()),
        'l1': float(error.mean()),
        'p99': float(np.quantile(error, 0.99)),
        **{f'vrr_{bound:g}': float((error.mean(-1) < bound).mean()) for bound in _MEAN_BOUNDS},
        **{f'vrr_{bound:g}': float((error.max(-1) < bound).mean()) for bound in _WORST_BOUNDS},
    }


def group_errors(decoded: FloatArray, target: FloatArray,
                 groups: Mapping[str, Sequence[int]]) -> dict[str, dict[str, float]]:
    """Return L1 and p99 of the error of each group; pass chunks in the recording's own units."""
    error = np.abs(decoded - target)
    return {name: {'l1': float(error[..., list(columns)].mean()),
                   'p99': float(np.quantile(error[..., list(columns)], 0.99))}
            for name, columns in groups.items()}


def jerk_ratio(decoded: FloatArray, target: FloatArray) -> float | None:
    """Return the RMS of third differences, decoded over original; None where nothing moves."""
    if target.shape[1] < 4:
        return None
    rms = [float(np.sqrt(np.square(np.diff(chunks, 3, axis=1)).mean()))
           for chunks in (decoded, target)]
    return rms[0] / rms[1] if rms[1] > 0 else None


def border_jump(before: FloatArray, after: FloatArray, steps: FloatArray) -> float | None:
    """
    Return how much chunks jump where one follows another, in the data's own steps.

    ``before`` and ``after``: decoded chunks (N, H, D), one right after the other; ``steps``
    (M, D): the data's own row-to-row differences. The 99th percentiles are compared.
    """
    own = float(np.quantile(np.abs(steps), 0.99)) if len(steps) else 0.0
    if not len(before) or own == 0:
        return None
    return float(np.quantile(np.abs(after[:, 0] - before[:, -1]), 0.99)) / own


def gripper_events(decoded: FloatArray, target: FloatArray) -> dict[str, float | None]:
    """
    Return how a gripper's openings and closings survive; columns (N, H) in [-1, 1].

    An event is a change between open and closed as the executor decides it: open above one share
    of the range, closed below another, as before between them and, where a chunk begins there, as
    the half in which the recorded one begins. ``error_steps`` is the mean distance to the nearest
    decoded event of the same direction, ``error_steps_p99`` its 99th percentile; ``missed`` the
    share without one; ``extra`` those too many per chunk. None where there is nothing to count
    from.
    """
    distances, missed, extra, events = [], 0, 0, 0
    for column, wanted in zip(decoded, target):
        was_open = bool(wanted[0] >= 0)
        for opens in (True, False):
            there, here = (_changes(values, was_open, opens) for values in (wanted, column))
            events += len(there)
            extra += max(0, len(here) - len(there))
            if len(here):
                distances += [int(np.abs(here - row).min()) for row in there]
            else:
                missed += len(there)
    return {'error_steps': float(np.mean(distances)) if distances else None,
            'error_steps_p99': float(np.quantile(distances, 0.99)) if distances else None,
            'missed': missed / events if events else None, 'extra': extra / len(target)}


def component_variances(train: FloatArray, test: FloatArray) -> FloatArray:
    """Return the variances (H * D,) of test chunks along the principal axes of training chunks."""
    flat = train.reshape(len(train), -1)
    axes = np.linalg.eigh(np.cov(flat, rowvar=False, bias=True))[1]  # of one chunk, too
    variances: FloatArray = np.square((test.reshape(len(test), -1) - flat.mean(0)) @ axes).mean(0)
    return variances


def gaussian_mse(variances: FloatArray, bits: float) -> float:
    """
    Return the MSE of an ideal code of that many bits a chunk for Gaussian numbers.

    It is the rate-distortion function (reverse water-filling): every component with more variance
    than the water level gets bits down to it. Recordings are not Gaussian, so it is a yardstick,
    not a bound.
    """
    low, high = 0.0, float(variances.max(initial=0.0))
    for _ in range(100):
        level = 0.5 * (low + high)
        spent = 0.5 * np.log2(np.maximum(variances / max(level, 1e-300), 1.0)).sum()
        low, high = (level, high) if spent > bits else (low, level)
    return float(np.minimum(variances, high).mean())


def token_lengths(sequences: Sequence[IntArray], vocabulary: int,
                  numbers: int) -> dict[str, float]:
    """Return the tokens of chunks, their bits, and the numbers of a chunk per token."""
    lengths = np.array([len(sequence) for sequence in sequences])
    return {'tokens_mean': float(lengths.mean()), 'tokens_p99': float(np.quantile(lengths, 0.99)),
            'bits': float(lengths.mean() * np.log2(vocabulary)),
            'compression': float(numbers / lengths.mean())}


def codebook_use(sequences: Sequence[IntArray], vocabulary: int, codebooks: int,
                 levels: int) -> list[dict[str, float]]:
    """
    Return per residual level the share of codes seen and the perplexity over the vocabulary.

    The tokens of a sequence belong to ``codebooks`` codebooks in equal runs; a level's figures
    are the means over its codebooks. Sequences that vary in length share one codebook.
    """
    if codebooks == 1:
        books = [np.concatenate(list(sequences))]
    else:
        table = np.stack(list(sequences))
        books = [part.ravel() for part in np.split(table, codebooks, axis=1)]
    figures = []
    for book in books:
        count = np.bincount(book, minlength=vocabulary)
        share = count[count > 0] / count.sum()
        entropy = -(share * np.log(share)).sum()
        figures.append((float((count > 0).mean()), float(np.exp(entropy)) / vocabulary))
    by_level = np.array(figures).reshape(min(levels, codebooks), -1, 2).mean(1)
    return [{'use': float(use), 'perplexity': float(perplexity)} for use, perplexity in by_level]


def token_overlap(first: Sequence[IntArray], second: Sequence[IntArray]) -> float:
    """Return the share of equal tokens, place by place, of chunks and the same a step later."""
    shares = []
    for one, other in zip(first, second):
        common = min(len(one), len(other))
        shares.append((one[:common] == other[:common]).sum() / max(len(one), len(other)))
    return float(np.mean(shares)) if shares else float('nan')


def bootstrap_interval(values: FloatArray, groups: IntArray, seed: int = 0,
                       confidence: float = 0.95, draws: int = 1000) -> tuple[float, float]:
    """Return the interval of the mean of values (N,) when whole groups (episodes) are redrawn."""
    names, place = np.unique(groups, return_inverse=True)
    total, count = np.bincount(place, values), np.bincount(place)
    picks = np.random.default_rng(seed).integers(len(names), size=(draws, len(names)))
    means = total[picks].sum(1) / count[picks].sum(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _changes(column: FloatArray, was_open: bool, opens: bool) -> IntArray:
    """Return the rows of a column (T,) in which a gripper opens, or closes."""
    decided = np.flatnonzero((column > _OPEN) | (column < _CLOSED))
    is_open = column[decided] > _OPEN
    change = is_open != np.append(was_open, is_open[:-1])
    rows: IntArray = decided[change & (is_open == opens)]
    return rows
