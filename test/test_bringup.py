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
"""The node graph and what starts it: launch and runner agree, and everything ends together."""

from dataclasses import replace
import fcntl
import importlib.util
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time
from types import ModuleType, SimpleNamespace

from faster_ros import bringup
from faster_ros.bringup import command, GRAPHS, Process
from faster_ros.cli import runner
from faster_ros.cli.runner import Runner
from faster_ros.cli.shared_memory import SharedMemoryJanitor
from faster_ros.robot_spec import robot_names
import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    'launch': ['LaunchDescription'],
    'launch.actions': ['DeclareLaunchArgument', 'OpaqueFunction', 'SetEnvironmentVariable',
                       'Shutdown'],
    'launch.substitutions': ['LaunchConfiguration'],
    'launch_ros': [],
    'launch_ros.actions': ['Node'],
    'launch_ros.parameter_descriptions': ['ParameterValue'],
}


def recorded(name):
    """Return a stand-in for a class of launch that only remembers its arguments."""
    def make(*args, **kwargs):
        read = (lambda context: context[args[0]]) if name == 'LaunchConfiguration' else None
        return SimpleNamespace(kind=name, args=args, perform=read, **kwargs)
    return make


@pytest.fixture
def launch(monkeypatch):
    """Stand in for the ROS packages launch and launch_ros, which are not on PyPI."""
    for module_name, names in MODULES.items():
        module = ModuleType(module_name)
        for name in names:
            setattr(module, name, recorded(name))
        monkeypatch.setitem(sys.modules, module_name, module)
    monkeypatch.delitem(sys.modules, 'faster_ros.nodes.launching', raising=False)
    yield
    sys.modules.pop('faster_ros.nodes.launching', None)


def described(graph):
    """Load a launch file as ros2 launch does; returns its description's entities."""
    path = ROOT / 'launch' / f'{graph}.launch.py'
    spec = importlib.util.spec_from_file_location(f'{graph}_launch', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description().args[0]


def as_command(node):
    """Return the command line that a launch_ros Node stands for."""
    parameters = {name: wrapped.args[0] for name, wrapped in node.parameters[0].items()}
    assert all(wrapped.value_type is type(wrapped.args[0])
               for wrapped in node.parameters[0].values())
    assert (node.package, node.name) == ('faster_ros', node.executable)
    nice = int(getattr(node, 'prefix', 'nice -n 0').removeprefix('nice -n '))
    return command(Process(node.executable, parameters, node.namespace, tuple(node.remappings),
                           nice=nice))


@pytest.mark.parametrize(('graph', 'typed'), [
    ('policy', {}),
    ('policy', {'robot': 'fr3', 'checkpoint': '/tmp/a policy', 'device': 'cpu',
                'namespace': 'left', 'compressed': 'true'}),
    ('policy', {'robot': 'ur5e', 'joint_prefix': 'left_', 'driver_namespace': 'left',
                'dry_run': 'true', 'require_doctor': 'false'}),
    ('evaluate', {'robot': 'ur5e', 'folder': '/tmp/x', 'joint_prefix': 'left_'}),
    ('evaluate', {'simulated': 'true', 'attended': 'false', 'folder': '/tmp/x'}),
    ('record', {}),
    ('record', {'robot': 'cobot_magic', 'teleop': 'cobot_magic_leader', 'task': 'fold it'}),
    ('record', {'simulated': 'true', 'checkpoint': '/tmp/a policy', 'folder': '/tmp/set',
                'bag': 'all', 'fps': '15'}),
    ('demo', {}),
    ('demo', {'trials': '0'}),
    ('demo', {'trials': '3', 'seed_start': '1000100', 'out': '/tmp/x'}),
])
def test_launch_file_and_runner_start_the_same_commands(launch, graph, typed):
    entities = described(graph)
    texts = {entity.args[0]: entity.default_value for entity in entities
             if entity.kind == 'DeclareLaunchArgument'} | typed
    (start,) = [entity for entity in entities if entity.kind == 'OpaqueFunction']
    nodes = start.function(texts)
    processes = GRAPHS[graph].processes(typed)
    assert [as_command(node) for node in nodes] == [command(process) for process in processes]
    for node, process in zip(nodes, processes):
        assert hasattr(node, 'on_exit') == process.required
    variables = {entity.args[0]: entity.args[1] for entity in entities
                 if entity.kind == 'SetEnvironmentVariable'}
    assert variables == bringup.environment()


@pytest.mark.parametrize('graph', sorted(GRAPHS))
def test_every_launch_argument_is_described(launch, graph):
    arguments = [entity for entity in described(graph) if entity.kind == 'DeclareLaunchArgument']
    assert [entity.args[0] for entity in arguments] == [
        argument.name for argument in GRAPHS[graph].arguments]
    for entity, argument in zip(arguments, GRAPHS[graph].arguments):
        assert entity.description == argument.description
        assert tuple(entity.choices or ()) == argument.choices
        assert entity.default_value == bringup.as_text(argument.default)
    assert all(robot in arguments[0].description for robot in robot_names())


def test_the_doctor_stands_before_the_arm_on_a_robot_and_not_in_the_demo():
    doctor, policy, control = GRAPHS['policy'].processes({'robot': 'ur5e', 'dry_run': 'true'})
    assert [process.name for process in (doctor, policy, control)] == [
        'doctor_node', 'policy_node', 'control_node']
    assert control.parameters['require_doctor'] and not doctor.required
    assert doctor.parameters['dry_run'] and control.parameters['dry_run']
    without = GRAPHS['policy'].processes({'require_doctor': 'false'})
    for graph in (without, GRAPHS['demo'].processes({})):
        assert 'doctor_node' not in [process.name for process in graph]
        (control,) = [process for process in graph if process.name == 'control_node']
        assert not control.parameters['require_doctor']


def test_with_a_policy_the_person_stands_between_it_and_the_arm():
    texts = {'simulated': 'true', 'checkpoint': '/tmp/p', 'teleop': 'gamepad', 'task': 'pick'}
    nodes = {process.name: process for process in GRAPHS['record'].processes(texts)}
    assert list(nodes) == ['sim_node', 'policy_node', 'control_node', 'teleop_node',
                           'recorder_node']
    assert nodes['policy_node'].remappings == (
        ('policy/chunk', 'autonomy/chunk'), ('policy/problem', 'autonomy/problem'),
        ('policy/fresh_until', 'autonomy/fresh_until'))
    assert nodes['teleop_node'].parameters['policy'] is True
    assert nodes['recorder_node'].parameters['button_topic'] == '/joy'
    alone = {process.name: process for process in GRAPHS['record'].processes({})}
    assert list(alone) == ['doctor_node', 'control_node', 'teleop_node', 'recorder_node']
    assert alone['control_node'].parameters['require_doctor'] is True


def test_every_node_of_the_policy_graph_is_told_the_same_robot():
    typed = {'robot': 'ur5e', 'joint_prefix': 'left_', 'driver_namespace': 'left',
             'namespace': 'left'}
    for process in GRAPHS['policy'].processes(typed):
        assert {name: process.parameters[name] for name in
                ('robot', 'joint_prefix', 'driver_namespace')} == {
            name: typed[name] for name in ('robot', 'joint_prefix', 'driver_namespace')}
        assert process.namespace == 'left'


def test_executables_are_the_modules_that_setup_installs():
    setup = (ROOT / 'setup.py').read_text()
    for graph in GRAPHS.values():
        for process in graph.build():
            module = f'faster_ros.nodes.{process.executable}'
            assert f'{process.executable} = {module}:main' in setup


@pytest.mark.parametrize(('typed', 'reason'), [
    ({'robt': 'fr3'}, "unknown argument 'robt'; expected robot, checkpoint"),
    ({'trials': 'many'}, "argument 'trials' .*: expected a whole number, got 'many'"),
    ({'robot': 'fr4'}, "robot 'fr4' is unknown; expected one of agx_piper"),
    ({'device': 'tpu'}, "argument 'device' .*: expected one of auto, cpu, cuda, got 'tpu'"),
])
def test_a_wrong_argument_is_named(typed, reason):
    with pytest.raises(ValueError, match=reason):
        GRAPHS['demo'].processes(typed)


def test_texts_stay_texts_on_the_command_line():
    words = command(Process('sim_node', {'robot': 'yes', 'path': 'a "b" c', 'rate': 30.0,
                                         'on': True}, 'left'))
    assert words[words.index('-r'):] == [
        '-r', '__node:=sim_node', '-r', '__ns:=/left', '-p', 'robot:="yes"', '-p',
        'path:="a \\"b\\" c"', '-p', 'rate:=30.0', '-p', 'on:=true']


def test_the_fast_dds_profile_is_set_unless_the_user_has_one(monkeypatch):
    for name in ('ROS_DISTRO', 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)
    (path,) = bringup.environment().values()
    assert Path(path).name == 'fastdds_large_images.xml'
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/mine.xml')
    assert bringup.environment() == {}
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    assert list(bringup.environment()) == ['FASTRTPS_DEFAULT_PROFILES_FILE']


# The runner, with small programs in place of the nodes.

SLEEP = 'import time\nprint("up", flush=True)\ntime.sleep(60)'
DEAF = 'import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n' + SLEEP
PARENT = ('import subprocess, sys\n'
          'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])\n'
          'print("child", child.pid, flush=True)\nchild.wait()')
FAIL = 'import time, sys\ntime.sleep(0.5)\nprint("no such camera")\nsys.exit(3)'


@pytest.fixture
def programs(monkeypatch):
    """Let the executable of a Process be the text of a program."""
    monkeypatch.setattr(runner, 'command',
                        lambda process: [sys.executable, '-c', process.executable])


def alive(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_when_a_required_node_dies_all_end_and_it_is_named(programs, capfd):
    graph = Runner([Process(SLEEP), Process(FAIL), Process(SLEEP, required=False)])
    start = time.monotonic()
    assert graph.run() == 3
    assert time.monotonic() - start < 30.0  # the others sleep for 60 s
    assert not any(alive(pid) for pid in graph.pids.values())
    message = capfd.readouterr().err
    assert 'ended with code 3, so everything was stopped' in message
    assert 'no such camera' in message


def test_a_node_that_is_not_required_may_end(programs):
    graph = Runner([Process('print(1)', required=False), Process('import time; time.sleep(1)')])
    start = time.monotonic()
    assert graph.run() == 0
    assert time.monotonic() - start > 0.9


def test_a_node_that_ignores_signals_is_killed(programs, monkeypatch):
    monkeypatch.setattr(runner, '_PATIENCE_S', tuple(
        (number, 0.4) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)))
    graph = Runner([Process(DEAF), Process(FAIL)])
    assert graph.run() == 3
    assert not any(alive(pid) for pid in graph.pids.values())


def test_a_deaf_program_that_a_node_started_is_killed_after_the_node(programs, monkeypatch, capfd):
    monkeypatch.setattr(runner, '_PATIENCE_S', tuple(
        (number, 0.4) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)))
    deaf = PARENT.replace('import time;', 'import signal, time; signal.signal(2, signal.SIG_IGN); '
                          'signal.signal(15, signal.SIG_IGN);')
    assert Runner([Process(deaf), Process(FAIL)]).run() == 3
    (pid,) = re.findall(r'\] child (\d+)', capfd.readouterr().out)
    assert not alive(int(pid))


def test_what_a_node_started_ends_with_it(programs, capfd):
    graph = Runner([Process(PARENT), Process(FAIL)])
    assert graph.run() == 3
    (pid,) = re.findall(r'\] child (\d+)', capfd.readouterr().out)
    assert not alive(int(pid))


def test_with_a_log_folder_only_the_fatal_and_the_foreground_reach_the_screen(
        programs, capsys, tmp_path):
    talk = 'print("[INFO] fine")\nprint("[FATAL] bad")'
    loud = replace(Process('import time\ntime.sleep(0.5)\nprint("trial 1")'), foreground=True)

    class Named(Process):
        name = 'talker'

    assert Runner([Named(talk, required=False), loud], tmp_path, screen=sys.stdout).run() == 0
    shown = capsys.readouterr().out
    assert shown == '[talker] [FATAL] bad\ntrial 1\n'
    assert (tmp_path / 'talker.log').read_text() == '[INFO] fine\n[FATAL] bad\n'


GRAPH = """
import sys
from faster_ros.bringup import Process
from faster_ros.cli.runner import Runner
graph = Runner([Process('sim_node', {'robot': 'fr3'}), Process('control_node', {'robot': 'fr3'})])
sys.exit(graph.run())
"""


class RealGraph:
    """sim_node and control_node under a runner in a process of its own."""

    def __init__(self, log):
        domain = 101 + (os.getpid() + time.monotonic_ns() // 1000) % 100
        self.log = log
        with log.open('w') as output:
            self.popen = subprocess.Popen(
                [sys.executable, '-c', GRAPH], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT,
                env=os.environ | {'ROS_DOMAIN_ID': str(domain), 'PYTHONPATH': str(ROOT),
                                  'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                                  'PYTHONUNBUFFERED': '1'})
        self.wait_for('physics 250 Hz')
        self.wait_for('disarmed')
        children = Path(f'/proc/{self.popen.pid}/task/{self.popen.pid}/children')
        self.pids = [int(pid) for pid in children.read_text().split()]
        assert len(self.pids) == 2
        self.shared = {name for pid in self.pids for name in mapped(pid)}
        assert self.shared

    def wait_for(self, text, seconds=120.0):
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def wait_until_gone(self, seconds=60.0):
        deadline = time.monotonic() + seconds
        while any(alive(pid) for pid in self.pids):
            assert time.monotonic() < deadline, 'a node is left over'
            time.sleep(0.05)

    def left_in_shared_memory(self):
        """Return the segments of these nodes (not the ports, which domains may share)."""
        return {name for name in self.shared if Path('/dev/shm', name).exists()
                and 'port' not in name}


def mapped(pid):
    """Return the names of the Fast DDS files that a process has mapped."""
    lines = Path(f'/proc/{pid}/maps').read_text().splitlines()
    return {line.rsplit('/', 1)[1] for line in lines if '/dev/shm/fastdds' in line}


def test_ctrl_c_leaves_no_process_and_no_shared_memory(tmp_path):
    graph = RealGraph(tmp_path / 'log')
    graph.popen.send_signal(signal.SIGINT)
    assert graph.popen.wait(60.0) == 128 + signal.SIGINT
    graph.wait_until_gone()
    assert graph.left_in_shared_memory() == set()
    assert 'Traceback' not in graph.log.read_text()


def test_a_killed_node_takes_the_others_and_its_shared_memory_with_it(tmp_path):
    graph = RealGraph(tmp_path / 'log')
    os.kill(graph.pids[0], signal.SIGKILL)
    assert graph.popen.wait(60.0) == 128 + signal.SIGKILL
    graph.wait_until_gone()
    assert graph.left_in_shared_memory() == set()
    assert 'sim_node ended with signal SIGKILL' in graph.log.read_text()


def test_a_killed_runner_takes_its_nodes_with_it(tmp_path):
    graph = RealGraph(tmp_path / 'log')
    graph.popen.kill()
    graph.popen.wait(5.0)
    graph.wait_until_gone()
    assert graph.left_in_shared_memory() == set()


# What is removed from /dev/shm.

def test_only_new_and_unused_files_are_removed(tmp_path):
    (tmp_path / 'fastdds_0123').touch()
    janitor = SharedMemoryJanitor(tmp_path)
    for name in ('fastdds_dead', 'fastdds_dead_el', 'sem.fastdds_port7_mutex', 'other',
                 'fastdds_open', 'fastdds_open_el', 'fastdds_lock', 'fastdds_lock_el'):
        (tmp_path / name).touch()
    with (tmp_path / 'fastdds_open').open(), (tmp_path / 'fastdds_lock_el').open() as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert janitor.clean() == ['fastdds_dead', 'fastdds_dead_el', 'sem.fastdds_port7_mutex']
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'fastdds_0123', 'fastdds_lock', 'fastdds_lock_el', 'fastdds_open', 'fastdds_open_el',
        'other']
