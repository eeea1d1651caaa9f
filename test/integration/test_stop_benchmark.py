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
"""The benchmark of stops, over real topics: once each, whatever this machine's times are."""

import json
import subprocess
import sys

import pytest
from ros_process import ROOT


@pytest.mark.slow
def test_it_measures_each_event_and_writes_the_figures(tmp_path):
    out = tmp_path / 'stop.json'
    done = subprocess.run(
        [sys.executable, '-m', 'faster_ros.cli.main', 'stop-benchmark', '--repetitions', '3',
         '--out', str(out)], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    events = json.loads(out.read_text())['events']
    assert sorted(events) == ['camera', 'policy', 'states', 'stop']
    for event, figures in events.items():
        reaction, last = (figures[name]['p50_ms'] for name in ('reaction', 'last'))
        assert figures['reaction']['count'] == 3
        assert figures['braking']['p50_ms'] > 50
        # A stop is one message; a hold goes on with commands that brake.
        assert 0 < reaction == last if event == 'stop' else 0 < reaction < last
