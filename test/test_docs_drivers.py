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
"""The tables of docs/drivers.md say what the robot files say."""

from pathlib import Path

from faster_ros.robot_checks import COMMAND_MODES, GRIPPER_MODES
from faster_ros.robot_spec import config_path, load_robot_spec
import pytest

TEXT = (Path(__file__).parents[1] / 'docs' / 'drivers.md').read_text()
ROBOTS = sorted(file.stem for file in config_path('config').glob('*.yaml'))


@pytest.mark.parametrize('robot', ROBOTS)
def test_every_robot_has_a_row_with_its_modes_and_topics(robot):
    spec = load_robot_spec(robot)
    (row,) = [line for line in TEXT.splitlines()
              if line.startswith('| `') and f'`{robot}`' in line.split('|')[1]]
    if 'as `fr3`' in row:
        row = row.replace('as `fr3`', f'{spec.command_mode} `{spec.command_topic}`')
    for arm, _ in spec.parts.values():
        assert f'{arm.command_mode} `{arm.command_topic}`' in row
        assert f'`{arm.state_topic}`' in row
        assert arm.gripper.mode == 'joint_state' or arm.gripper.mode in row
        if arm.gripper.mode not in ('joint_state', 'joint_trajectory'):
            assert f'`{arm.gripper.topic}`' in row


@pytest.mark.parametrize('mode', [*COMMAND_MODES, *GRIPPER_MODES])
def test_every_mode_has_a_row(mode):
    assert f'| `{mode}` |' in TEXT
