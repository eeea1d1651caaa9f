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
The directions in which the parts of the package may import each other.

Arrows point downwards: a part may import what stands in its row and nothing else, so that the
numpy core never waits for torch and only the nodes know ROS. ARCHITECTURE.md draws the picture.
"""

import ast
from pathlib import Path
import sys

import pytest

PACKAGE = Path(__file__).parents[1] / 'faster_ros'

BASE = {'interfaces', 'braking', 'rendering', 'strict_yaml', 'robot_parts', 'robot_spec',
        'kinematics'}
CORE = {'runtime', 'robots', 'policy', 'policy_server', 'data', 'doctor', 'evaluation', 'sim',
        'teleop', 'tokenizer'}
MAY_IMPORT = {
    'interfaces': set(),
    'braking': {'interfaces'},
    'rendering': set(),
    'strict_yaml': set(),
    'robot_parts': set(),
    'robot_checks': {'robot_parts'},
    'robot_naming': set(),
    'robot_spec': {'interfaces', 'robot_checks', 'robot_naming', 'robot_parts', 'strict_yaml'},
    'kinematics': {'robot_spec', 'interfaces'},
    'runtime': BASE,
    'teleop': BASE,
    'robots': BASE,
    'data': BASE,
    'evaluation': BASE | {'data'},  # trials are recorded as episodes of a data set
    'sim': BASE | {'runtime'},  # trials drive the simulated arm through the real controller
    'tokenizer': {'interfaces'},
    'policy': BASE | {'tokenizer', 'data'},  # a checkpoint carries its normalisation
    'policy_server': BASE | {'policy'},  # what a checkpoint must fit, without torch
    'doctor': BASE | {'policy'},  # what a checkpoint needs, without torch
    'training': BASE | {'data', 'policy', 'tokenizer', 'sim', 'evaluation'},
    'libero': BASE | {'data', 'policy', 'tokenizer', 'evaluation'},
    'graph_parts': set(),
    'bringup': BASE | {'graph_parts', 'teleop'},
    'nodes': BASE | CORE | {'bringup', 'graph_parts'},
    'cli': BASE | CORE | {'bringup', 'graph_parts', 'libero', 'training', 'nodes'},
}

AGREED_PACKAGES = {
    'accelerate', 'av', 'cv2', 'h5py', 'huggingface_hub', 'jinja2', 'libero', 'matplotlib',
    'mujoco', 'msgpack', 'numpy', 'pinocchio', 'pyarrow', 'robosuite', 'rosbags', 'ruckig',
    'safetensors', 'scipy', 'tokenizers', 'torch', 'tqdm', 'transformers', 'websockets', 'yaml',
}
ROS_PACKAGES = {
    'ament_index_python', 'builtin_interfaces', 'cv_bridge', 'launch', 'launch_ros',
    'message_filters', 'rcl_interfaces', 'rclpy', 'std_srvs', 'tf2_ros',
}
HEAVY = {'mujoco', 'torch', 'transformers'}
WIRE = {'msgpack', 'websockets'}  # the network belongs to policy_server alone
FORBIDDEN = {
    **dict.fromkeys(MAY_IMPORT, WIRE),
    **dict.fromkeys(('runtime', 'robots', 'doctor', 'teleop'), HEAVY | WIRE),
    'sim': {'torch', 'transformers'} | WIRE,
    'policy_server': HEAVY,
}
PICKLES = {'cloudpickle', 'dill', 'marshal', 'pickle', 'shelve'}


def is_ros(module):
    """Say whether a top-level module belongs to ROS: a package of its own, or messages."""
    return module in ROS_PACKAGES or module.endswith('_msgs')


def part_of(path):
    """Return the part a file belongs to, such as `runtime`; the package itself is ''."""
    first = path.relative_to(PACKAGE).parts[0]
    return '' if first == '__init__.py' else first.removesuffix('.py')


def modules_named_by(node):
    """Return the absolute names a statement imports; relative ones are not ours to use."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        raise AssertionError(f'line {node.lineno}: import faster_ros by its full name')
    if node.module == 'faster_ros':
        return [f'faster_ros.{alias.name}' for alias in node.names]
    return [node.module]


def imports_of(source):
    """Return (module, line, is inside a function) for each import in `source`."""
    tree = ast.parse(source)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    lazy = {
        id(inner)
        for outer in ast.walk(tree) if isinstance(outer, functions)
        for inner in ast.walk(outer)
    }
    return [
        (name, node.lineno, id(node) in lazy)
        for node in ast.walk(tree)
        for name in modules_named_by(node)
    ]


def complaint(part, module, lazy):
    """Return why `part` may not import `module`, or None when it may."""
    top, *rest = module.split('.')
    if top == 'faster_ros':
        target = rest[0] if rest else ''
        if target in MAY_IMPORT.get(part, set()) | {part, '', '__version__'}:
            return None
        return f'{part or "faster_ros"} may not import {target}'
    if is_ros(top):
        if part == 'nodes' or (part in {'robots', 'bringup'} and lazy):
            return None
        return 'ROS belongs to nodes/ (robots/ and bringup may import it inside a function)'
    if part == 'policy_server' and top in PICKLES:
        return f'{top} runs what a peer sends'
    if top in FORBIDDEN.get(part, set()):
        return f'{part} never imports {top}'
    if top in AGREED_PACKAGES or top in sys.stdlib_module_names:
        return None
    return f'{top} is not among the agreed packages'


def complaints(source, part):
    """Return a line of text for each import of `source` that `part` may not have."""
    found = []
    for module, line, lazy in imports_of(source):
        reason = complaint(part, module, lazy)
        if reason:
            found.append(f'line {line}: import {module}: {reason}')
    return found


FILES = sorted(PACKAGE.rglob('*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_file_imports_only_downwards(path):
    assert complaints(path.read_text(encoding='utf-8'), part_of(path)) == []


def test_every_part_has_a_place_in_the_table():
    assert {part_of(path) for path in FILES} - {''} <= set(MAY_IMPORT)


def test_the_table_has_no_circle():
    waiting = dict(MAY_IMPORT)
    while waiting:
        free = [part for part, below in waiting.items() if not below & set(waiting)]
        assert free, f'these parts import each other: {sorted(waiting)}'
        for part in free:
            del waiting[part]


@pytest.mark.parametrize(('part', 'source'), [
    ('runtime', 'import torch'),
    ('runtime', 'def f():\n    import mujoco'),
    ('runtime', 'import rclpy'),
    ('sim', 'from torch import nn'),
    ('robots', 'from control_msgs.msg import JointJog'),
    ('policy', 'from faster_ros.training import train_policy'),
    ('policy', 'from faster_ros import nodes'),
    ('tokenizer', 'from faster_ros.policy.checkpoint import load'),
    ('data', 'import pandas'),
    ('policy_server', 'import torch'),
    ('nodes', 'def f():\n    from websockets.sync.client import connect'),
    ('policy_server', 'import pickle'),
])
def test_an_import_in_the_wrong_direction_is_found(part, source):
    assert len(complaints(source, part)) == 1


@pytest.mark.parametrize(('part', 'source'), [
    ('nodes', 'import rclpy'),
    ('robots', 'def f():\n    from control_msgs.msg import JointJog'),
    ('policy', 'from faster_ros.tokenizer.faster_vq import FasterVQ'),
    ('runtime', 'from faster_ros.runtime.limiter import Limiter\nimport numpy'),
])
def test_an_import_in_the_right_direction_is_accepted(part, source):
    assert complaints(source, part) == []
