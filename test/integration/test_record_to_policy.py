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
"""From record to policy as docs/record_and_train.md says: the commands, short."""

import json
import os
import subprocess
import sys

from faster_ros.data.dataset_spec import Source
from faster_ros.data.dataset_validation import problems
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.simulator import Simulator, TEST_SEED_START
import numpy as np
import pytest
from ros_process import own_domain, ROOT
import yaml

SHORT = {'stride': 2, 'image_width': 64, 'image_height': 48, 'steps': 4, 'validate_every': 4,
         'batch_size': 8, 'tokenizer_steps': 10, 'codebook_size': 16, 'warmup_steps': 1}


def run(*words, limit_s=400):
    """Run the command and return what it prints."""
    done = subprocess.run(
        [sys.executable, '-m', 'faster_ros.cli.main', *map(str, words)], cwd=ROOT, text=True,
        capture_output=True, timeout=limit_s, check=False,
        env=os.environ | {'ROS_DOMAIN_ID': str(own_domain()), 'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_scripted_demonstrations_become_a_policy_that_is_tried(tmp_path):
    folder, out = tmp_path / 'set', tmp_path / 'trained'
    printed = run('bringup', 'record', 'simulated:=true', 'teleop:=scripted_leader',
                  'demonstrations:=2', 'fps:=20', 'gate:=false', f'folder:={folder}')
    assert 'episode 2/2' in printed
    dataset = LeRobotDataset(folder)
    assert list(problems(dataset, decode=True)) == []
    assert [entry.facts.outcome for entry in dataset.episodes] == ['success', 'success']
    for entry in dataset.episodes:
        columns = dataset.columns(entry)
        assert entry.facts.task.startswith('pick up the ')
        assert set(columns['source'].ravel().tolist()) == {Source.HUMAN}
        assert columns['action'][0, -1] > 0.036  # an open hand, also after an episode that shut it
        assert np.ptp(columns['action'][:, -1]) > 0.03  # the gripper closes
        lag = np.abs(columns['action'] - columns['observation.state'])[:, :-1].max()
        assert 0.0 < lag < 0.3  # what was sent, and not what was measured
    (tmp_path / 'recipe.yaml').write_text(yaml.safe_dump(SHORT))
    run('train', 'policy', '--data', folder, '--robot', 'fr3', '--config',
        tmp_path / 'recipe.yaml', '--out', out, '--device', 'cpu')
    simulator = Simulator(load_robot_spec('fr3'))
    known = next(seed for seed in range(TEST_SEED_START, TEST_SEED_START + 50)
                 if simulator.reset(seed).instruction in dataset.tasks.values())
    run('evaluate-demo', '--checkpoint', out / 'checkpoint', '--trials', '1', '--seed-start',
        known, '--out', tmp_path / 'trials')
    figures = json.loads((tmp_path / 'trials' / 'summary.json').read_text())
    assert figures['policy']['trials'] == 1
