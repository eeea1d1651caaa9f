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
"""Figures with their uncertainty: intervals of success rates and quantiles of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.stats import binomtest, norm


@dataclass(frozen=True)
class Rate:
    """``successes`` out of ``trials`` and the interval of the true rate."""

    successes: int
    trials: int
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        if self.trials == 0:
            return 'no trials'
        return (
            f'{self.successes} of {self.trials} ({self.successes / self.trials:.0%}, '
            f'{self.confidence:.0%} interval {self.low:.0%} to {self.high:.0%})'
        )


@dataclass(frozen=True)
class Quantiles:
    """Size, median, 99th percentile and maximum of a sample; None where the sample is empty."""

    count: int
    p50: float | None
    p99: float | None
    maximum: float | None


def success_rate(successes: int, trials: int, confidence: float = 0.95,
                 method: str = 'wilson') -> Rate:
    """
    Return a success rate with its interval; without trials nothing is known: 0 to 1.

    ``method``: ``wilson``, near the confidence on average, or ``exact`` (Clopper-Pearson), never
    below it.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f'expected 0 <= successes <= trials, got {successes} of {trials}')
    if not 0.0 < confidence < 1.0:
        raise ValueError(f'expected a confidence between 0 and 1, got {confidence}')
    if trials == 0:
        return Rate(0, 0, 0.0, 1.0, confidence)
    interval = binomtest(successes, trials).proportion_ci(confidence, method=method)
    return Rate(successes, trials, float(interval.low), float(interval.high), confidence)


def trials_for_interval(width: float, confidence: float = 0.95) -> int:
    """Return how many trials keep Wilson's interval of a rate this narrow, whatever the rate."""
    if not 0 < width < 1:
        raise ValueError(f'expected a width of the interval between 0 and 1, got {width}')
    quantile = float(norm.ppf(0.5 + confidence / 2))
    # At a rate of 1/2, where it is widest, the interval is z / sqrt(n + z^2) wide.
    return max(1, ceil(quantile**2 * (1 / width**2 - 1) - 1e-9))


def quantiles(samples: Sequence[float]) -> Quantiles:
    """Return the quantiles of a sample."""
    if len(samples) == 0:
        return Quantiles(0, None, None, None)
    p50, p99, maximum = np.quantile(np.asarray(samples, dtype=float), (0.5, 0.99, 1.0))
    return Quantiles(len(samples), float(p50), float(p99), float(maximum))
