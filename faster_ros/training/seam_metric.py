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
The metric in which codes are fitted where chunks would jump at their seams.

A recording that is smooth at its rate moves less in a step than a short code errs, so that two
decoded chunks visibly jump where they meet. There the first and last row and the first differences
count more than the rest: x^T K x with K = 1 + w (E + R). The squared error of the whole chunk pays
for it, so this is not for every recording.
"""

from __future__ import annotations

from dataclasses import dataclass

from faster_ros.interfaces import FloatArray
import numpy as np

_ENDS = 0.2  # weight of each end row, in chunks' worth: 10 for a chunk of 50 rows
_DIFFERENCES = 0.004  # weight of a squared difference, for a chunk of one row; grows with rows^2


@dataclass(frozen=True)
class SeamMetric:
    """Square root of K and its inverse, both (H, H) and symmetric."""

    root: FloatArray
    inverse: FloatArray

    @staticmethod
    def of(horizon: int, weight: float) -> SeamMetric:
        """Return the metric of chunks of ``horizon`` rows; a weight of 0 is the plain one."""
        ends = np.zeros(horizon)
        ends[[0, -1]] = _ENDS * horizon
        steps = np.diff(np.eye(horizon), axis=0)
        values, vectors = np.linalg.eigh(np.eye(horizon) + weight * (
            np.diag(ends) + _DIFFERENCES * horizon ** 2 * steps.T @ steps))
        return SeamMetric((vectors * np.sqrt(values)) @ vectors.T,
                          (vectors / np.sqrt(values)) @ vectors.T)


def end_error(decoded: FloatArray, target: FloatArray) -> float:
    """
    Return the median over chunks (N, H, D) of the RMS error of their ends, over their p99 step.

    The ends are the first and the last row. Of a mean, a single odd episode among those held out
    would decide.
    """
    steps = np.abs(np.diff(target, axis=1))
    step = float(np.quantile(steps, 0.99)) if steps.size else 0.0
    ends = np.square((decoded - target)[:, [0, -1]]).mean((1, 2))
    error = float(np.sqrt(np.median(ends)))
    return error / step if step > 0 else 0.0
