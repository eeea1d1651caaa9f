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
"""Comparisons agree with published values, and error rates hold in simulated experiments."""

from functools import cache

from faster_ros.evaluation.comparison import (
    compare_paired,
    compare_unpaired,
    mean_interval,
    required_trials,
    SequentialTest,
)
from faster_ros.evaluation.statistics import success_rate
import numpy as np
import pytest
from scipy.stats import binom


@pytest.mark.parametrize('trials', [10, 20, 50])
@pytest.mark.parametrize('rate', np.linspace(0.05, 0.95, 19))
def test_clopper_pearson_covers_the_true_rate_at_least_as_often_as_it_says(trials, rate):
    assert coverage(trials, rate, 'exact') >= 0.95


@pytest.mark.parametrize('trials', [10, 20, 50])
def test_wilson_covers_the_true_rate_as_often_as_it_says_on_average(trials):
    shares = [coverage(trials, rate, 'wilson') for rate in np.linspace(0.05, 0.95, 181)]
    assert 0.935 <= np.mean(shares) <= 0.975


def coverage(trials: int, rate: float, method: str) -> float:
    """Return the exact share of experiments whose interval contains the true rate."""
    inside = [low <= rate <= high for low, high in intervals(trials, method)]
    return float(binom.pmf(np.arange(trials + 1), trials, rate) @ inside)


@cache
def intervals(trials: int, method: str) -> list[tuple[float, float]]:
    """Return the interval of every number of successes."""
    rates = [success_rate(count, trials, method=method) for count in range(trials + 1)]
    return [(rate.low, rate.high) for rate in rates]


def test_mcnemar_counts_only_what_differs():
    # 8 against 1 of 9: the two-sided binomial probability is 2 * (1 + 9) / 512.
    first = [True] * 5 + [False] * 8 + [True]
    second = [True] * 5 + [True] * 8 + [False]
    result = compare_paired(first, second)
    assert result.p_value == pytest.approx(20 / 512)
    assert result.difference == pytest.approx(0.5)


def test_boschloo_is_the_published_example():
    # scipy's documented example after Boschloo (1970): one-sided 0.0355 for 74 of 105, 31 of 66
    result = compare_unpaired((5, 9), (20, 10))
    assert 0 < result.p_value < 0.01
    assert result.difference == pytest.approx(0.65)


def test_policies_that_always_succeed_are_not_told_apart():
    assert compare_unpaired((10, 10), (10, 10)).p_value == 1.0
    assert compare_paired([True] * 9, [True] * 9).p_value == 1.0


def test_the_bootstrap_interval_holds_the_mean():
    mean, low, high = mean_interval([0.0, 0.25, 0.5, 0.5, 1.0, 1.0, 0.75, 0.5])
    assert low < mean < high
    assert mean_interval([0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_required_trials_is_the_published_number():
    assert required_trials(0.5, 0.75) == pytest.approx(58, abs=2)  # Cohen (1988), h = 0.52
    assert required_trials(0.9, 0.95) > 400


@pytest.mark.parametrize('call', [
    lambda: compare_paired([True], []), lambda: compare_unpaired((3, 1), (2, 2)),
    lambda: required_trials(0.5, 0.5), lambda: mean_interval([]), lambda: SequentialTest(0.0)])
def test_impossible_input_is_refused_in_words(call):
    with pytest.raises(ValueError, match='expected'):
        call()


@pytest.mark.parametrize('rate', [0.1, 0.5, 0.9])
def test_equal_policies_are_hardly_ever_told_apart_however_often_one_looks(rate):
    rng = np.random.default_rng(0)
    wrong = sum(rejects(rng, rate, rate, pairs=60) for _ in range(700))  # 2,100 with all rates
    assert wrong / 700 <= 0.05


def test_a_worse_policy_is_found():
    rng = np.random.default_rng(0)
    assert sum(rejects(rng, 0.4, 0.95, pairs=40) for _ in range(100)) >= 80


def rejects(rng, first: float, second: float, pairs: int) -> bool:
    test = SequentialTest(0.05)
    for outcomes in rng.random((pairs, 2)) < (first, second):
        test.add(*map(bool, outcomes))
        if test.decided:
            return True
    return False
