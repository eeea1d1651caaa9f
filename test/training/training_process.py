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
"""One of the processes of a training in test_sharded_training.py: DATA OUT RECIPE [resume]."""

from pathlib import Path
import shutil
import sys

from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.robot_spec import load_robot_spec
from faster_ros.training.data_parallel import DataParallel
from faster_ros.training.finetune_data import make_parts
from faster_ros.training.finetune_policy import PolicyFineTuning
from faster_ros.training.policy_recipe import read_recipe
from faster_ros.training.robot_rows import read_robot_rows
import torch

data, out, file, *resumed = sys.argv[1:]
recipe, spec = read_recipe(Path(file)), load_robot_spec('fr3')
FASTerVLA._gaps = lambda self, flat: torch.full_like(flat, 2)  # equal for any share of a batch
processes = DataParallel.start('cpu')
rows = read_robot_rows(Path(data), spec, (recipe.image_width, recipe.image_height),
                       Path(out) / f'images_{processes.rank}')
for _ in range(2):  # the second time with the tokenizer of the first, from equal random numbers
    torch.manual_seed(0)
    parts, coded = make_parts(recipe, rows, spec, Path(out), processes)
run = PolicyFineTuning(parts, recipe, coded, Path(out), processes)
save = run._validate_and_save


def save_and_keep():
    """Save, and keep the state under a name of its step, for a test that goes on from there."""
    save()
    if processes.first:
        shutil.copy(run.out / 'state.pt', run.out / f'state_{run.step}.pt')


run._validate_and_save = save_and_keep
if resumed:
    run.resume()
    assert run.step == int(resumed[0])
run.run()
if run.sharded:
    spread = sum(weight.to_local().numel() for weight in run.learning)
    assert spread < 0.6 * sum(weight.numel() for weight in run.learning)
processes.stop()
