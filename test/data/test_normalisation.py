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
"""Quantile normalisation: what is inside comes back, constants and rubbish do no harm."""

from faster_ros.data.normalisation import Normaliser
from hypothesis import given, strategies
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest


@given(arrays(float, (20, 3), elements=strategies.floats(-1e3, 1e3)))
def test_values_inside_the_range_come_back(rows):
    normaliser = Normaliser.from_quantiles(rows, 0.0)
    values = normaliser.normalise(rows)
    assert np.abs(values).max() <= 1.0
    np.testing.assert_allclose(normaliser.restore(values), rows, atol=1e-5)


def test_outliers_are_clipped_to_the_quantiles():
    rows = np.concatenate([np.linspace(-1, 1, 99), [1e100]])[:, None]
    normaliser = Normaliser.from_quantiles(rows, 0.02)
    assert normaliser.normalise(np.array([1e100])) == 1.0
    assert normaliser.restore(np.array([1.0])) < 1.1


def test_a_constant_column_is_zero_and_restores_its_constant():
    normaliser = Normaliser.from_quantiles(np.full((5, 1), 0.7), 0.01)
    assert normaliser.normalise(np.array([0.7])) == 0.0
    assert normaliser.restore(np.array([0.3])) == pytest.approx(0.7)


def test_a_gripper_column_takes_its_range_from_its_ends():
    rows = np.zeros((10, 2))
    normaliser = Normaliser.from_quantiles(rows, 0.01, {1: (0.0, 0.04)})
    assert normaliser.normalise(np.array([0.0, 0.04])).tolist() == [0.0, 1.0]
    assert Normaliser.from_dict(normaliser.to_dict()).high.tolist() == normaliser.high.tolist()


def test_data_that_are_not_finite_are_refused():
    rows = np.zeros((10, 2))
    rows[3, 1] = np.nan
    with pytest.raises(ValueError, match='got NaN or infinity in column 1'):
        Normaliser.from_quantiles(rows, 0.01)
