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
"""The demo of each family of arms, led by the expert: its own adapter, topics and rules."""

import json
import os
import subprocess
import sys

import pytest
from ros_process import own_domain, ROOT


@pytest.mark.slow
@pytest.mark.parametrize('robot', ['panda', 'ur5e', 'piper', 'agx_piper'])
def test_the_expert_picks_a_cube_over_the_topics_of_the_arm(robot, tmp_path):
    done = subprocess.run(
        [sys.executable, '-m', 'faster_ros.cli.main', 'demo', '--robot', robot, '--trials', '1',
         '--video', 'false', '--out', str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        timeout=240, check=False,
        env=os.environ | {'ROS_DOMAIN_ID': str(own_domain()), 'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert '   1/1  expert: pick up the ' in done.stdout
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['led_by'] == 'the scripted expert, no policy'
    assert summary['successes'] == 1, done.stdout
    assert summary['wrong_cube'] == 0
