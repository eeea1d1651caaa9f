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
"""The demo of each family of arms and of each task, led by the expert, over the real topics."""

import json
import os
import signal
import subprocess
import sys

import pytest
from ros_process import own_domain, ROOT

_DEADLINE_S = 300.0  # about 25 s are needed on a quiet machine with two cores


def demo(robot, out, task='pick'):
    """Run one trial; returns what was printed and the summary."""
    command = [sys.executable, '-m', 'faster_ros.cli.main', 'demo', '--robot', robot, '--task',
               task, '--trials', '1', '--video', 'false', '--out', str(out)]
    environment = os.environ | {'ROS_DOMAIN_ID': str(own_domain()), 'PYTHONPATH': str(ROOT),
                                'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        printed, _ = process.communicate(timeout=_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # which ends its nodes as well
        printed, _ = process.communicate(timeout=60.0)
    logs = ''.join(f'--- {log.name}\n{log.read_text()}' for log in sorted(out.glob('log/*')))
    assert process.returncode == 0, f'{printed}\n{logs}'
    return printed, json.loads((out / 'summary.json').read_text())


@pytest.mark.slow
@pytest.mark.parametrize('robot', ['ur5e', 'piper', 'panda', 'cobot_magic'])
def test_the_expert_picks_a_cube_over_the_topics_of_the_robot(robot, tmp_path):
    printed, summary = demo(robot, tmp_path)
    assert '   1/1  expert: pick up the ' in printed
    assert summary['led_by'] == 'the scripted expert, no policy'
    assert summary['successes'] == 1, printed
    assert summary['wrong_cube'] == 0


@pytest.mark.slow
def test_the_expert_puts_two_cubes_into_the_bin_in_the_time_of_that_task(tmp_path):
    printed, summary = demo('fr3', tmp_path, 'bin_two')
    assert ' and then the ' in printed
    assert (summary['successes'], summary['wrong_cube']) == (1, 0), printed
    assert summary['time_limit_s'] == 32.0
