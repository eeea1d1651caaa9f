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
from faster_ros.evaluation.statistics import quantiles, success_rate, trials_for_interval
from hypothesis import given, strategies as st
import numpy as np
import pytest


@pytest.mark.parametrize(
    ('successes', 'trials', 'low', 'high'),
    [
        (0, 10, 0.0, 0.2775),  # published values of the Wilson interval
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (95, 100, 0.8882, 0.9785),
    ],
)
def test_the_interval_is_wilsons(successes, trials, low, high):
    rate = success_rate(successes, trials)
    assert (rate.low, rate.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_the_interval_equals_the_formula_at_another_confidence():
    z, n, p = 1.6448536269514722, 40, 33 / 40
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    rate = success_rate(33, 40, 0.90)
    assert (rate.low, rate.high) == (pytest.approx(middle - half), pytest.approx(middle + half))


def test_without_trials_nothing_is_known():
    rate = success_rate(0, 0)
    assert (rate.low, rate.high) == (0.0, 1.0)
    assert str(rate) == 'no trials'


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_contains_the_rate_and_stays_in_bounds(counts):
    rate = success_rate(*counts)
    assert 0.0 <= rate.low <= counts[0] / counts[1] <= rate.high <= 1.0


@pytest.mark.parametrize('counts', [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match='expected 0 <= successes <= trials'):
        success_rate(*counts)


def test_a_rate_says_its_interval_in_words():
    assert str(success_rate(9, 10)) == '9 of 10 (90%, 95% interval 60% to 98%)'


def test_quantiles_of_a_sample():
    result = quantiles(list(range(101)))
    assert (result.count, result.p50, result.p99, result.maximum) == (101, 50.0, 99.0, 100.0)


def test_an_empty_sample_has_no_quantiles():
    assert quantiles([]) == quantiles(())
    assert quantiles([]).p50 is None


@pytest.mark.parametrize('width', [0.1, 0.2, 0.3, 0.5])
def test_so_many_trials_keep_the_interval_narrow_and_one_less_does_not(width):
    def widest(trials):
        rates = [success_rate(count, trials) for count in range(trials + 1)]
        return max(rate.high - rate.low for rate in rates)

    trials = trials_for_interval(width)
    assert widest(trials) <= width + 1e-9
    assert widest(trials - 2 + trials % 2) > width  # an even number has a rate of one half


def test_an_impossible_width_is_refused():
    with pytest.raises(ValueError, match='between 0 and 1, got 1.5'):
        trials_for_interval(1.5)
