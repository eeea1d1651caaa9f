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
"""The rebuilt neural and grid tokenizers: round trips, every sequence decodes, equal size."""

from faster_ros.tokenizer.baselines.at_equal_size import makers
from faster_ros.tokenizer.baselines.carp import carp, scales
from faster_ros.tokenizer.baselines.omnisat import OmniSat
from faster_ros.tokenizer.baselines.quest import FiniteScalarQuantizer, layout, quest
from faster_ros.tokenizer.baselines.spatial_grid import (
    from_sphere,
    GaussianGrid,
    SpatialGrid,
    to_sphere,
)
from faster_ros.tokenizer.baselines.vq_bet import vq_bet
from faster_ros.tokenizer.baselines.vq_vla import vq_vla
from faster_ros.tokenizer.protocol import LIMIT, UndecodableError
from hypothesis import given, settings, strategies
import numpy as np
import pytest
import torch

H, D, TOKENS = 10, 4, 12
GROUPS = {'position': [0, 1, 2], 'gripper': [3]}
MAKERS = {
    'vq_bet': lambda: vq_bet(TOKENS, 32, effort=0.05),
    'vq_vla': lambda: vq_vla(TOKENS, 32, effort=0.2),
    'carp': lambda: carp(TOKENS, 64, effort=0.1),
    'quest': lambda: quest(TOKENS, effort=0.2),
    'omnisat': lambda: OmniSat(GROUPS, TOKENS, 32),
    'spatial': lambda: SpatialGrid(GROUPS),
}
NAMES = list(MAKERS)
PREFIXES = [name for name in NAMES if name != 'spatial']


def motions(count, seed=1):
    """Return smooth positions and a gripper that closes at some time, all in [-1, 1]."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 3, H)[None, :, None]
    size, speed, phase = rng.random((3, count, 1, 3))
    gripper = np.where(time < 4 * rng.random((count, 1, 1)), -1.0, 1.0)
    return np.concatenate([size * np.sin(time * (0.5 + speed) + 6 * phase), gripper], 2)


@pytest.fixture(scope='module')
def fitted():
    """Return a function that fits a tokenizer when it is first asked for."""
    known = {}

    def get(name):
        if name not in known:
            known[name] = MAKERS[name]()
            known[name].fit(motions(500))
        return known[name]
    return get


def random_ids(spec, seed, length):
    """Return ids of the vocabulary."""
    return np.random.default_rng(seed).integers(spec.vocabulary, size=length)


@pytest.mark.parametrize('name', NAMES)
def test_unseen_chunks_come_back_far_better_than_as_the_mean_chunk(fitted, name):
    tokenizer, chunks = fitted(name), motions(100, seed=2)
    decoded = tokenizer.decode(tokenizer.encode(chunks))
    of_mean = np.square(motions(500).mean(0) - chunks).mean()
    assert np.square(decoded - chunks).mean() < 0.3 * of_mean


@pytest.mark.parametrize('name', NAMES)
def test_every_chunk_takes_the_promised_tokens(fitted, name):
    tokenizer = fitted(name)
    spec, sequences = tokenizer.spec, tokenizer.encode(motions(20, seed=3))
    assert {len(sequence) for sequence in sequences} == {spec.tokens}
    assert all(((sequence >= 0) & (sequence < spec.vocabulary)).all() for sequence in sequences)
    if name != 'spatial':
        assert spec.tokens <= TOKENS
    assert spec.tokens % spec.codebooks == 0


@settings(max_examples=60, deadline=None)
@given(name=strategies.sampled_from(NAMES), seed=strategies.integers(0, 10_000),
       share=strategies.floats(0, 1))
def test_any_ids_and_any_beginning_of_them_decode_within_the_limit(fitted, name, seed, share):
    tokenizer = fitted(name)
    tokens = tokenizer.spec.tokens
    length = max(1, round(share * tokens)) if name in PREFIXES else tokens
    chunk = tokenizer.decode([random_ids(tokenizer.spec, seed, length)])
    assert chunk.shape == (1, H, D)
    assert np.isfinite(chunk).all()
    assert np.abs(chunk).max() <= LIMIT


@settings(max_examples=20, deadline=None)
@given(name=strategies.sampled_from(NAMES), seed=strategies.integers(0, 10_000))
def test_any_chunk_inside_the_limit_is_encoded(fitted, name, seed):
    tokenizer = fitted(name)
    wild = np.random.default_rng(seed).uniform(-LIMIT, LIMIT, (1, H, D))
    assert np.isfinite(tokenizer.decode(tokenizer.encode(wild))).all()


@pytest.mark.parametrize('name', NAMES)
def test_an_id_outside_the_vocabulary_is_named_by_its_place(fitted, name):
    tokenizer = fitted(name)
    ids = random_ids(tokenizer.spec, 0, tokenizer.spec.tokens)
    for wrong in (-1, tokenizer.spec.vocabulary):
        ids[3] = wrong
        with pytest.raises(ValueError, match=rf'token 3 must be in \[0, .*got {wrong}'):
            tokenizer.decode([ids])


@pytest.mark.parametrize('name', NAMES)
def test_too_many_tokens_are_no_chunk(fitted, name):
    tokenizer = fitted(name)
    with pytest.raises(UndecodableError, match=f'got {tokenizer.spec.tokens + 1}'):
        tokenizer.decode([random_ids(tokenizer.spec, 0, tokenizer.spec.tokens + 1)])


@pytest.mark.parametrize('name', NAMES)
def test_nothing_is_encoded_before_fitting(name):
    with pytest.raises(ValueError, match='must be fitted'):
        MAKERS[name]().encode(motions(1))


@pytest.mark.parametrize('name', ['vq_bet', 'omnisat'])
def test_more_levels_are_a_better_chunk(fitted, name):
    tokenizer, chunks = fitted(name), motions(100, seed=2)
    sequences = tokenizer.encode(chunks)
    errors = [np.square(tokenizer.decode([ids[:known] for ids in sequences]) - chunks).mean()
              for known in (2, 4, TOKENS)]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize('name', ['carp', 'quest'])
def test_the_same_seed_gives_the_same_codes_and_leaves_torch_alone(name):
    state, codes = torch.random.get_rng_state(), []
    for _ in range(2):
        tokenizer = {'carp': carp, 'quest': quest}[name](TOKENS, seed=5, effort=0.02)
        tokenizer.fit(motions(50))
        codes.append(np.stack(tokenizer.encode(motions(10, seed=2))))
    assert np.array_equal(*codes)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize('name', NAMES)
def test_constant_columns_and_few_chunks_are_survived(name):
    still = motions(3)
    still[:, :, 1:] = 0.25
    tokenizer = {'vq_bet': lambda: vq_bet(TOKENS, 32, effort=0.01),
                 'vq_vla': lambda: vq_vla(TOKENS, 32, effort=0.02),
                 'carp': lambda: carp(TOKENS, 64, effort=0.01),
                 'quest': lambda: quest(TOKENS, effort=0.01)}.get(name, MAKERS[name])()
    tokenizer.fit(still)
    assert np.isfinite(tokenizer.decode(tokenizer.encode(still))).all()


def test_all_are_made_at_one_size_and_poses_only_get_a_spatial_grid():
    names = [make(0).spec.name for make in makers(GROUPS, TOKENS, 64, 1.0)]
    assert names == ['VQ-BeT', 'VQ-VLA', 'CARP', 'QueST', 'OmniSAT 2x6', 'SpatialVLA']
    assert 'SpatialVLA' not in [
        make(0).spec.name for make in makers({'arm': [0, 1, 2, 3]}, TOKENS, 64, 1.0)]
    with pytest.raises(ValueError, match='expected position of 3 columns'):
        SpatialGrid({'arm': [0, 1, 2]})
    with pytest.raises(ValueError, match='a token for each of 2 parts, got 1'):
        OmniSat(GROUPS, 1)


@pytest.mark.parametrize(('tokens', 'sizes'), [
    (10, [1, 2, 3, 4]), (12, [1, 2, 3, 6]), (36, [1, 2, 3, 4, 5, 6, 7, 8]), (1, [1])])
def test_scales_grow_by_one_and_use_every_token(tokens, sizes):
    assert scales(tokens) == sizes


@given(rows=strategies.integers(2, 120), tokens=strategies.integers(1, 64))
def test_a_layout_covers_the_chunk_and_keeps_to_the_tokens(rows, tokens):
    stride, steps, groups = layout(rows, tokens)
    assert 2 * stride * steps >= rows
    assert 1 <= steps * groups <= tokens
    assert layout(32, 8) == (2, 8, 1)  # as published


@pytest.mark.parametrize(('rows', 'tokens', 'expected'), [
    (30, 36, (2, 8, 4)),  # steps of 4 rows although longer ones would take 36 tokens, not 32
    (15, 12, (2, 4, 3)), (50, 12, (7, 4, 3))])
def test_steps_have_the_published_4_rows_where_there_are_tokens_for_them(rows, tokens, expected):
    assert layout(rows, tokens) == expected


@given(seed=strategies.integers(0, 1000))
def test_finite_scalar_codes_are_all_used_and_come_back(seed):
    quantizer = FiniteScalarQuantizer(2)
    codes = torch.randint(1000, (3, 2, 5), generator=torch.Generator().manual_seed(seed))
    quantized = quantizer(torch.randn(50, 5, 8) * 9)
    assert quantized.codes.min() >= 0
    assert quantized.codes.max() < 1000
    assert (quantizer.lookup(quantized.codes) - quantized.latent).abs().max() < 1e-5
    assert len({tuple(row) for row in quantizer.lookup(
        torch.arange(1000)[:, None, None].expand(-1, 2, 1))[:, 0].tolist()}) == 1000
    assert quantizer.lookup(codes).abs().max() <= 1


def test_no_later_row_changes_an_earlier_code_of_quest(fitted):
    chunk = motions(1, seed=2)
    later = chunk.copy()
    later[:, 8:] += 0.3
    groups, steps = fitted('quest')._design.code_shape
    first, second = (fitted('quest').encode(c)[0].reshape(groups, steps) for c in (chunk, later))
    assert np.array_equal(first[:, :2], second[:, :2])  # each step ends with 4 rows of its own


def test_cells_are_equally_probable_under_a_gaussian():
    values = np.random.default_rng(0).standard_normal((20_000, 2)) * [3.0, 0.1] + [1.0, -2.0]
    grid = GaussianGrid(values, (4, 5))
    share = np.bincount(grid.encode(values), minlength=20) / len(values)
    assert np.abs(share - 0.05).max() < 0.01
    cells = np.arange(20)
    assert np.array_equal(grid.encode(grid.decode(cells)), cells)


@given(seed=strategies.integers(0, 1000))
def test_steps_come_back_from_spherical_coordinates(seed):
    steps = np.random.default_rng(seed).standard_normal((5, 3))
    assert from_sphere(to_sphere(steps)) == pytest.approx(steps)
