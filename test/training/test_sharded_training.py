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
"""Several processes that share the weights of a policy (FSDP) train what one would."""

import json
from pathlib import Path
import shutil
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from small_vlms import published
from swinging_arm import FAST, recorded_swings
import torch
import yaml

SCRIPT = Path(__file__).with_name('training_process.py')
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return recorded_swings(tmp_path_factory.mktemp('recorded') / 'swings')


def train(data, out, processes, *resumed, tokenizer=None, **changes):
    """Train in so many processes and return the weights of the checkpoint and the losses."""
    out.mkdir(exist_ok=True)
    if tokenizer is not None:
        shutil.copytree(tokenizer, out / 'tokenizer', dirs_exist_ok=True)
    (out / 'recipe.yaml').write_text(yaml.safe_dump({**FAST, **changes}))
    done = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', str(processes),
         '--standalone', str(SCRIPT), str(data), str(out), str(out / 'recipe.yaml'),
         *map(str, resumed)], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    curve = json.loads((out / 'summary.json').read_text())['curve']
    return load_file(out / 'checkpoint' / 'policy.safetensors'), curve


@pytest.mark.slow
@pytest.mark.parametrize('lora_rank', [0, 2])
def test_shared_weights_train_as_one_process_and_resume_in_any_number(data, tmp_path, lora_rank):
    published('smolvlm', tmp_path / 'published')
    recipe = {'backbone': str(tmp_path / 'published'), 'accumulate': 2, 'expert_steps': 2,
              'lora_rank': lora_rank, 'learning_rate': 1e-3, 'backbone_rate': 1.0}
    one, losses = train(data, tmp_path / 'one', 1, **recipe)
    recipe['shard'] = True
    two, same = train(data, tmp_path / 'two', 2, tokenizer=tmp_path / 'one' / 'tokenizer',
                      **recipe)
    assert len(same) == len(losses)
    for point, other in zip(losses, same):
        assert point == pytest.approx(other, abs=1e-4)
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-4, rtol=1e-3)

    (tmp_path / 'two' / 'state_3.pt').replace(tmp_path / 'two' / 'state.pt')
    again, _ = train(data, tmp_path / 'two', 1, 3, **recipe)
    for name, weight in two.items():
        torch.testing.assert_close(again[name], weight, atol=1e-4, rtol=1e-3)
