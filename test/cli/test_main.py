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
"""The command faster_ros: what it starts and what it says about a wrong call."""

from pathlib import Path
import subprocess
import sys

from faster_ros.bringup import GRAPHS
from faster_ros.cli import main as cli, runner
from faster_ros.graph_parts import as_text
from faster_ros.robot_spec import robot_names
import pytest


@pytest.fixture
def started(monkeypatch):
    """Keep the processes that a job would start."""
    graphs = []

    class NoRunner:

        def __init__(self, processes, log_folder):
            graphs.append((processes, log_folder))

        def run(self):
            return 0

    monkeypatch.setattr(runner, 'Runner', NoRunner)
    return graphs


def test_demo_starts_the_demo_graph(started, tmp_path):
    assert cli.main(['demo', '--trials', '3', '--checkpoint', str(tmp_path),
                     '--out', str(tmp_path / 'out')]) == 0
    ((processes, log_folder),) = started
    assert [process.executable for process in processes] == [
        'sim_node', 'policy_node', 'control_node', 'demo_node']
    assert processes[-1].parameters['trials'] == 3
    assert processes[1].parameters['checkpoint'] == str(tmp_path)
    assert log_folder == tmp_path / 'out' / 'log'


def test_bringup_takes_arguments_as_launch_does(started, tmp_path):
    assert cli.main(['bringup', 'policy', 'robot:=fr3', f'checkpoint:={tmp_path}']) == 0
    ((processes, log_folder),) = started
    assert [process.executable for process in processes] == [
        'doctor_node', 'policy_node', 'control_node']
    assert log_folder is None


def test_a_policy_server_takes_the_place_of_a_folder(started):
    assert cli.main(['bringup', 'policy', 'checkpoint:=ws://gpu.lab:8000']) == 0
    ((processes, _),) = started
    assert [process.parameters.get('checkpoint') for process in processes] == [
        'ws://gpu.lab:8000', 'ws://gpu.lab:8000', None]


@pytest.mark.parametrize(('words', 'reason'), [
    (['demo', '--checkpoint', '/no/such'], 'expected a trained policy in the folder /no/such'),
    (['demo', '--checkpoint', '/no/such.yaml'], 'policy server file /no/such.yaml does not exist'),
    (['demo', '--trials', 'ten'], "argument 'trials' (number of layouts to pick from; 0 only "
                                  'starts the nodes, -1 takes 10 for a policy and 3 for the '
                                  "expert): expected a whole number, got 'ten'"),
    (['bringup', 'policy', 'robot=fr3'], "expected NAME:=VALUE, got 'robot=fr3'"),
    (['bringup', 'policy', 'trials:=1'], "unknown argument 'trials'; expected robot"),
    (['bringup', 'policy', 'robot:=ur5'], "robot 'ur5' is unknown; expected one of agx_piper"),
])
def test_a_wrong_call_is_one_line_and_starts_nothing(started, capsys, words, reason):
    assert cli.main(words) == 1
    assert reason in capsys.readouterr().err
    assert started == []


@pytest.mark.parametrize(('words', 'reason'), [
    (['robot:=ur5'], "robot 'ur5' is unknown"),
    (['--robot', 'ur5'], "robot 'ur5' is unknown"),
    (['robt:=fr3'], "unknown argument 'robt'; expected robot, checkpoint, joint_prefix"),
    (['fr3'], "expected NAME:=VALUE, got 'fr3'"),
    (['robot:=fr3', '--seconds', '0'], '--seconds: expected 0.5 to 60, got 0'),
])
def test_a_doctor_that_cannot_examine_ends_with_3(capsys, words, reason):
    assert cli.main(['doctor', *words]) == 3
    assert reason in capsys.readouterr().err


def test_show_args_describes_every_argument_of_a_graph(started, capsys):
    assert cli.main(['bringup', 'policy', '--show-args']) == 0
    shown = capsys.readouterr().out
    for argument in GRAPHS['policy'].arguments:
        assert f"'{argument.name}' (default '{as_text(argument.default)}')" in shown
        assert argument.description in shown
    assert 'One of: auto, cpu, cuda.' in shown
    assert all(robot in shown for robot in robot_names())
    assert started == []


def test_an_unknown_option_is_named(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(['demo', '--trails', '3'])
    assert caught.value.code == 2
    assert '--trails' in capsys.readouterr().err


@pytest.mark.parametrize('module', ['rclpy', 'torch', 'mujoco', 'matplotlib'])
def test_help_imports_nothing_heavy(module):
    program = ('import sys\nfrom faster_ros.cli.main import main\n'
               'try:\n    main(["--help"])\nexcept SystemExit:\n    pass\n'
               f'sys.exit({module!r} in sys.modules)')
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, '-c', program], cwd=root, check=False,
                          stdout=subprocess.DEVNULL).returncode == 0
