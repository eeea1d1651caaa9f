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
"""FASTerVQ: shapes, masks, residual levels, learning, and what it refuses."""

from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.tokenizer.losses import dct_matrix, reconstruction_loss
from faster_ros.tokenizer.patchify import Patchifier
from hypothesis import given, settings, strategies
import pytest
from safetensors.torch import load_file, save_file
import torch

GROUPS = {'arm': [0, 1, 2], 'gripper': [3]}


def tiny(**changes):
    """Return the config of a tokenizer that computes in milliseconds."""
    return TokenizerConfig(**{'action_horizon': 8, 'groups': GROUPS, 'time_patch': 2,
                              'width': 16, 'layers': 1, 'heads': 2, 'latent_dim': 16,
                              'code_dim': 4, 'codebook_size': 16, **changes})


def waves(count, horizon=8, width=4):
    """Return smooth chunks in [-1, 1], different in phase, speed and size."""
    generator = torch.Generator().manual_seed(1)
    time = torch.linspace(0, 3, horizon)[None, :, None]
    draw = torch.rand(3, count, 1, width, generator=generator)
    return draw[0] * torch.sin(time * (0.5 + draw[1]) + 6 * draw[2])


def trained(config, chunks, steps):
    """Return a tokenizer after a few steps."""
    torch.manual_seed(0)
    model = FASTerVQ(config)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(steps):
        loss = model(chunks)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope='module')
def fitted():
    """Return a tokenizer that has learnt ``waves``."""
    return trained(tiny(), waves(256), 300)


def test_patches_have_the_papers_shape_and_come_back_unchanged():
    patchifier = Patchifier(tiny(groups={'gripper': [3], 'arm': [0, 2, 1]}))
    chunk = waves(2)
    assert patchifier.patches(chunk).shape == (2, 4, 2, 2, 3)  # B, m, n, h, d
    assert torch.equal(patchifier.unpatchify(patchifier(chunk)), chunk)


def test_padding_never_reaches_cells_codes_or_loss():
    patchifier = Patchifier(tiny())
    chunk = waves(2)
    zeros, sevens = patchifier.patches(chunk), patchifier.patches(chunk, padding=7.0)
    assert not torch.equal(zeros, sevens)
    assert torch.equal(patchifier.cells(zeros), patchifier.cells(sevens))


def test_a_horizon_that_is_no_multiple_of_the_patch_is_padded_and_cut_again():
    patchifier = Patchifier(tiny(action_horizon=7))
    chunk = waves(2, horizon=7)
    assert torch.equal(patchifier.unpatchify(patchifier(chunk)), chunk)
    assert torch.equal(patchifier(chunk)[:, -1, -1], chunk[:, -1])


@pytest.mark.parametrize('groups, width, horizon, strides, tokens', [
    ({'position': [0, 1, 2], 'rotation': [3, 4, 5], 'gripper': [6]}, 7, 20, (2, 2), 21),
    ({'left': list(range(7)), 'right': list(range(7, 14))}, 14, 32, (2,), 84),
])
def test_token_counts_are_those_of_the_paper(groups, width, horizon, strides, tokens):
    config = tiny(groups=groups, action_horizon=horizon, time_strides=strides,
                  time_patch=5 if horizon == 20 else 8)
    codes = FASTerVQ(config).eval().encode(waves(2, horizon, width))
    assert config.tokens == tokens
    assert codes.flatten(1).shape == (2, tokens)


def test_dct_is_orthonormal_and_its_loss_sees_what_l1_sees():
    matrix = dct_matrix(16)
    assert torch.allclose(matrix @ matrix.T, torch.eye(16), atol=1e-5)
    target = torch.zeros(1, 16, 1)
    constant = torch.full((1, 16, 1), 0.1)
    # A constant error of 0.1 is one DCT coefficient of 0.1 * sqrt(16).
    expected = 0.1 + 0.4 / 16
    assert reconstruction_loss(constant, target, matrix, 1.0).item() == pytest.approx(expected)


def test_each_residual_level_makes_the_chunk_better(fitted):
    chunks = waves(256)
    codes = fitted.encode(chunks)
    errors = [(fitted.decode(codes[:, :level]) - chunks).abs().mean().item()
              for level in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.5 * (chunks - chunks.mean(1, keepdim=True)).abs().mean()


def test_dead_codes_are_revived(fitted):
    codes = fitted.encode(waves(256))
    used = [len(codes[:, level].unique()) for level in range(3)]
    assert min(used) >= 12  # of 16


def test_codes_survive_saving_and_loading(fitted, tmp_path):
    save_file(fitted.state_dict(), tmp_path / 'tokenizer.safetensors')
    again = FASTerVQ(TokenizerConfig.from_dict(tiny().to_dict())).eval()
    again.load_state_dict(load_file(tmp_path / 'tokenizer.safetensors'))
    assert torch.equal(again.encode(waves(9)), fitted.encode(waves(9)))


def test_the_mean_of_a_sure_policy_is_its_codes_and_of_an_unsure_one_lies_between(fitted):
    codes = fitted.encode(waves(32))[:, :2]
    sure = torch.nn.functional.one_hot(codes, 16).float()
    torch.testing.assert_close(fitted.decode_mean(sure), fitted.decode(codes))
    latent = fitted.quantizer.lookup
    torch.testing.assert_close(fitted.quantizer.mean(0.25 * sure + 0.75 * sure.roll(1, 0)),
                               0.25 * latent(codes) + 0.75 * latent(codes).roll(1, 0))


def test_encoding_does_not_change_the_codebooks(fitted):
    before = fitted.quantizer.codebooks.clone()
    fitted.encode(waves(64))
    assert torch.equal(before, fitted.quantizer.codebooks)


@settings(max_examples=30, deadline=None)
@given(level=strategies.integers(1, 3), seed=strategies.integers(0, 10_000))
def test_any_codes_decode_to_finite_chunks_in_range(fitted, level, seed):
    generator = torch.Generator().manual_seed(seed)
    chunk = fitted.decode(torch.randint(0, 16, (2, level, 4), generator=generator))
    assert chunk.shape == (2, 8, 4)
    assert chunk.isfinite().all()
    assert chunk.abs().max() <= 1


@pytest.mark.parametrize('wrong', [-2, 16])
def test_a_code_outside_the_codebook_is_named(wrong):
    codes = torch.zeros(1, 3, 4, dtype=torch.long)
    codes[0, 2, 1] = wrong
    with pytest.raises(ValueError, match=rf'\(0, 2, 1\) must be in \[0, 16\), got {wrong}'):
        FASTerVQ(tiny()).decode(codes)


def test_a_level_of_unknown_codes_is_a_level_less(fitted):
    codes = fitted.encode(waves(8))
    unknown = codes.clone()
    unknown[:, 2] = -1
    torch.testing.assert_close(fitted.decode(unknown), fitted.decode(codes[:, :2]))


def test_a_chunk_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r'shape \(8, 4\), got \(9, 4\)'):
        FASTerVQ(tiny()).encode(waves(1, horizon=9))


@pytest.mark.parametrize('changes, message', [
    ({'groups': {'arm': [0, 1], 'gripper': [1]}}, 'every action column once'),
    ({'time_strides': (3,)}, 'must divide the 4 patch rows'),
    ({'heads': 3}, 'multiple of heads'),
    ({'levels': 0}, 'levels must be at least 1, got 0'),
    ({'quantizer_dropout': -0.1}, 'quantizer_dropout must be from 0 to 1, got -0.1'),
])
def test_an_impossible_config_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)
