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

from faster_ros.training.seam_metric import end_error, SeamMetric
from faster_ros.training.small_data import SmallDataFasterVq, SmallDataSettings
import numpy as np
import pytest


def slow_arm(count, seed=0):
    """Return chunks (count, 20, 2) that hardly move, each in another posture."""
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(-1, 1, (count, 1, 2)), rng.uniform(-1, 1, (count, 1, 2))
    return start + 0.05 * speed * np.linspace(-1, 1, 20)[:, None]


def fit(chunks, seam_weight):
    """Return a tokenizer of too few codes for these chunks."""
    settings = SmallDataSettings(2, 2, 8, 60.0, conv_transformer=False, seam_weight=seam_weight)
    tokenizer = SmallDataFasterVq(settings, {'arm': [0, 1]})
    tokenizer.fit(chunks)
    return tokenizer


def test_ends_weigh_a_fifth_of_a_chunk_and_steps_as_much_as_their_rate_asks_for():
    squared = SeamMetric.of(5, 1.0).root @ SeamMetric.of(5, 1.0).root
    step = 0.004 * 5 ** 2
    assert squared[0, 0] == pytest.approx(1 + 0.2 * 5 + step)  # itself, as an end, one step
    assert squared[2, 2] == pytest.approx(1 + 2 * step)  # itself, two steps
    assert squared[2, 3] == pytest.approx(-step)


@pytest.mark.parametrize('rows', [1, 2, 15, 50])
def test_the_inverse_undoes_the_metric_and_a_weight_of_zero_is_the_plain_one(rows):
    metric = SeamMetric.of(rows, 2.0)
    assert metric.root @ metric.inverse == pytest.approx(np.eye(rows), abs=1e-9)
    assert SeamMetric.of(rows, 0.0).root == pytest.approx(np.eye(rows))


def test_the_error_of_the_ends_is_counted_in_large_steps_of_the_recording():
    target = np.arange(4.0)[None, :, None] * 0.1
    decoded = target + np.array([0.05, 9.0, 9.0, -0.05])[None, :, None]
    assert end_error(decoded, target) == pytest.approx(0.5)
    assert end_error(decoded[:, :1], target[:, :1]) == 0.0


def test_the_ends_weigh_more_where_codes_are_coarse_beside_the_steps_of_the_recording():
    chosen = fit(slow_arm(300), None)
    assert any('ends and steps weigh more' in line for line in chosen.log)
    test = slow_arm(200, seed=1)
    errors = [end_error(tokenizer.decode(tokenizer.encode(test)), test)
              for tokenizer in (fit(slow_arm(300), 0.0), chosen)]
    assert errors[1] < errors[0]


def test_codes_finer_than_the_steps_of_the_recording_are_fitted_plainly():
    rng = np.random.default_rng(0)
    posture, motion = rng.choice([-1.0, 1.0], (2, 300, 1, 2))
    chunks = 0.2 * posture + 0.8 * motion * np.sin(np.linspace(0, 9, 20))[:, None]
    assert not any('ends' in line for line in fit(chunks, None).log)
