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
"""How many tokens and codes chunks can fill: by their number, columns and variances."""

from faster_ros.training.code_sizes import code_layout, codebook_size
import numpy as np
import pytest


def waves(columns, rows=8):
    """Return 300 smooth chunks in [-1, 1] with equal columns."""
    rng = np.random.default_rng(1)
    draw = rng.random((3, 300, 1, 1))
    chunks = draw[0] * np.sin(np.linspace(0, 3, rows)[:, None] * (0.5 + draw[1]) + 6 * draw[2])
    return np.repeat(chunks, columns, axis=2)


@pytest.mark.parametrize('chunks, size', [(10, 32), (1000, 128), (6143, 512), (6144, 1024),
                                          (10 ** 6, 1024)])
def test_the_codebook_grows_with_the_data(chunks, size):
    assert codebook_size(chunks) == size


@pytest.mark.parametrize('columns, slots', [(6, 4), (9, 4), (10, 12), (26, 12)])
def test_few_columns_take_12_tokens_and_many_36(columns, slots):
    assert code_layout(waves(columns)) == (slots, 3)
    assert code_layout(waves(columns)[:3]) == (slots, 3)


@pytest.mark.parametrize('noise, slots', [(0.0, 4), (0.17, 8), (1.0, 16)])
def test_chunks_that_no_short_code_holds_take_more_tokens(noise, slots):
    chunks = waves(3, rows=32)
    chunks = chunks + noise * np.random.default_rng(0).standard_normal(chunks.shape)
    assert code_layout(chunks) == (slots, 3)
