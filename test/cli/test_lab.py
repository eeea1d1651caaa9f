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
"""The job `faster_ros lab`: replays, files, mistakes."""

from faster_ros.cli.lab import main
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest


def test_the_command_replays_a_recorded_episode_and_writes_figures_and_a_plot(tmp_path, capsys):
    spec = load_robot_spec('fr3')
    rows = spec.home_positions + 0.1 * np.sin(np.linspace(0, 6, 150))[:, None] * spec.arm_mask
    np.savez(tmp_path / 'two.npz', data=np.vstack([rows, rows]), lengths=[150, 150], rate_hz=30.0,
             dims=np.array(spec.joint_names))
    out = tmp_path / 'out'
    assert main(['--recording', str(tmp_path / 'two.npz'), '--episode', '1', '--seeds', '1',
                 '--rules', 'average', 'smooth', '--out', str(out)], tmp_path) == 0
    assert 'smooth' in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {'open_loop.json', 'open_loop.png'}


@pytest.mark.parametrize('arguments, message', [
    (['--rules', 'linear'], "--rules: 'linear' is unknown; expected some of synchronous"),
    (['--recording', 'none.npz'], 'none.npz'),
])
def test_a_mistake_is_named(arguments, message, tmp_path):
    with pytest.raises((ValueError, OSError), match=message):
        main([*arguments, '--out', str(tmp_path)], tmp_path)
