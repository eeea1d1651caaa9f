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
Which of two policies is better: tests, intervals, sequential stopping, trials needed.

Exact tests and the bootstrap are scipy's. The sequential test is the e-process for two Bernoulli
streams of Turner, Ly and Gruenwald (arXiv 2106.02693): its error rate holds at every look at the
data. Scores lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, ceil, exp, log, sqrt

from faster_ros.interfaces import FloatArray
import numpy as np
from scipy.stats import binomtest, bootstrap, boschloo_exact, norm

_PRIOR = 0.18  # of the Beta prior that Turner et al. found best at small samples
_RESAMPLES = 5000


@dataclass(frozen=True)
class Comparison:
    """The second success rate minus the first, and the p-value of no difference."""

    method: str
    difference: float
    p_value: float


def compare_unpaired(successes: tuple[int, int], trials: tuple[int, int]) -> Comparison:
    """Return Boschloo's exact two-sided test of two policies that met different initial states."""
    for won, of in zip(successes, trials):
        if not 0 <= won <= of or of == 0:
            raise ValueError(f'expected 0 <= successes <= trials and a trial, got {won} of {of}')
    table = [list(successes), [of - won for won, of in zip(successes, trials)]]
    p_value = boschloo_exact(table, alternative='two-sided').pvalue
    difference = successes[1] / trials[1] - successes[0] / trials[0]
    # Without a success or without a failure the statistic is undefined: nothing tells them apart.
    return Comparison('boschloo', difference, 1.0 if np.isnan(p_value) else float(p_value))


def compare_paired(first: Sequence[bool], second: Sequence[bool]) -> Comparison:
    """Return McNemar's exact test of two policies that met the same initial states, in order."""
    if len(first) != len(second) or not first:
        raise ValueError('expected outcomes of the same initial states, got '
                         f'{len(first)} and {len(second)}')
    only_first = sum(a and not b for a, b in zip(first, second))
    only_second = sum(b and not a for a, b in zip(first, second))
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return Comparison('mcnemar', (only_second - only_first) / len(first), p_value)


def mean_interval(scores: Sequence[float], confidence: float = 0.95,
                  seed: int = 0) -> tuple[float, float, float]:
    """Return the mean of scores and its bootstrap interval (BCa); no spread, no interval."""
    values = np.asarray(scores, dtype=float)
    if not len(values):
        raise ValueError('expected at least one score, got none')
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return mean, mean, mean
    # random_state, as scipy before 1.15, which Ubuntu has, knows no rng.
    drawn = bootstrap((values,), np.mean, n_resamples=_RESAMPLES, confidence_level=confidence,
                      method='BCa', random_state=np.random.default_rng(seed))
    return mean, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def required_trials(first: float, second: float, error: float = 0.05,
                    power: float = 0.8) -> int:
    """Return how many trials of each policy show a difference of rates with this power."""
    for name, value in (('first', first), ('second', second)):
        if not 0 <= value <= 1:
            raise ValueError(f'expected {name} in [0, 1], got {value}')
    for name, value in (('error', error), ('power', power)):
        if not 0 < value < 1:
            raise ValueError(f'expected {name} between 0 and 1, got {value}')
    effect = abs(2 * asin(sqrt(first)) - 2 * asin(sqrt(second)))  # Cohen's h
    if effect == 0:
        raise ValueError(f'expected two different rates, got {first} for both')
    quantile = norm.ppf(1 - error / 2) + norm.ppf(power)
    return int(ceil(2 * (quantile / effect) ** 2))


class SequentialTest:
    """
    A test of equal success rates that may be looked at after each pair of trials.

    ``add`` takes one trial of each policy. ``e_value`` of 1 / error or more rejects equality; the
    chance that it ever does so for equal policies is at most ``error``.
    """

    def __init__(self, error: float = 0.05) -> None:
        if not 0 < error < 1:
            raise ValueError(f'expected an error rate between 0 and 1, got {error}')
        self._bound = 1 / error
        self._log_e = 0.0
        self._largest = 0.0
        self._successes: FloatArray = np.full(2, _PRIOR)
        self._pairs = 0

    def add(self, first: bool, second: bool) -> None:
        """Count one trial of each policy."""
        rates = self._successes / (self._pairs + 2 * _PRIOR)
        common = float(rates.mean())
        for outcome, rate in zip((first, second), rates):
            self._log_e += (log(rate / common) if outcome
                            else log((1 - rate) / (1 - common)))
        self._largest = max(self._largest, self._log_e)
        self._successes = self._successes + np.array([first, second], dtype=float)
        self._pairs += 1

    @property
    def e_value(self) -> float:
        """Return the evidence against equal rates so far."""
        return exp(self._log_e)

    @property
    def decided(self) -> bool:
        """Return whether equality has been rejected, at this pair or before."""
        return exp(self._largest) >= self._bound
