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

import os
from pathlib import Path
import socket
import subprocess
import sys

from faster_ros.cli import tokenizer as tokenizer_job
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.data_parallel import DataParallel
from faster_ros.training.train_tokenizer import TokenizerTraining, train_tokenizer
import numpy as np
import pytest
import torch

TINY = TokenizerConfig(8, {'arm': [0, 1], 'gripper': [2]}, time_patch=2, width=16, layers=1,
                       heads=2, latent_dim=16, codebook_size=16, quantizer_dropout=0.0)
TRAINING = TokenizerTraining(steps=12, batch_size=32, warmup_steps=4)


def waves(count):
    """Return smooth chunks (count, 8, 3)."""
    rng = np.random.default_rng(1)
    phase, speed = rng.uniform(-3, 3, (2, count, 1, 3))
    return torch.tensor(np.sin(phase + speed * np.linspace(0, 1, 8)[:, None]), dtype=torch.float32)


def save_trained(path):
    """Train as one of the processes and let the first save."""
    torch.set_num_threads(1)
    processes = DataParallel.start('cpu')
    model, _ = train_tokenizer(TINY, waves(96), TRAINING, 0, processes)
    processes.stop()
    if processes.first:
        torch.save(model.state_dict(), path)


@pytest.mark.slow
def test_two_processes_that_share_each_batch_train_the_tokenizer_of_one(tmp_path):
    alone, _ = train_tokenizer(TINY, waves(96), TRAINING, 0)
    code = f'import test_grid_tokenizer as t; t.save_trained({str(tmp_path / "two.pt")!r})'
    here = os.pathsep.join([str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')])
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    started = [subprocess.Popen([sys.executable, '-c', code], env={
        **os.environ, 'RANK': str(rank), 'WORLD_SIZE': '2', 'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port), 'PYTHONPATH': here}) for rank in range(2)]
    assert [process.wait(100) for process in started] == [0, 0]
    two = torch.load(tmp_path / 'two.pt', weights_only=True)
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_a_batch_that_the_processes_cannot_share_is_refused():
    with pytest.raises(ValueError, match='a batch of 7 cannot be shared by 2 processes'):
        DataParallel(1, 2).part(np.arange(7))


@pytest.mark.parametrize(('width', 'layers', 'millions'), [(256, 4, 8.0), (320, 4, 12.4)])
def test_the_sizes_have_about_the_parameters_of_the_paper(width, layers, millions):
    config = TokenizerConfig(20, {'arm': list(range(7))}, time_patch=5, width=width,
                             layers=layers, heads=8, codebook_size=4096, group_patches=True)
    count = sum(value.numel() for value in FASTerVQ(config).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.2)
    assert config.tokens == 21  # the paper's single arm: 7 columns, one row, three levels


def test_train_writes_a_folder_that_apply_reads(tmp_path, capsys):
    rng = np.random.default_rng(2)
    data = np.cumsum(rng.standard_normal((600, 3)), 0) / 20
    recording = tmp_path / 'robot.npz'
    np.savez(recording, data=data, lengths=[150] * 4, rate_hz=10.0, dims=['x', 'y', 'gripper'])
    out = tmp_path / 'trained'
    assert tokenizer_job.main(['train', str(recording), '--out', str(out), '--size', 'tiny',
                               '--steps', '4', '--batch-size', '16', '--codes', '16']) == 0
    assert tokenizer_job.main(['apply', str(recording), '--tokenizer', str(out),
                               '--out', str(tmp_path / 'applied')]) == 0
    assert (tmp_path / 'applied' / 'report.html').exists()


def test_a_number_of_steps_below_one_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match='--steps must be at least 1, got 0'):
        tokenizer_job.main(['train', 'none.npz', '--out', str(tmp_path), '--steps', '0'])
