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
from faster_ros.policy.code_distance import code_distances
import pytest
import torch

BOOKS = torch.arange(8.0)[None, :, None].repeat(2, 1, 1)  # codes on a line, two levels


def distances(named, right):
    """Return the distances where ``named`` is sure, of a chunk of two levels and one code."""
    logits = 100.0 * torch.nn.functional.one_hot(torch.tensor([named]), 8).float()
    return code_distances(logits, torch.tensor([right])[..., None], BOOKS)


def test_the_right_code_is_no_distance_away_and_a_neighbour_less_than_a_far_one():
    right, near = distances((3, 4), (3, 3))
    assert right == 0
    assert 0 < near < distances((3, 7), (3, 3))[1]


def test_two_codes_about_the_right_one_count_as_it():
    logits = torch.full((1, 2, 8), -100.0)
    logits[:, :, [2, 4]] = 0.0
    assert code_distances(logits, torch.full((1, 2, 1), 3), BOOKS).max() < 1e-6


def test_naming_no_code_in_particular_is_the_variance_of_codes():
    codes = torch.arange(8).reshape(8, 1, 1).repeat(1, 2, 1)
    found = code_distances(torch.zeros(8, 2, 8), codes, BOOKS)
    assert found.tolist() == pytest.approx([1.0, 1.0])
