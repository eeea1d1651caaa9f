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
"""How far the chunk that scores mean is from the right one."""

from types import SimpleNamespace

from faster_ros.policy.chunk_distance import ChunkDistance
from faster_ros.policy.code_distance import code_distances
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

BOOKS = torch.arange(8.0)[None, :, None]


class _CodesAreRows(nn.Module):
    """Code v of position t decodes to the number v in row t of a chunk with one column."""

    def __init__(self) -> None:
        super().__init__()
        self.quantizer = SimpleNamespace(
            codebooks=BOOKS,
            mean=lambda shares: (shares @ torch.arange(8.0)).sum(1)[..., None],
            lookup=lambda codes: codes.float().sum(1)[..., None])

    def decode_latent(self, latent):
        return latent


def scores(*rows):
    """Return scores that mean each row's codes equally, of one level: (1, rows, 8)."""
    return torch.stack([100.0 * one_hot(torch.tensor(codes), 8).sum(0) for codes in rows])[None]


def distance(logits, *right, steps=()):
    """Return how far the chunks are apart, without the share of the codes themselves."""
    codes = torch.tensor([[right]])
    found = ChunkDistance(_CodesAreRows(), steps)(logits, codes)
    return float(found - 0.25 * code_distances(logits, codes, BOOKS).sum())


def test_the_right_codes_are_no_distance_away_and_neighbours_less_than_far_ones():
    assert distance(scores([3], [5]), 3, 5) == 0
    assert distance(scores([4], [5]), 3, 5) == pytest.approx(0.5)
    assert distance(scores([7], [5]), 3, 5) == pytest.approx(2.0)


def test_codes_on_either_side_of_the_right_one_count_as_it():
    assert distance(scores([2, 4], [4, 6]), 3, 5) == pytest.approx(0)


def test_steps_that_are_all_too_short_count_more_than_steps_that_make_up_for_each_other():
    short, uneven = scores([2], [2]), scores([2], [4])
    assert distance(short, 3, 3) == distance(uneven, 3, 3) == pytest.approx(1)
    assert distance(short, 3, 3, steps=[0]) == pytest.approx(1 + 0.25 * 1.5)
    assert distance(uneven, 3, 3, steps=[0]) == pytest.approx(1 + 0.25 * 0.5)


def test_scores_learn_from_it_and_the_tokenizer_does_not():
    torch.manual_seed(0)
    tokenizer = FASTerVQ(TokenizerConfig(8, {'arm': [0, 1], 'gripper': [2]}, time_patch=2,
                                         width=16, layers=1, codebook_size=8)).eval()
    tokenizer.quantizer.codebooks.normal_()
    codes = tokenizer.encode(torch.rand(3, 8, 3) * 2 - 1)
    logits = torch.zeros(3, codes[0].numel(), 8, requires_grad=True)
    found = ChunkDistance(tokenizer, [0, 1])
    before = found(logits, codes)
    before.backward()
    assert all(weight.grad is None for weight in tokenizer.parameters())
    assert found(logits - 10 * logits.grad, codes) < before
