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
"""FASTerVQ in the paper's form, in one process and in several."""

import json
import os
from pathlib import Path
import socket
import subprocess
import sys

from faster_ros.cli import tokenizer as tokenizer_job
from faster_ros.data.recordings import Recording
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.data_parallel import ALONE, DataParallel
from faster_ros.training.grid_tokenizer import GridFasterVq, paper_config, too_many_codes
from faster_ros.training.tokenizer_folder import load_tokenizer
from faster_ros.training.train_tokenizer import TokenizerTraining, train_tokenizer
from hypothesis import given, settings, strategies
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

# Codes that are hardly used are replaced at step 10 and at the last one, 20.
TINY = TokenizerConfig(8, {'arm': [0, 1], 'gripper': [2]}, time_patch=2, width=16, layers=1,
                       heads=2, latent_dim=16, codebook_size=16, quantizer_dropout=0.25,
                       ema_decay=0.8, dead_threshold=0.15)
TRAINING = TokenizerTraining(steps=21, batch_size=32, warmup_steps=4)


def waves(count):
    """Return smooth chunks (count, 8, 3)."""
    rng = np.random.default_rng(1)
    phase, speed = rng.uniform(-3, 3, (2, count, 1, 3))
    return torch.tensor(np.sin(phase + speed * np.linspace(0, 1, 8)[:, None]), dtype=torch.float32)


def trained(processes):
    """Return the state of a tokenizer, trained in float64, and what is drawn at random next."""
    torch.set_default_dtype(torch.float64)  # sums in another order choose the same codes
    try:
        model, _ = train_tokenizer(TINY, waves(96).double(), TRAINING, 0, processes)
    finally:
        torch.set_default_dtype(torch.float32)
    return {**model.state_dict(), 'drawn next': torch.rand(4)}


def save_trained(folder):
    """Train as one of the processes and save."""
    torch.set_num_threads(1)
    processes = DataParallel.start('cpu')
    state = trained(processes)
    processes.stop()
    save_file(state, Path(folder) / f'{processes.rank}.safetensors')


@pytest.mark.slow
def test_two_processes_that_share_each_batch_train_the_tokenizer_of_one(tmp_path):
    alone = trained(ALONE)
    assert (alone['quantizer.usage'] == 1.0).any()  # as a code has that was just replaced
    code = f'import test_grid_tokenizer as t; t.save_trained({str(tmp_path)!r})'
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')])
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    started = [subprocess.Popen([sys.executable, '-c', code], env={
        **os.environ, 'RANK': str(rank), 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port), 'PYTHONPATH': here}) for rank in range(2)]
    assert [process.wait(300) for process in started] == [0, 0]
    for rank in range(2):
        one_of_two = load_file(tmp_path / f'{rank}.safetensors')
        for name, tensor in alone.items():
            torch.testing.assert_close(one_of_two[name], tensor, rtol=1e-6, atol=1e-9, msg=name)


def test_a_batch_that_the_processes_cannot_share_is_refused():
    with pytest.raises(ValueError, match='a batch of 7 cannot be shared by 2 processes'):
        DataParallel(1, 2).part(np.arange(7))


@pytest.mark.parametrize(('columns', 'rows'), [(1, 1), (7, 1), (13, 1), (14, 2), (26, 2)])
def test_the_paper_has_one_row_of_codes_and_two_from_14_columns_on(columns, rows):
    recording = Recording([], [f'j{number}' for number in range(columns)], 10.0, [], [])
    for horizon in range(5, 61):
        config = paper_config(recording, horizon / 10, 16, 1, 16)
        assert config.action_horizon == horizon
        assert config.code_rows == rows, horizon
        assert config.tokens == 3 * rows * columns
        padded = config.patch_rows * config.time_patch - horizon
        assert 0 <= padded < config.time_patch


@pytest.fixture(scope='module')
def wild():
    """Return a tokenizer whose codes are far from all that it could learn."""
    torch.manual_seed(0)
    model = FASTerVQ(TINY).eval()
    torch.nn.init.normal_(model.quantizer.codebooks, std=100)
    return GridFasterVq.of(model)


@settings(max_examples=50, deadline=None)
@given(sequences=strategies.lists(strategies.lists(
    strategies.integers(0, TINY.codebook_size - 1), min_size=1, max_size=TINY.tokens), min_size=1,
    max_size=4))
def test_any_beginning_of_any_codes_decodes_to_a_finite_chunk_in_range(wild, sequences):
    chunks = wild.decode([np.array(sequence) for sequence in sequences])
    assert chunks.shape == (len(sequences), 8, 3)
    assert np.isfinite(chunks).all()
    assert np.abs(chunks).max() <= TINY.output_limit


def test_a_warning_says_how_many_codes_the_chunks_can_fill():
    assert too_many_codes(4096, 4 * 4096) == []
    (warning,) = too_many_codes(4096, 4 * 4096 - 1)
    assert '16383 training chunks are fewer than 4 for each of 4096 codes' in warning
    assert '--codes 2048' in warning
    assert '--codes 1' in too_many_codes(4096, 1)[0]


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert DataParallel.start('auto').device == 'cpu'
    with pytest.raises(ValueError, match='torch finds no GPU here'):
        DataParallel.start('cuda')


@pytest.mark.parametrize(('width', 'layers', 'millions'), [(256, 4, 8.0), (320, 4, 12.4)])
def test_the_sizes_have_about_the_parameters_of_the_paper(width, layers, millions):
    config = TokenizerConfig(20, {'arm': list(range(7))}, time_patch=5, width=width,
                             layers=layers, heads=8, codebook_size=4096, group_patches=True)
    count = sum(value.numel() for value in FASTerVQ(config).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.2)
    assert config.tokens == 21  # the paper's single arm: 7 columns, one row, three levels


def walk(folder):
    """Write a recording of four episodes, and return the arguments that train on it."""
    rng = np.random.default_rng(2)
    np.savez(folder / 'robot.npz', data=np.cumsum(rng.standard_normal((600, 3)), 0) / 20,
             lengths=[150] * 4, rate_hz=10.0, dims=['x', 'y', 'gripper'])
    return ['train', str(folder / 'robot.npz'), '--out', str(folder / 'out'), '--size', 'tiny',
            '--steps', '4', '--batch-size', '16']


def test_train_writes_a_folder_that_apply_reads(tmp_path, capsys):
    begun = [*walk(tmp_path), '--levels', '2', '--codes', '256', '--code-dim', '4', '--encoder',
             'cnn', '--dropout', '0.5', '--save-every', '2']
    assert tokenizer_job.main(begun) == 0
    assert 'are fewer than 4 for each of 256 codes' in capsys.readouterr().out
    config = load_tokenizer(tmp_path / 'out').model.config
    assert (config.levels, config.codebook_size, config.code_dim) == (2, 256, 4)
    assert (config.encoder, config.quantizer_dropout) == ('cnn', 0.5)
    curve = json.loads((tmp_path / 'out' / 'curve.json').read_text())
    assert [point['step'] for point in curve['held_out']] == [2, 4]
    with pytest.raises(ValueError, match='holds an earlier run: --resume goes on with it'):
        tokenizer_job.main(begun)
    assert tokenizer_job.main([*begun, '--resume']) == 0
    assert tokenizer_job.main(['apply', str(tmp_path / 'robot.npz'), '--tokenizer',
                               str(tmp_path / 'out'), '--out', str(tmp_path / 'applied')]) == 0
    assert (tmp_path / 'applied' / 'report.html').exists()


def test_a_share_of_dropout_above_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match='quantizer_dropout must be from 0 to 1, got 2'):
        tokenizer_job.main([*walk(tmp_path), '--dropout', '2'])


def test_a_number_of_steps_below_one_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match='--steps must be at least 1, got 0'):
        tokenizer_job.main(['train', 'none.npz', '--out', str(tmp_path), '--steps', '0'])
