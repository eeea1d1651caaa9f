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
"""FASTerVQ in the form for small data: beam search, refitting, prefixes, and old configs."""

import itertools

from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.tokenizer.slot_quantizer import SlotQuantizer
from hypothesis import given, settings, strategies
import pytest
import torch


def config(**changes):
    """Return the config of a small tokenizer with two slots."""
    return TokenizerConfig(**{'action_horizon': 4, 'groups': {'arm': [0, 1]}, 'time_patch': 1,
                              'time_strides': (2,), 'width': 8, 'layers': 1, 'heads': 2,
                              'latent_dim': 3, 'levels': 2, 'codebook_size': 4, 'slots': 2,
                              'beam': 4, 'output_limit': 1.5, **changes})


def quantizer(seed=0, **changes):
    """Return a quantizer with random codes."""
    made = SlotQuantizer(config(**changes)).eval()
    generator = torch.Generator().manual_seed(seed)
    made.codebooks.copy_(torch.randn(made.codebooks.shape, generator=generator))
    return made


def test_the_second_best_first_code_wins_by_its_remainder():
    made = quantizer(codebook_size=2, latent_dim=1, slots=1)
    made.codebooks.copy_(torch.tensor([[[[6.0], [3.0]]], [[[2.0], [-4.0]]]]))
    latent = torch.tensor([[[5.0]]])
    assert made.search(latent).flatten().tolist() == [1, 0]
    greedy = SlotQuantizer(config(codebook_size=2, latent_dim=1, slots=1, beam=1))
    greedy.codebooks.copy_(made.codebooks)
    assert greedy.search(latent).flatten().tolist() == [0, 0]


@settings(max_examples=30, deadline=None)
@given(seed=strategies.integers(0, 10_000))
def test_a_beam_as_wide_as_the_codebook_finds_the_best_pair_of_two_levels(seed):
    made = quantizer(seed)
    latent = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(seed + 1))
    found = (made.lookup(made.search(latent)) - latent).square().sum(-1)
    best = torch.full_like(found, torch.inf)
    for pair in itertools.product(range(4), repeat=2):
        codes = torch.tensor(pair)[None, :, None].expand(5, 2, 2)
        best = torch.minimum(best, (made.lookup(codes) - latent).square().sum(-1))
    assert torch.allclose(found, best, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=strategies.integers(0, 10_000))
def test_the_best_sums_of_many_codes_are_those_of_all_sums(seed):
    made = quantizer(seed, codebook_size=128, beam=128, slots=1)
    latent = torch.randn(3, 1, 3, generator=torch.Generator().manual_seed(seed + 1))
    codes, rest = made.best_sums(latent, 8)
    first, second = made.codebooks[:, 0]
    every = (latent[:, :, None] - first[:, None] - second).square().sum(-1).flatten(1)
    assert torch.allclose(rest[0].square().sum(-1), every.sort(-1).values[:, :8], atol=1e-4)
    chosen = first[codes[0, ..., 0]] + second[codes[0, ..., 1]]
    assert torch.allclose(latent - chosen, rest[0], atol=1e-5)


def test_refitting_lowers_the_error_of_what_it_is_fitted_to():
    made = quantizer()
    latent = torch.randn(400, 2, 3, generator=torch.Generator().manual_seed(1))
    before = (made.lookup(made.search(latent)) - latent).square().mean()
    made.refit(latent)
    after = (made.lookup(made.search(latent)) - latent).square().mean()
    assert after < before


def test_the_mean_of_sure_shares_is_what_is_looked_up():
    made = quantizer()
    codes = torch.tensor([[[1, 2], [3, 0]]])
    sure = torch.nn.functional.one_hot(codes, made.config.codebook_size).float()
    torch.testing.assert_close(made.mean(sure), made.lookup(codes))


def test_an_unknown_code_adds_nothing():
    made = quantizer()
    codes = torch.tensor([[[1, 2], [3, 0]]])
    cut = torch.tensor([[[1, 2], [-1, -1]]])
    assert torch.equal(made.lookup(cut), made.lookup(codes[:, :1]))


@pytest.mark.parametrize('conv_transformer', [True, False])
def test_any_codes_and_levels_decode_within_the_limit(conv_transformer):
    model = FASTerVQ(config(conv_transformer=conv_transformer)).eval()
    model.quantizer.codebooks.normal_(0, 5)
    for levels in (1, 2):
        chunk = model.decode(torch.randint(0, 4, (20, levels, 2)))
        assert chunk.shape == (20, 4, 2)
        assert chunk.isfinite().all()
        assert chunk.abs().max() <= 1.5
    with pytest.raises(ValueError, match=r'\(0, 1, 0\) must be in \[0, 4\), got 4'):
        model.decode(torch.tensor([[[0, 0], [4, 0]]]))


def test_the_conv_transformer_starts_at_nothing():
    model = FASTerVQ(config()).eval()
    codes = torch.randint(0, 4, (3, 2, 2))
    plain = FASTerVQ(config(conv_transformer=False)).eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model.decode(codes), plain.decode(codes))


def test_a_config_written_before_there_were_slots_means_the_same_grid():
    old = {'action_horizon': 16, 'groups': {'arm': [0, 1]}, 'time_patch': 4,
           'time_strides': [2, 2], 'levels': 3, 'codebook_size': 256}
    read = TokenizerConfig.from_dict(old)
    assert (read.slots, read.codes_per_level, read.tokens) == (0, 2, 6)
    assert read.output_limit == 1.0
