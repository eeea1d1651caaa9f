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
"""A tokenizer's training keeps its state, and an interrupted one goes on as if it had not been."""

from dataclasses import replace
import json

from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.training.data_parallel import ALONE
from faster_ros.training.train_tokenizer import (
    Saving,
    TokenizerRun,
    TokenizerTraining,
    train_tokenizer,
)
import pytest
from safetensors.torch import save_file
import torch

TINY = TokenizerConfig(8, {'arm': [0, 1]}, time_patch=2, width=16, layers=1, heads=2,
                       latent_dim=16, codebook_size=16)
TRAINING = TokenizerTraining(steps=30, batch_size=16, warmup_steps=4)


@pytest.fixture(scope='module')
def chunks():
    generator = torch.Generator().manual_seed(1)
    phase, speed = 6 * torch.rand(2, 60, 1, 2, generator=generator)
    return torch.sin(phase + speed * torch.linspace(0, 1, 8)[:, None])


class Interrupted(TokenizerRun):
    """A run that ends between two saves, as by a power cut."""

    def _update(self, parallel, step, rows):
        if step == 25:
            raise KeyboardInterrupt
        return super()._update(parallel, step, rows)


@pytest.fixture
def interrupted(chunks, tmp_path):
    """Return the folder of a run of 30 steps that was saved at step 20 and ended at 25."""
    with pytest.raises(KeyboardInterrupt):
        Interrupted(TINY, chunks, TRAINING, 0, ALONE, Saving(tmp_path / 'run', 10)).run()
    return tmp_path / 'run'


def test_an_interrupted_training_ends_as_one_without_interruption(chunks, interrupted, tmp_path):
    whole, curve = train_tokenizer(TINY, chunks, TRAINING, 0, saving=Saving(tmp_path / 'one', 10))
    torch.rand(7)  # what was drawn since does not matter
    resumed, same = train_tokenizer(TINY, chunks, TRAINING, 0,
                                    saving=Saving(interrupted, 10, resume=True))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    assert same == curve
    assert ((tmp_path / 'one' / 'curve.json').read_text()
            == (interrupted / 'curve.json').read_text())


def test_a_finished_training_is_resumed_to_what_it_was(chunks, tmp_path):
    whole, _ = train_tokenizer(TINY, chunks, TRAINING, 0, saving=Saving(tmp_path, 100))
    again, _ = train_tokenizer(TINY, chunks, TRAINING, 0, saving=Saving(tmp_path, 100, True))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_the_curve_has_the_loss_and_an_error_of_held_out_chunks_that_falls(chunks, interrupted):
    curve = json.loads((interrupted / 'curve.json').read_text())
    assert [point['step'] for point in curve['loss']] == [0]
    assert [point['step'] for point in curve['held_out']] == [10, 20]
    assert curve['held_out'][1]['mse'] < curve['held_out'][0]['mse']


def test_nothing_is_learnt_from_held_out_chunks(chunks, tmp_path):
    other = chunks.clone()
    other[-3:] = 0.0  # a twentieth
    kept, _ = train_tokenizer(TINY, chunks, TRAINING, 0, saving=Saving(tmp_path / 'one', 100))
    same, _ = train_tokenizer(TINY, other, TRAINING, 0, saving=Saving(tmp_path / 'other', 100))
    for name, tensor in kept.state_dict().items():
        assert torch.equal(same.state_dict()[name], tensor), name


@pytest.mark.parametrize('config, training, moved, message', [
    (replace(TINY, levels=2), TRAINING, 0.0, 'options: levels was 3, is 2; go on'),
    (TINY, replace(TRAINING, steps=40), 0.0, 'options: steps was 30, is 40; go on'),
    (TINY, TRAINING, 0.1, r'options: checksum of chunks was \w+, is \w+; go on'),
])
def test_a_training_is_not_resumed_with_other_options_or_data(
        chunks, interrupted, config, training, moved, message):
    with pytest.raises(ValueError, match=message):
        train_tokenizer(config, chunks + moved, training, 0,
                        saving=Saving(interrupted, 10, resume=True))


def test_a_state_that_is_missing_damaged_or_foreign_is_named(chunks, tmp_path):
    def resume():
        train_tokenizer(TINY, chunks, TRAINING, 0, saving=Saving(tmp_path, 10, resume=True))

    with pytest.raises(ValueError, match='state.safetensors is missing; expected an interrupted'):
        resume()
    (tmp_path / 'state.safetensors').write_bytes(b'{}')
    with pytest.raises(ValueError, match='state.safetensors is damaged or foreign'):
        resume()
    save_file({'weight': torch.zeros(1)}, tmp_path / 'state.safetensors')
    with pytest.raises(ValueError, match='state.safetensors is damaged or foreign'):
        resume()


def test_an_earlier_run_is_not_overwritten(chunks, interrupted):
    with pytest.raises(ValueError, match='holds an earlier run: --resume goes on with it'):
        train_tokenizer(TINY, chunks, TRAINING, 0, saving=Saving(interrupted, 10))


def test_a_single_chunk_cannot_be_held_out(chunks, tmp_path):
    with pytest.raises(ValueError, match='expected at least 2 training chunks, got 1'):
        train_tokenizer(TINY, chunks[:1], TRAINING, 0, saving=Saving(tmp_path, 10))
