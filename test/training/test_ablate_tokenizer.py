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
"""The ablations: each variant differs in what its name says, trains, and is listed."""

import csv
import json

from faster_ros.cli.main import main
from faster_ros.data.recordings import Recording
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.tokenizer.protocol import UndecodableError
from faster_ros.tokenizer.transformer import GlobalBlocks, GroupMixing, LocalBlock
from faster_ros.training.ablate_tokenizer import ablation_makers, base_config, variants
from faster_ros.training.data_parallel import DataParallel
from faster_ros.training.grid_tokenizer import GridFasterVq
import numpy as np
import pytest
import torch

NAMES = ['j1', 'j2', 'j3', 'gripper']


def episodes(count):
    """Return short episodes of an arm with a gripper."""
    rng = np.random.default_rng(0)
    time = np.arange(40)[:, None] / 10
    return [np.concatenate([np.sin(time * rng.uniform(0.5, 2, 3) + rng.uniform(0, 6, 3)),
                            np.where(time < rng.uniform(1, 3), 0.0, 1.0)], 1)
            for _ in range(count)]


@pytest.fixture(scope='module')
def base():
    """Return the base of the ablations for a small recording."""
    return base_config(Recording(episodes(5), NAMES, 10.0, [], []), 1.0)


def parts(config, kind):
    """Return how many parts of a kind the autoencoder has."""
    return sum(isinstance(module, kind) for module in FASTerVQ(config).modules())


def test_each_encoder_has_the_parts_of_its_kind(base):
    made = variants(base)
    assert (parts(made['encoder: CNN'], GlobalBlocks), parts(base, GlobalBlocks)) == (0, 2)
    assert parts(made['encoder: CNN'], LocalBlock) > parts(base, LocalBlock)
    assert parts(made['encoder: transformer'], LocalBlock) == 0
    assert parts(made['encoder: transformer'], GlobalBlocks) == 2
    assert parts(made['groups: none'], GroupMixing) == 0


def test_each_variant_differs_from_the_base_in_one_thing_and_decodes(base):
    made = variants(base)
    for name, config in made.items():
        changed = [key for key, value in config.to_dict().items() if value != base.to_dict()[key]]
        assert len(changed) == (name != 'base'), name
        model = FASTerVQ(config).eval()
        chunks = torch.rand(2, base.action_horizon, 4)
        assert model.decode(model.encode(chunks)).shape == chunks.shape
    assert made['groups: equal widths'].groups == {'part 0': [0, 1], 'part 1': [2, 3]}


@pytest.mark.parametrize('seconds', [0.2, 0.5, 0.6, 0.9, 1.0, 1.5, 3.0])
def test_every_horizon_gives_one_row_of_codes(seconds):
    recording = Recording(episodes(5), NAMES, 10.0, [], [])
    assert base_config(recording, seconds).code_rows == 1


def test_groups_mix_inside_and_never_across():
    config = TokenizerConfig(4, {'arm': [0, 1], 'gripper': [2]}, time_patch=2, time_strides=(2,))
    mixing = GroupMixing(config)
    cells = torch.zeros(1, 2, 2, 3)
    cells[..., 0] = 1.0
    changed = (mixing(cells) - mixing(torch.zeros_like(cells))).abs().sum((0, 1, 2))
    assert changed[1] > 0
    assert changed[2] == 0


def test_an_unknown_encoder_is_refused():
    with pytest.raises(ValueError, match='encoder must be one of .*, got mlp'):
        TokenizerConfig(8, {'arm': [0]}, time_patch=2, encoder='mlp')


def test_codes_that_part_of_a_level_leaves_out_add_nothing(base):
    tokenizer = GridFasterVq.of(FASTerVQ(base).eval())
    torch.nn.init.normal_(tokenizer.model.quantizer.codebooks)
    codes = np.arange(12) % base.codebook_size
    whole = torch.from_numpy(codes).view(1, 3, 4)
    seven = whole.flatten().masked_fill(torch.arange(12) >= 7, -1).view(1, 3, 4)
    for count, same in ((12, whole), (8, whole[:, :2]), (7, seven)):
        np.testing.assert_allclose(tokenizer.decode([codes[:count]]),
                                   tokenizer.model.decode(same), atol=1e-6)


@pytest.mark.parametrize('wrong', [-1, 32])
def test_a_token_outside_the_codebook_is_refused_by_its_place(base, wrong):
    tokenizer = GridFasterVq.of(FASTerVQ(base).eval())
    with pytest.raises(ValueError, match=rf'token 3 must be in \[0, 32\), got {wrong}'):
        tokenizer.decode([np.array([0, 1, 2, wrong])])


def test_a_sequence_without_tokens_or_with_too_many_is_refused(base):
    tokenizer = GridFasterVq.of(FASTerVQ(base).eval())
    for count in (0, 13):
        with pytest.raises(UndecodableError, match=f'expected 1 to 12 tokens, got {count}'):
            tokenizer.decode([np.zeros(count, int)])


def test_variants_are_trained_on_the_device_that_is_asked_for(tmp_path, capsys, monkeypatch):
    recording = Recording(episodes(5), NAMES, 10.0, [], [])
    makers = ablation_makers(recording, 1.0, 1, DataParallel(device='cuda:1'))
    assert {make(0).processes.device for make in makers} == {'cuda:1'}
    np.savez(tmp_path / 'arm.npz', data=np.concatenate(episodes(5)), lengths=[40] * 5,
             rate_hz=10.0, dims=NAMES)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert main(['tokenizer', 'ablate', str(tmp_path / 'arm.npz'), '--device', 'cuda',
                 '--out', str(tmp_path / 'out')]) == 1
    assert 'torch finds no GPU here' in capsys.readouterr().err


def test_ablate_writes_a_table_of_all_variants(tmp_path, capsys):
    rows = episodes(5)
    np.savez(tmp_path / 'arm.npz', data=np.concatenate(rows), lengths=[40] * 5, rate_hz=10.0,
             dims=NAMES)
    assert main(['tokenizer', 'ablate', str(tmp_path / 'arm.npz'), '--steps', '3', '--seeds', '1',
                 '--out', str(tmp_path / 'out')]) == 0
    assert '| encoder: CNN |' in capsys.readouterr().out
    outcome = json.loads((tmp_path / 'out/ablation.json').read_text())
    assert outcome['budget'] == '3 steps of 128 chunks for each variant, 1 seeds'
    with (tmp_path / 'out/ablation.csv').open() as stream:
        names = [line['name'] for line in csv.DictReader(stream)]
    assert names == [row['name'] for row in outcome['variants']]
    assert len(names) == 12
    assert (tmp_path / 'out/ablation.md').read_text().count('\n| ') == 2 + 12


def test_ablate_varies_the_form_for_small_data_too(tmp_path, capsys):
    rows = episodes(5)
    np.savez(tmp_path / 'arm.npz', data=np.concatenate(rows), lengths=[40] * 5, rate_hz=10.0,
             dims=NAMES)
    assert main(['tokenizer', 'ablate', str(tmp_path / 'arm.npz'), '--small-data', '--seeds', '1',
                 '--out', str(tmp_path / 'out')]) == 0
    shown = capsys.readouterr().out
    for name in ('PCA k-means, slots of 12', 'FASTerVQ, 10 augmented', 'FASTerVQ, seams 0.5',
                 'FASTerVQ, ends 4', 'FASTerVQ, 4 times the codes', 'FASTerVQ, 16 tokens',
                 'FASTerVQ, 18 tokens'):
        assert f'| {name} |' in shown
