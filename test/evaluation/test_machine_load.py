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

from __future__ import annotations

from pathlib import Path

from faster_ros.evaluation.machine_load import MachineLoad


def test_the_share_that_the_host_takes_is_of_the_time_since_the_start(tmp_path: Path) -> None:
    stat = tmp_path / 'stat'
    stat.write_text('cpu  100 0 50 800 5 0 0 45 0 0\ncpu0 1 2 3\n')
    load = MachineLoad(stat)
    stat.write_text('cpu  130 0 60 840 5 0 0 65 0 0\ncpu0 1 2 3\n')
    assert load.figures()['taken_by_host'] == 0.2


def test_a_kernel_that_does_not_tell_gives_an_unknown_share(tmp_path: Path) -> None:
    assert MachineLoad(tmp_path / 'none').figures()['taken_by_host'] is None
