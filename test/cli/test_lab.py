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

import json

from faster_ros.cli.lab import main
from faster_ros.robot_spec import config_path, load_robot_spec
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


@pytest.mark.slow
def test_the_closed_loop_goes_on_where_it_was_ended(tmp_path, capsys):
    checkpoint = config_path('faster_ros/checkpoints/fr3_pick')
    arguments = ['--closed-loop', '--rules', 'smooth', '--trials', '1', '--workers', '1',
                 '--drift', '0.02', '--out', str(tmp_path)]
    assert main([*arguments, '--delays', '0'], checkpoint) == 0
    path = tmp_path / 'closed_loop.json'
    first = json.loads(path.read_text())['cells']
    path.write_text(json.dumps({'cells': [{**cell, 'kept': True} for cell in first]}))
    assert main([*arguments, '--delays', '0', '0.3'], checkpoint) == 0
    cells = json.loads(path.read_text())['cells']
    assert [cell['subject'] for cell in cells] == ['the expert alone', *['the policy'] * 2]
    assert [cell['execution']['delay_s'] for cell in cells] == [0.0, 0.0, 0.3]
    assert [cell.get('kept') for cell in cells] == [True, True, None]  # told from a new run
    assert "of the expert's jerk" in capsys.readouterr().out
    assert cells[0]['execution']['drift_m_s'] == 0.02


@pytest.mark.parametrize('arguments, message', [
    (['--rules', 'linear'], "--rules: 'linear' is unknown; expected some of synchronous"),
    (['--recording', 'none.npz'], 'none.npz'),
])
def test_a_mistake_is_named(arguments, message, tmp_path):
    with pytest.raises((ValueError, OSError), match=message):
        main([*arguments, '--out', str(tmp_path)], tmp_path)
