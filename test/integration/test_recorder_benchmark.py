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
"""The benchmark of the recorder, over real topics and short, whatever this machine's times are."""

import json
import subprocess
import sys

import pytest
from ros_process import ROOT


@pytest.mark.slow
def test_every_saved_image_is_the_published_one_of_its_stamp_and_the_skew_is_right(tmp_path):
    out = tmp_path / 'recorder.json'
    done = subprocess.run(
        [sys.executable, '-m', 'faster_ros.cli.main', 'recorder-benchmark', '--seconds', '8',
         '--episode', '4', '--out', str(out)], cwd=ROOT, capture_output=True, text=True,
        timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(out.read_text())
    assert figures['episodes'] >= 1  # a busy machine has no time for a second one
    assert figures['rows'] > 0
    assert figures['images_beside_another_stamp'] == 0
    assert figures['skew_error_ms_max'] <= 2.0
    assert figures['rows_of_several_triggers'] < figures['rows']
    assert figures['joint_states_missing'] < figures['joint_states_published']
    assert figures['bag_dropped'] >= 0
