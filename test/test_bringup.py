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
"""The node graph: launch file and runner start the same."""

import importlib.util
from pathlib import Path
import sys
from types import ModuleType, SimpleNamespace

from faster_ros import bringup
from faster_ros.bringup import GRAPHS
from faster_ros.graph_parts import as_text, command, Process
from faster_ros.robot_spec import load_robot_spec, robot_names
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
    ('record', {'simulated': 'true', 'teleop': 'scripted_leader', 'demonstrations': '2',
                'folder': '/tmp/set', 'fps': '20'}),
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
        assert entity.default_value == as_text(argument.default)
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
    assert [process.name for process in alone.values() if process.nice] == ['recorder_node']
    assert alone['control_node'].parameters['require_doctor'] is True


def test_a_script_leads_only_the_simulated_robot_and_sees_small_images(tmp_path):
    texts = {'demonstrations': '3', 'teleop': 'scripted_leader', 'folder': str(tmp_path / 'set'),
             'fps': '20'}
    with pytest.raises(ValueError, match='demonstrations:=3 are led by a script and need simul'):
        GRAPHS['record'].processes(texts)
    nodes = {process.name: process
             for process in GRAPHS['record'].processes({**texts, 'simulated': 'true'})}
    assert nodes['demonstrator_node'].foreground
    assert nodes['demonstrator_node'].parameters['episodes'] == 3
    files = {process.parameters['robot'] for process in nodes.values()}
    assert len(files) == 1
    camera = load_robot_spec(files.pop()).cameras['front']
    assert (camera.width, camera.height, camera.rate_hz) == (320, 240, 20.0)


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
