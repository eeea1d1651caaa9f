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
"""Codes that spare the ends of a chunk: errors of slots cancel there, at little cost."""

from dataclasses import replace

from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from hypothesis import given, settings, strategies
import pytest
import torch


def made(seed=0, **changes):
    """Return a tokenizer of random codes whose latents are parts of orthonormal axes."""
    config = TokenizerConfig(**{
        'action_horizon': 6, 'groups': {'arm': [0, 1]}, 'time_patch': 1, 'time_strides': (2,),
        'width': 8, 'layers': 1, 'heads': 2, 'latent_dim': 3, 'levels': 2, 'codebook_size': 4,
        'slots': 4, 'beam': 4, 'output_limit': 9.0, 'conv_transformer': False, **changes})
    model = FASTerVQ(config).eval()
    generator = torch.Generator().manual_seed(seed)
    numbers = config.action_horizon * config.action_dim
    axes = torch.linalg.qr(torch.randn(numbers, numbers, generator=generator)).Q
    axes = axes[:, :config.slots * config.latent_dim]
    with torch.no_grad():
        for linear, weight in ((model.encoder.linear, axes.T), (model.decoder.linear, axes)):
            linear.weight.copy_(weight)
            linear.bias.zero_()
        model.quantizer.codebooks.normal_(generator=generator)
    return model


def weighing(model, weight):
    """Return the tokenizer with another weight of its ends."""
    model.config = replace(model.config, end_weight=weight)
    return model


def errors(model, chunks):
    """Return the squared error of whole chunks and of their ends."""
    squares = (model.decode(model.encode(chunks)) - chunks).square()
    return squares.sum((1, 2)), squares[:, [0, -1]].sum((1, 2))


def test_a_slot_takes_its_second_best_code_where_that_cancels_what_the_others_leave():
    model = made(action_horizon=3, groups={'arm': [0]}, time_patch=1, time_strides=(), levels=1,
                 latent_dim=1, slots=2, codebook_size=2)
    axes = torch.tensor([[0.6, 0.8], [0.8, -0.6], [0.0, 0.0]])
    with torch.no_grad():
        model.encoder.linear.weight.copy_(axes.T)
        model.decoder.linear.weight.copy_(axes)
        # row 0 is left at -0.24 by slot 1, and at -0.16 or +0.24 by slot 2
        model.quantizer.codebooks.copy_(torch.tensor([[[[-0.4], [9.0]], [[-0.2], [0.3]]]]))
    chunk = torch.zeros(1, 3, 1)
    assert weighing(model, 0.0).encode(chunk).flatten().tolist() == [0, 0]
    assert weighing(model, 4.0).encode(chunk).flatten().tolist() == [0, 1]


@settings(max_examples=30, deadline=None)
@given(seed=strategies.integers(0, 10_000), weight=strategies.sampled_from([0.5, 4.0, 100.0]))
def test_what_is_minimised_never_grows(seed, weight):
    model = made(seed)
    chunks = torch.randn(40, 6, 2, generator=torch.Generator().manual_seed(seed + 1))
    plain, plain_ends = errors(weighing(model, 0.0), chunks)
    whole, ends = errors(weighing(model, weight), chunks)
    assert (whole + weight * ends <= plain + weight * plain_ends + 1e-3 * weight).all()
    assert (whole >= plain - 1e-4).all()


def test_ends_err_much_less_and_the_whole_chunk_a_little_more():
    model = made(codebook_size=16, beam=16)
    chunks = torch.randn(400, 6, 2, generator=torch.Generator().manual_seed(1))
    plain, plain_ends = (part.mean() for part in errors(weighing(model, 0.0), chunks))
    whole, ends = (part.mean() for part in errors(weighing(model, 1.0), chunks))
    assert ends < 0.7 * plain_ends
    assert plain < whole < 1.15 * plain


def test_a_chunk_has_the_codes_that_it_has_among_others():
    model = weighing(made(), 2.0)
    chunks = torch.randn(70, 6, 2, generator=torch.Generator().manual_seed(1))
    together = model.encode(chunks)
    assert together.shape == (70, 2, 4)
    alone = torch.cat([model.encode(chunk[None]) for chunk in chunks])
    assert (together == alone).float().mean() > 0.99  # but for ties of rounding


def test_a_config_written_before_ends_had_a_weight_gives_them_none():
    old = made().config.to_dict()
    del old['end_weight']
    assert TokenizerConfig.from_dict(old).end_weight == 0.0


def test_a_weight_of_ends_needs_slots_and_is_not_negative():
    with pytest.raises(ValueError, match='end_weight .* slots'):
        made(slots=0, end_weight=1.0)
    with pytest.raises(ValueError, match='end_weight .* got -1'):
        made(end_weight=-1.0)
