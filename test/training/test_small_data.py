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
"""FASTerVQ for small data: better than what it starts from, sized by the data, seeded."""

from faster_ros.data.recordings import windows
from faster_ros.tokenizer.baselines.pca_rvq import PcaResidualKMeans
from faster_ros.tokenizer.protocol import LIMIT
from faster_ros.training.augmentation import augmented
from faster_ros.training.small_data import SmallDataFasterVq, SmallDataSettings
from faster_ros.training.small_data_stages import to_tensor, trained
import numpy as np
import pytest

GROUPS = {'arm': [0, 1, 2]}


def waves(count, seed=1):
    """Return smooth chunks in [-1, 1], different in phase, speed and size."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 3, 8)[None, :, None]
    draw = rng.random((3, count, 1, 3))
    return draw[0] * np.sin(time * (0.5 + draw[1]) + 6 * draw[2])


def fit(**changes):
    """Return a tokenizer fitted to waves."""
    settings = {'slots': 2, 'levels': 3, 'codebook_size': 16, 'seconds': 60.0, **changes}
    tokenizer = SmallDataFasterVq(SmallDataSettings(**settings), GROUPS)
    tokenizer.fit(waves(300))
    return tokenizer


@pytest.fixture(scope='module')
def fitted():
    """Return a tokenizer fitted without a gradient."""
    return fit(conv_transformer=False)


def mse(tokenizer, chunks):
    """Return the error of chunks after their tokens."""
    return np.square(tokenizer.decode(tokenizer.encode(chunks)) - chunks).mean()


def test_it_beats_pca_k_means_of_equal_tokens_on_unseen_chunks(fitted):
    pca = PcaResidualKMeans(2, 3, 16)
    pca.fit(waves(300))
    chunks = waves(200, seed=2)
    assert mse(fitted, chunks) < 0.85 * mse(pca, chunks)


def with_network(tokenizer):
    """Return the tokenizer after two rounds of training its conv-transformer."""
    pool, left = to_tensor(waves(300)), iter([1.0, 1.0, 1.0, 0.0])
    model, _ = trained(tokenizer.model, pool, pool[:50], np.inf, lambda *_: next(left))
    assert model.config.conv_transformer
    return SmallDataFasterVq.of(model.eval())


@pytest.mark.parametrize('network', [False, True])
def test_each_level_more_is_better_and_any_prefix_decodes(fitted, network):
    tokenizer = with_network(fitted) if network else fitted
    chunks = waves(200, seed=2)
    sequences = tokenizer.encode(chunks)
    errors = [np.square(tokenizer.decode([sequence[:known] for sequence in sequences])
                        - chunks).mean() for known in (2, 4, 6)]
    assert errors[0] > errors[1] > errors[2]
    for known in range(1, 7):
        decoded = tokenizer.decode([sequences[0][:known]])
        assert np.isfinite(decoded).all()
        assert np.abs(decoded).max() <= LIMIT


def test_no_stage_is_kept_that_does_not_lower_the_held_out_error():
    errors = [float(line.rsplit(' ', 1)[1]) for line in fit(seconds=1.5).log]
    assert len(errors) == 3
    assert errors == sorted(errors, reverse=True)


def test_equal_seeds_give_equal_codes():
    first, second = (fit(conv_transformer=False, seed=3) for _ in range(2))
    for one, other in zip(first.encode(waves(20)), second.encode(waves(20))):
        assert np.array_equal(one, other)


def test_an_impossible_token_is_named_and_nothing_works_before_fitting(fitted):
    with pytest.raises(ValueError, match=r'token 2 must be in \[0, 16\), got 16'):
        fitted.decode([np.array([0, 0, 16])])
    with pytest.raises(ValueError, match='must be fitted'):
        SmallDataFasterVq(SmallDataSettings(2, 2), GROUPS).encode(waves(1))


def wandering(count, speed, seed=0):
    """Return episodes (120, 3) that are sums of three waves for each column."""
    rng = np.random.default_rng(seed)
    time = speed * np.arange(120.0)[:, None]
    return [sum(rng.uniform(-0.5, 0.5, 3) * np.sin(
        time * rng.uniform(0.02, 0.1) + rng.uniform(0, 6, 3)) for _ in range(3))
        for _ in range(count)]


def fit_to_episodes(speed, end_weight=None):
    """Return a tokenizer fitted to chunks of wandering episodes that follow one another."""
    tokenizer = SmallDataFasterVq(SmallDataSettings(
        4, 2, 32, 60.0, conv_transformer=False, seam_weight=0.0, end_weight=end_weight), GROUPS)
    tokenizer.fit(windows(wandering(20, speed), 8, 2))
    return tokenizer


def test_codes_spare_the_ends_of_chunks_that_would_jump_where_they_meet():
    plain, chosen = fit_to_episodes(1.0, 0.0), fit_to_episodes(1.0)
    assert 'spare their ends' in chosen.log[-1]
    chunks = windows(wandering(60, 1.0, seed=1), 8, 4)
    ends = [np.square(tokenizer.decode(tokenizer.encode(chunks)) - chunks)[:, [0, -1]].mean()
            for tokenizer in (plain, chosen)]
    assert ends[1] < 0.95 * ends[0]
    assert mse(chosen, chunks) < 1.1 * mse(plain, chunks)


def test_ends_weigh_no_more_where_chunks_do_not_jump():
    chosen = fit_to_episodes(10.0)
    assert chosen.model.config.end_weight == 0.0
    assert not any('ends' in line for line in chosen.log)


def test_too_few_chunks_are_refused_by_their_number():
    tokenizer = SmallDataFasterVq(SmallDataSettings(2, 2), GROUPS)
    with pytest.raises(ValueError, match='at least 10 chunks of 8 rows .* got 3'):
        tokenizer.fit(waves(3))


def test_augmented_chunks_stay_within_the_limit_and_keep_their_shape():
    chunks = augmented(waves(50), 80, GROUPS, np.random.default_rng(0))
    assert chunks.shape == (80, 8, 3)
    assert np.abs(chunks).max() <= LIMIT


def test_an_augmented_gripper_keeps_the_values_it_had():
    chunks = waves(50)
    chunks[..., 2] = np.where(chunks[..., 2] > 0, 1.0, -1.0)
    made = augmented(chunks, 80, {'arm': [0, 1], 'gripper': [2]}, np.random.default_rng(0))
    assert set(np.unique(made[..., 2])) == {-1.0, 1.0}
    assert len(np.unique(made[..., 0])) > len(np.unique(chunks[..., 0]))
