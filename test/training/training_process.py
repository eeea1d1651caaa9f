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
"""
One of the processes of a training in test_sharded_training.py; arguments as of train policy.

It keeps the weights that each process ends with, and the state of every validation.
"""

import shutil
import sys

from faster_ros.training.finetune_policy import main, PolicyFineTuning
import torch

run, write_state = PolicyFineTuning.run, PolicyFineTuning._write_state


def run_and_keep(self):
    """Train, then keep the weights of this process."""
    run(self)
    if self.sharded:
        spread = sum(weight.to_local().numel() for weight in self.learning)
        assert spread < 0.6 * sum(weight.numel() for weight in self.learning)
    else:
        torch.save(self.model.state_dict(), self.out / f'weights_{self.processes.rank}.pt')


def write_and_keep(self, state):
    """Write the state, and keep it under a name of its step for a test that goes on from there."""
    write_state(self, state)
    shutil.copy(self.out / 'state.pt', self.out / f'state_{self.step}.pt')


PolicyFineTuning.run, PolicyFineTuning._write_state = run_and_keep, write_and_keep
sys.exit(main(sys.argv[1:]))
