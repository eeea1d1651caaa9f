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
"""The published tokenizers: round trips, prefixes, what decodes, and what they refuse."""

from faster_ros.tokenizer.baselines.binning import Binning
from faster_ros.tokenizer.baselines.bspline import basis, BSplines
from faster_ros.tokenizer.baselines.fast import Fast, FastPlus
from faster_ros.tokenizer.baselines.pca_rvq import Pca, PcaResidualKMeans
from faster_ros.tokenizer.baselines.zonal_dct import ZonalDct
from faster_ros.tokenizer.kmeans import kmeans, nearest
from faster_ros.tokenizer.protocol import LIMIT, UndecodableError
from hypothesis import given, settings, strategies
import numpy as np
import pytest
from tokenizers import decoders, models, Tokenizer

H, D = 10, 3


def waves(count, seed=1):
    """Return smooth chunks in [-1, 1], different in phase, speed and size."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 3, H)[None, :, None]
    draw = rng.random((3, count, 1, D))
    return draw[0] * np.sin(time * (0.5 + draw[1]) + 6 * draw[2])


def small_pca():
    """Return a PCA tokenizer that is fitted in milliseconds."""
    return PcaResidualKMeans(slots=3, levels=3, codebook_size=32, slot_width=4)


MAKERS = {
    'binning': Binning, 'zonal': ZonalDct, 'spline': BSplines, 'fast': Fast, 'pca': small_pca,
}
BOUNDS = {'binning': 0.003, 'zonal': 0.06, 'spline': 0.01, 'fast': 0.02, 'pca': 0.1}  # mean L1


@pytest.fixture(scope='module')
def fitted():
    """Return each tokenizer after fitting to waves."""
    tokenizers = {name: make() for name, make in MAKERS.items()}
    for tokenizer in tokenizers.values():
        tokenizer.fit(waves(400))
    return tokenizers


@pytest.mark.parametrize('name', MAKERS)
def test_unseen_chunks_come_back_with_a_small_error(fitted, name):
    tokenizer, chunks = fitted[name], waves(50, seed=2)
    sequences = tokenizer.encode(chunks)
    assert np.abs(tokenizer.decode(sequences) - chunks).mean() < BOUNDS[name]
    if tokenizer.spec.tokens is not None:
        assert {len(sequence) for sequence in sequences} == {tokenizer.spec.tokens}
    assert all((sequence < tokenizer.spec.vocabulary).all() for sequence in sequences)


@settings(max_examples=40, deadline=None)
@given(seed=strategies.integers(0, 10_000),
       name=strategies.sampled_from(['binning', 'zonal', 'spline', 'pca']))
def test_any_ids_of_a_fixed_length_decode_within_the_limit(fitted, name, seed):
    spec = fitted[name].spec
    ids = np.random.default_rng(seed).integers(spec.vocabulary, size=spec.tokens)
    chunk = fitted[name].decode([ids])
    assert chunk.shape == (1, H, D)
    assert np.isfinite(chunk).all()
    assert np.abs(chunk).max() <= LIMIT


@settings(max_examples=30, deadline=None)
@given(seed=strategies.integers(0, 10_000), size=strategies.floats(0, 1.5))
def test_decoded_chunks_are_fixed_points_of_uniform_codes(fitted, seed, size):
    chunk = size * np.random.default_rng(seed).uniform(-1, 1, (1, H, D))
    for name in ('binning', 'fast'):
        once = fitted[name].encode(chunk)
        again = fitted[name].encode(fitted[name].decode(once))
        if name == 'binning' or np.abs(fitted[name].decode(once)).max() < LIMIT:
            assert np.array_equal(once[0], again[0])


@pytest.mark.parametrize('name', ['zonal', 'pca'])
def test_a_longer_beginning_of_the_tokens_is_a_better_chunk(fitted, name):
    chunks = waves(50, seed=2)
    sequences = fitted[name].encode(chunks)
    errors = [np.square(fitted[name].decode([sequence[:known] for sequence in sequences])
                        - chunks).mean() for known in (3, 6, 9)]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize('name', MAKERS)
def test_an_id_outside_the_vocabulary_is_named_by_its_place(fitted, name):
    sequence = fitted[name].encode(waves(1))[0].copy()
    sequence[1] = fitted[name].spec.vocabulary
    with pytest.raises(ValueError, match=r'token 1 must be in \[0, '):
        fitted[name].decode([sequence])


@pytest.mark.parametrize('name', ['binning', 'spline'])
def test_a_cut_sequence_without_a_meaning_is_undecodable(fitted, name):
    with pytest.raises(UndecodableError, match='expected 30 tokens|expected 15 tokens'):
        fitted[name].decode([fitted[name].encode(waves(1))[0][:-1]])


@pytest.mark.parametrize('name', MAKERS)
def test_nothing_is_encoded_before_fitting(name):
    with pytest.raises(ValueError, match='must be fitted'):
        MAKERS[name]().encode(waves(1))


def test_fast_has_no_chunk_for_a_sequence_that_spells_too_few_coefficients(fitted):
    with pytest.raises(UndecodableError, match='expected 30 coefficients'):
        fitted['fast'].decode([fitted['fast'].encode(waves(1))[0][:-1]])


def test_fast_keeps_coefficients_beyond_those_it_was_fitted_to():
    tokenizer = Fast()
    tokenizer.fit(waves(200))
    stronger = 1.3 * waves(20)
    assert np.abs(tokenizer.decode(tokenizer.encode(stronger)) - stronger).max() < 0.1


def test_fast_plus_reads_a_vocabulary_file(fitted, tmp_path):
    path = tmp_path / 'tokenizer.json'
    words = Fast(vocabulary=900)
    words.fit(waves(100))
    words._pieces.decoder = decoders.Fuse()
    words._pieces.save(str(path))
    tokenizer = FastPlus(path, lowest=-0x4E00)  # the letters of this file begin there
    tokenizer.fit(waves(1))
    assert tokenizer.spec.vocabulary == words.spec.vocabulary


def test_a_wrong_file_for_fast_plus_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match='there is no file .*none.json'):
        FastPlus(tmp_path / 'none.json')
    path = tmp_path / 'wrong.json'
    path.write_text('{"version": "1.0"}')
    with pytest.raises(ValueError, match=r'wrong.json: expected the tokenizer.json of FAST\+'):
        FastPlus(path)
    words = Tokenizer(models.WordLevel({'arm': 0, '[UNK]': 1}, unk_token='[UNK]'))
    words.save(str(path))
    with pytest.raises(ValueError, match='wrong.json: .* pieces do not spell the letters'):
        FastPlus(path)


def test_spline_basis_sums_to_one_and_ends_at_the_outer_points():
    matrix = basis(10, 5)
    assert matrix.sum(1) == pytest.approx(1)
    assert matrix[0].tolist() == pytest.approx([1, 0, 0, 0, 0])
    assert matrix[-1].tolist() == pytest.approx([0, 0, 0, 0, 1])


def test_kmeans_finds_separate_clusters_and_survives_few_points():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    points = np.concatenate([centre + 0.1 * rng.standard_normal((50, 2)) for centre in centres])
    book = kmeans(points, 6, rng)
    assert np.square(points - book[nearest(points, book)]).sum(1).max() < 0.2
    assert np.isfinite(kmeans(points[:2], 6, rng)).all()


def test_axes_are_dealt_to_and_fro_so_that_slots_vary_alike():
    dealt = Pca(np.zeros(6), np.eye(6)).dealt(2)
    assert dealt.axes.argmax(1).tolist() == [0, 3, 4, 1, 2, 5]
