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
"""
The node graph of each job, described once.

``launch/*.launch.py`` and the command ``faster_ros bringup`` (cli/runner.py) start what stands
here and nothing else: the first by ``nodes/launching.py``, the second by ``command`` of
``graph_parts.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

from faster_ros.graph_parts import Argument, Graph, Process, Value
from faster_ros.robot_spec import (
    config_path,
    load_robot_spec,
    NO_TOPIC,
    robot_names,
    RobotSpec,
)
from faster_ros.teleop.teleop_spec import load_teleop_spec, teleop_names
import yaml

VIDEO_RATE_HZ = 10.0  # of the demo's video
_POLICY_TRIALS, _EXPERT_TRIALS = 10, 3
_STATE_MAX_AGE_S = 0.2
_RECORD_HZ, _RECORD_SIMULATED_HZ = 30, 10  # a simulation shares its processors with the encoder
_GRIPPER_TOPICS = ('joint_trajectory', 'forward_position', 'joint_state')
_NICE_RECORDER = 5  # what drives the arm goes before what records it
_FAST_DDS_PROFILE = 'config/fastdds_large_images.xml'


def default_checkpoint() -> str:
    """Return the folder of the policy that comes with the package."""
    return str(Path(__file__).resolve().parent / 'checkpoints' / 'fr3_pick')


TASKS = ('pick', 'bin', 'bin_two')  # of the simulation, whose code is not imported here
ROBOT_ARGUMENTS = (
    Argument('robot', 'fr3', f'{", ".join(robot_names())}, or the path of a YAML file'),
    Argument('checkpoint', '', 'folder of the trained policy, or address (ws://, wss://) or YAML '
             'file of a policy server; empty takes the one of the package'),
)
ARM_ARGUMENTS = (
    Argument('joint_prefix', '', 'what the driver puts before its joint names, such as left_'),
    Argument('driver_namespace', '', 'namespace of the driver, before the topics of arm, gripper'),
    Argument('compressed', False, 'take the images from <camera topic>/compressed'),
    Argument('dry_run', False, 'command only shadow topics, /dry_run/<topic>'),
)
DEVICE = Argument('device', 'auto', 'where the policy runs', ('auto', 'cpu', 'cuda'))
REQUIRE_DOCTOR = Argument('require_doctor', True,
                          'refuse to arm while the doctor has a critical line')
POLICY_ARGUMENTS = (
    *ROBOT_ARGUMENTS,
    DEVICE,
    Argument('prompt', '', 'the task in words, until /instruction says another'),
    Argument('namespace', '', 'namespace of the nodes: one for each arm'),
    *ARM_ARGUMENTS,
    REQUIRE_DOCTOR,
)
DEMO_ARGUMENTS = (
    *ROBOT_ARGUMENTS,
    DEVICE,
    Argument('task', TASKS[0], f'what is asked of the arm; the policy of the package knows '
             f'{TASKS[0]}, the expert leads in others unless checkpoint names one that knows them',
             TASKS),
    Argument(
        'trials',
        -1,
        'number of layouts to pick from; 0 only starts the nodes, -1 takes '
        f'{_POLICY_TRIALS} for a policy and {_EXPERT_TRIALS} for the expert',
    ),
    Argument('seed_start', 1_000_000, 'seed of the first layout; those of training are smaller'),
    Argument('out', 'out/demo', 'folder of summary.json, report.html and video.mp4'),
    Argument('video', True, 'write video.mp4; without it the expert needs no images'),
)
EVALUATE_ARGUMENTS = (
    ROBOT_ARGUMENTS[0],
    Argument('folder', 'out/eval', 'folder of the evaluation, made by faster_ros eval plan'),
    Argument('simulated', False, 'evaluate the simulated robot'),
    Argument('attended', True, 'a person starts, stops and judges; false leaves that to the '
             'simulator'),
    Argument('port', 8808, 'port of the page on this machine; 0 takes a free one'),
    Argument('record', -1, 'rows per second of the recording of every trial; 0 records none, -1 '
             f'takes {_RECORD_HZ}, simulated {_RECORD_SIMULATED_HZ}'),
    DEVICE,
    *ARM_ARGUMENTS,
    REQUIRE_DOCTOR,
)
RECORD_ARGUMENTS = (
    ROBOT_ARGUMENTS[0],
    Argument('teleop', 'gamepad', f'{", ".join(teleop_names())}, or the path of a YAML file'),
    Argument('task', '', 'what is done, in words, until /instruction says another'),
    Argument('folder', 'out/recorded', 'folder of the data set, made or continued'),
    Argument('checkpoint', '', 'folder of a policy that drives until a person takes over; empty: '
             'a person leads'),
    DEVICE,
    Argument('simulated', False, 'record the simulated robot'),
    Argument('demonstrations', 0, 'episodes that a scripted leader records of the simulated '
             'robot, with small images at fps; 0: a person leads'),
    Argument('displaced', 0.0, 'share of these that begin low beside the cube'),
    Argument('fps', 30, 'rows per second'),
    Argument('operator', '', 'who leads, for the record'),
    Argument('bag', 'without_images', 'what the raw bag of each episode holds',
             ('all', 'without_images', 'none')),
    Argument('gate', True, 'refuse to save an episode that the truth checks refuse'),
    *ARM_ARGUMENTS[:3],
    REQUIRE_DOCTOR,
)
DOCTOR_ARGUMENTS = (
    ROBOT_ARGUMENTS[0],
    Argument('checkpoint', '', 'folder of the trained policy; empty leaves it out'),
    *ARM_ARGUMENTS,
)


def policy_graph(
    robot: str = 'fr3', checkpoint: str = '', device: str = 'auto', prompt: str = '',
    namespace: str = '', require_doctor: bool = True, **arm: Value,
) -> list[Process]:
    """
    Return doctor, policy and control for a robot whose drivers run already.

    ``arm``: the values of ARM_ARGUMENTS.
    """
    texts = [str(arm.get(name, '')) for name in ('joint_prefix', 'driver_namespace')]
    load_robot_spec(robot, *texts)  # a wrong one is said before anything starts
    named = {'robot': robot, 'joint_prefix': texts[0], 'driver_namespace': texts[1]}
    images = {'compressed': arm.get('compressed', False)}
    dry_run = {'dry_run': arm.get('dry_run', False)}
    folder = {'checkpoint': checkpoint or default_checkpoint()}
    # When the doctor ends the arm goes on; the next ~/arm is refused.
    doctor = Process('doctor_node', {**named, **folder, **images, **dry_run}, namespace,
                     required=False)
    return [
        *([doctor] if require_doctor else []),
        Process('policy_node', {**named, **folder, 'device': device, 'instruction': prompt,
                                **images}, namespace),
        Process('control_node', {**named, **dry_run, 'require_doctor': require_doctor}, namespace),
    ]


def demo_graph(
    robot: str = 'fr3',
    checkpoint: str = '',
    device: str = 'auto',
    task: str = TASKS[0],
    trials: int = -1,
    seed_start: int = 1_000_000,
    out: str = 'out/demo',
    video: bool = True,
) -> list[Process]:
    """
    Return the simulated robot, its leader and control, and demo_node that runs the trials.

    The leader is a policy, or for a robot or a task without a checkpoint the scripted expert.
    """
    folder = Path(out).absolute()
    spec = load_robot_spec(robot)
    shipped = task == TASKS[0] and spec.joint_names == load_robot_spec('fr3').joint_names
    policy = bool(checkpoint) or shipped
    robot = _simulated(robot, spec, folder)
    leaders = policy_graph(robot, checkpoint, device, require_doctor=False)
    if not policy:
        leaders[0] = Process('expert_node', {'robot': robot, 'task': task})
    graph = [Process('sim_node', {'robot': robot, 'task': task,
                                  'compressed_rate_hz': VIDEO_RATE_HZ}), *leaders]
    if trials == 0:
        return graph
    if trials < 0:
        trials = _POLICY_TRIALS if policy else _EXPERT_TRIALS
    parameters: dict[str, Value] = {
        'robot': robot,
        'leader': leaders[0].name,
        'checkpoint': (checkpoint or default_checkpoint()) if policy else '',
        'trials': trials,
        'seed_start': seed_start,
        'out': str(folder),
        'video': video,
    }
    return [*graph, Process('demo_node', parameters, nice=10, foreground=True)]


def evaluate_graph(
    robot: str = 'fr3', folder: str = 'out/eval', simulated: bool = False, attended: bool = True,
    port: int = 8808, record: int = -1, device: str = 'auto', require_doctor: bool = True,
    **arm: Value,
) -> list[Process]:
    """
    Return evaluation_node, which starts the policy of each trial, recorder, doctor or simulator.

    ``arm``: the values of ARM_ARGUMENTS.
    """
    texts = [str(arm.get(name, '')) for name in ('joint_prefix', 'driver_namespace')]
    spec = load_robot_spec(robot, *texts)
    here = Path(folder).absolute()
    if simulated:
        robot = _simulated(robot, spec, here)
    if record < 0:
        record = _RECORD_SIMULATED_HZ if simulated else _RECORD_HZ
    named: dict[str, Value] = {
        'robot': robot, 'joint_prefix': texts[0], 'driver_namespace': texts[1],
        'compressed': arm.get('compressed', False)}
    told = named | {'dry_run': arm.get('dry_run', False)}
    examined = require_doctor and not simulated
    evaluation = Process(
        'evaluation_node', {**told, 'folder': str(here), 'simulated': simulated, 'device': device,
                            'attended': attended, 'port': port, 'require_doctor': examined,
                            'record': record > 0},
        foreground=True)
    recorder = Process('recorder_node', {**named, 'folder': str(here / 'recordings'),
                                         'fps': record, 'gate': False, 'policy_leads': True},
                       nice=_NICE_RECORDER)
    return [
        *([Process('sim_node', {'robot': robot})] if simulated else []),
        *([Process('doctor_node', told, required=False)] if examined else []),
        *([recorder] if record > 0 else []),
        evaluation,
    ]


_AUTONOMY = tuple((f'policy/{name}', f'autonomy/{name}')
                  for name in ('chunk', 'problem', 'fresh_until'))
_SCRIPTED = 'scripted_leader'
_TELEOP_BLEND_S = 0.06  # a person feels the delay of a seam, and gives no chunks to be joined


def record_graph(
    robot: str = 'fr3', teleop: str = 'gamepad', task: str = '', folder: str = 'out/recorded',
    checkpoint: str = '', simulated: bool = False, **given: Value,
) -> list[Process]:
    """
    Return teleoperation, control and recording, with a policy where a ``checkpoint`` is given.

    ``given``: the other values of RECORD_ARGUMENTS.
    """
    given = {argument.name: argument.default for argument in RECORD_ARGUMENTS} | given
    place = Path(folder).absolute()
    texts = [str(given[name]) for name in ('joint_prefix', 'driver_namespace')]
    spec = load_robot_spec(robot, *texts)
    if simulated:
        robot = _simulated(robot, spec, place.with_name(f'{place.name}_robot'),
                           int(given['fps']) if given['demonstrations'] else 0)
    named = {'robot': robot, 'joint_prefix': texts[0], 'driver_namespace': texts[1]}
    images = {'compressed': given['compressed']}
    if given['demonstrations'] and not (simulated and teleop == _SCRIPTED):
        raise ValueError(f"demonstrations:={given['demonstrations']} are led by a script and need "
                         f'simulated:=true and teleop:={_SCRIPTED}')
    doctor = bool(given['require_doctor']) and not simulated
    button = load_teleop_spec(teleop).record
    control = {} if checkpoint else {'blend': _TELEOP_BLEND_S}
    recorder = {name: given[name] for name in ('fps', 'operator', 'bag', 'gate')}
    if button is not None:
        recorder |= {'button_topic': button.topic, 'button': button.button}
    return [
        *([Process('sim_node', {'robot': robot})] if simulated else []),
        *([Process('doctor_node', {**named, **images, 'checkpoint': checkpoint}, required=False)]
          if doctor else []),
        *([Process('policy_node', {**named, **images, 'checkpoint': checkpoint,
                                   'device': given['device'], 'instruction': task},
                   remappings=_AUTONOMY)] if checkpoint else []),
        Process('control_node', {**named, **control, 'require_doctor': doctor}),
        Process('teleop_node', {**named, 'device': _path(teleop), 'policy': bool(checkpoint)}),
        Process('recorder_node', {**named, **images, 'folder': str(place), 'task': task,
                                  'checkpoint': checkpoint, **recorder}, nice=_NICE_RECORDER),
        *([Process('demonstrator_node', {'robot': robot, 'episodes': given['demonstrations'],
                                         'displaced': given['displaced']}, foreground=True)]
          if given['demonstrations'] else []),
    ]


def _path(name: str) -> str:
    """Return the whole path of a file, or the name of what comes with the package."""
    return str(Path(name).absolute()) if name.endswith(('.yaml', '.yml')) else name


def _simulated(robot: str, spec: RobotSpec, folder: Path, small_images_hz: int = 0) -> str:
    """
    Return the robot to simulate, for some a file of their own.

    A gripper that is an action takes a topic there, gates on what no simulated driver says are
    off, and joint states may be as old as the FR3's: a simulation shares its machine with the
    other nodes. So do cameras of half the width and height at ``small_images_hz``.
    """
    data = spec.to_dict()
    for camera in data['cameras'].values() if small_images_hz else ():
        camera |= {'width': camera['width'] // 2, 'height': camera['height'] // 2,
                   'rate_hz': float(small_images_hz)}
    for name, (arm, _) in spec.parts.items():
        told = data['arms'][name] if name else data
        told['driver_gates'] = {'controller_active': NO_TOPIC}
        if arm.gripper.mode not in _GRIPPER_TOPICS:
            told['gripper'] |= {
                'mode': 'joint_trajectory',
                'topic': f'/{name}/gripper_controller/joint_trajectory'.replace('//', '/'),
            }
    data['state_max_age_s'] = max(spec.state_max_age_s, _STATE_MAX_AGE_S)
    if data == spec.to_dict():
        return robot
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / 'robot.yaml'
    file.write_text(
        f'# {spec.robot} as the demo simulates it. Written by the demo.\n'
        + yaml.safe_dump(data, sort_keys=False)
    )
    return str(file)


GRAPHS = {
    'demo': Graph(
        DEMO_ARGUMENTS, demo_graph, 'a simulated robot that a policy or an expert drives'
    ),
    'evaluate': Graph(
        EVALUATE_ARGUMENTS, evaluate_graph, 'blinded trials of policies, on a running robot or '
        'simulated'
    ),
    'record': Graph(
        RECORD_ARGUMENTS, record_graph, 'a person leads a robot, and episodes are recorded'
    ),
    'policy': Graph(
        POLICY_ARGUMENTS, policy_graph, 'doctor, policy and control for a running robot'
    ),
}


def fast_dds_variable() -> str:
    """Return the variable from which this distribution's Fast DDS takes its profile."""
    fast_dds_2 = os.environ.get('ROS_DISTRO') in ('humble', 'iron', 'jazzy')
    return f'{"FASTRTPS" if fast_dds_2 else "FASTDDS"}_DEFAULT_PROFILES_FILE'


def environment() -> dict[str, str]:
    """Return the variables that the nodes need and the user has not set."""
    name = fast_dds_variable()
    return {} if name in os.environ else {name: str(config_path(_FAST_DDS_PROFILE))}
