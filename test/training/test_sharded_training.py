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
"""Several processes that share a training (DDP) or its weights too (FSDP) train as one would."""

import json
from pathlib import Path
import shutil
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from small_vlms import published
from swinging_arm import FAST, recorded_swings, with_subtasks
import torch
import yaml

SCRIPT = Path(__file__).with_name('training_process.py')
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return with_subtasks(recorded_swings(tmp_path_factory.mktemp('recorded') / 'swings'))


def train(data, out, processes, tokenizer=None, resume=False, **changes):
    """Train in so many processes and return the weights of the checkpoint and the losses."""
    out.mkdir(exist_ok=True)
    if tokenizer is not None:  # a run that was interrupted before its first validation
        shutil.copytree(tokenizer, out / 'tokenizer')
    (out / 'recipe.yaml').write_text(yaml.safe_dump({**FAST, 'train_gap': [2, 2], **changes}))
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', str(processes),
         '--standalone', str(SCRIPT), '--data', str(data), '--robot', 'fr3', '--device', 'cpu',
         '--config', str(out / 'recipe.yaml'), '--out', str(out),
         *(['--resume'] if resume or tokenizer else [])],
        cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    curve = json.loads((out / 'summary.json').read_text())['curve']
    return load_file(out / 'checkpoint' / 'policy.safetensors'), curve


@pytest.mark.slow
def test_processes_that_each_hold_the_model_have_the_same_one_and_train_as_one(data, tmp_path):
    two, losses = train(data, tmp_path / 'two', 2)
    kept = [torch.load(tmp_path / 'two' / f'weights_{rank}.pt', weights_only=True)
            for rank in range(2)]
    for name, weight in kept[0].items():
        assert torch.equal(kept[1][name], weight), name
    assert [folder.name for folder in (tmp_path / 'two').glob('images_*')] == ['images_0']
    one, same = train(data, tmp_path / 'one', 1, tokenizer=tmp_path / 'two' / 'tokenizer')
    for point, other in zip(losses, same, strict=True):
        assert point == pytest.approx(other, abs=1e-4)
    for name, weight in one.items():  # a bias before a softmax follows rounding: it has no slope
        torch.testing.assert_close(two[name], weight, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize('name, lora_rank, subtasks', [
    ('smolvlm', 0, False), ('smolvlm', 2, False), ('paligemma', 0, True)])
def test_shared_weights_train_as_one_process_and_resume_in_any_number(
        data, tmp_path, name, lora_rank, subtasks):
    published(name, tmp_path / 'published')
    recipe = {'backbone': str(tmp_path / 'published'), 'accumulate': 2, 'expert_steps': 2,
              'lora_rank': lora_rank, 'learning_rate': 1e-3, 'backbone_rate': 1.0,
              'subtasks': subtasks}
    one, losses = train(data, tmp_path / 'one', 1, **recipe)
    recipe['shard'] = True
    two, same = train(data, tmp_path / 'two', 2, tmp_path / 'one' / 'tokenizer', **recipe)
    for point, other in zip(losses, same, strict=True):
        assert point == pytest.approx(other, abs=1e-4)
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-4, rtol=1e-3)

    (tmp_path / 'two' / 'state_3.pt').replace(tmp_path / 'two' / 'state.pt')
    again, _ = train(data, tmp_path / 'two', 1, resume=True, **recipe)
    for name, weight in two.items():
        torch.testing.assert_close(again[name], weight, atol=1e-4, rtol=1e-3)
