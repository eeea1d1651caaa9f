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
"""What the documents say about parameters, gates, files and commands is what the code has."""

from dataclasses import fields
from pathlib import Path
import re

from faster_ros.nodes.control_parameters import ControlParameters
from faster_ros.nodes.demo_node import DemoParameters
from faster_ros.nodes.demonstrator_node import DemonstratorParameters
from faster_ros.nodes.doctor_node import DoctorParameters
from faster_ros.nodes.evaluation_node import EvaluationParameters
from faster_ros.nodes.expert_node import ExpertParameters
from faster_ros.nodes.keys_node import KeysParameters
from faster_ros.nodes.libfranka_node import LibfrankaParameters
from faster_ros.nodes.piper_sdk_node import PiperSdkParameters
from faster_ros.nodes.policy_node import PolicyParameters
from faster_ros.nodes.recorder_node import RecorderParameters
from faster_ros.nodes.replay_node import ReplayParameters
from faster_ros.nodes.sim_node import SimParameters
from faster_ros.nodes.teleop_node import TeleopParameters
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime import supervisor
import pytest

ROOT = Path(__file__).parents[1]
NODES = {'control_node': ControlParameters, 'policy_node': PolicyParameters,
         'doctor_node': DoctorParameters, 'sim_node': SimParameters,
         'demo_node': DemoParameters, 'expert_node': ExpertParameters,
         'demonstrator_node': DemonstratorParameters, 'keys_node': KeysParameters,
         'teleop_node': TeleopParameters, 'recorder_node': RecorderParameters,
         'evaluation_node': EvaluationParameters, 'replay_node': ReplayParameters,
         'libfranka_node': LibfrankaParameters, 'piper_sdk_node': PiperSdkParameters}
PAGES = sorted([ROOT / 'README.md', ROOT / 'ARCHITECTURE.md', ROOT / 'CONTRIBUTING.md',
                *(ROOT / 'docs').glob('*.md')])


def parameter_rows(config):
    """Return the rows of a node's table in docs/interfaces.md."""
    rows = []
    for field in fields(config):
        low, high = field.metadata['low'], field.metadata['high']
        span = '' if low is None else f'{low:g} to {high:g}'
        default = f"'{field.default}'" if field.default == '' else str(field.default)
        rows.append(f'| `{field.name}` | {default} | {span} | {field.metadata["text"]} |')
    return rows


@pytest.mark.parametrize('node', sorted(NODES))
def test_every_parameter_stands_in_the_interfaces_page(node):
    page = (ROOT / 'docs' / 'interfaces.md').read_text()
    missing = [row for row in parameter_rows(NODES[node]) if row not in page]
    assert missing == []


def test_every_topic_of_the_robot_file_stands_in_the_interfaces_page():
    page = (ROOT / 'docs' / 'interfaces.md').read_text()
    spec = load_robot_spec('fr3')
    topics = [spec.command_topic, spec.gripper.topic, spec.state_topic,
              *(camera.topic for camera in spec.cameras.values())]
    assert [topic for topic in topics if f'`{topic}`' not in page] == []


def test_every_gate_stands_in_the_safety_page():
    gates = re.findall(r'^    (\w+_\w+) {2,}\S', supervisor.__doc__, re.MULTILINE)
    page = (ROOT / 'docs' / 'safety.md').read_text()
    assert len(gates) >= 10
    assert [gate for gate in gates if f'| `{gate}` |' not in page] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_link_and_every_file_named_exists(page):
    text = page.read_text()
    links = [link for link in re.findall(r'\]\(([^)#]+)', text) if '://' not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    files = re.findall(r'`([a-z_]+/[a-z_/]+\.py)`', text)
    missing += [file for file in files
                if not ((ROOT / 'faster_ros' / file).exists() or (ROOT / file).exists())]
    assert missing == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_make_target_named_exists(page):
    makefile = (ROOT / 'Makefile').read_text()
    named = set(re.findall(r'(?:`|^)make ([a-z-]+)', page.read_text(), re.MULTILINE))
    assert [target for target in named if not re.search(f'^{target}:', makefile, re.M)] == []
