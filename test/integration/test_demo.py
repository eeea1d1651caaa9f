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
"""The demo as a person runs it: real nodes, real time, the policy of the package."""

import json
import os
from pathlib import Path
import subprocess
import sys

import av
from faster_ros.bringup import default_checkpoint
import pytest
from ros_process import own_domain, ROOT

TRIALS = 2


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    if not Path(default_checkpoint()).is_dir():
        pytest.skip('the package has no checkpoint yet')
    out = tmp_path_factory.mktemp('demo')
    done = subprocess.run(
        [sys.executable, '-m', 'faster_ros.cli.main', 'demo', '--trials', str(TRIALS), '--out',
         str(out)], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
        env=os.environ | {'ROS_DOMAIN_ID': str(own_domain()), 'PYTHONPATH': str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    return out, done.stdout


@pytest.mark.slow
def test_the_demo_prints_a_line_per_trial_and_a_summary(demo):
    out, printed = demo
    for number in range(1, TRIALS + 1):
        assert f'   {number}/{TRIALS}  pick up the ' in printed
    for words in ('success', 'wrong cube lifted', 'camera stamp to chunk', 'starved',
                  'command period deviation', 'camera frames received', str(out / 'report.html'),
                  str(out / 'video.mp4'), str(out / 'summary.json')):
        assert words in printed


@pytest.mark.slow
def test_the_summary_holds_every_figure(demo):
    summary = json.loads((demo[0] / 'summary.json').read_text())
    assert summary['trials'] == TRIALS == len(summary['per_trial'])
    assert summary['seeds'] == [1_000_000, 1_000_001]
    assert summary['successes'] >= 1
    interval = summary['success_interval']
    assert interval['low'] < summary['success_rate'] <= interval['high']
    for name in ('inference_ms', 'capture_to_chunk_ms', 'command_period_deviation_ms'):
        figures = summary[name]
        assert 0.0 <= figures['p50'] <= figures['p99'] <= figures['maximum'], name
    for name in ('late_steps', 'starved_ticks', 'wrong_cube'):
        assert summary[name] >= 0, name
    for camera in ('front', 'wrist'):
        assert summary['camera_frames'][camera]['received'] > 20
    assert summary['versions']['numpy']


@pytest.mark.slow
def test_the_video_and_the_report_can_be_opened(demo):
    with av.open(str(demo[0] / 'video.mp4')) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        assert sum(1 for _ in container.decode(stream)) > 10
    report = (demo[0] / 'report.html').read_text()
    assert report.count('data:image/png;base64,') == 3
    assert report.count('data:image/jpeg;base64,') == TRIALS
    assert 'http' not in report.split('</style>')[1].split('<img')[0]
