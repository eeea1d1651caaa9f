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
"""`faster_ros calibrate latency` against simulated robot and control_node, over real topics."""

import os
import re
import subprocess
import sys

from faster_ros.robot_spec import load_robot_spec
import pytest
from ros_process import own_domain, Process, ROOT
import yaml

pytestmark = pytest.mark.slow
SPEC = load_robot_spec('fr3')


@pytest.fixture(scope='module')
def calibrate(tmp_path_factory):
    """Return a function that runs the job with a typed answer beside the simulated robot."""
    folder, domain = tmp_path_factory.mktemp('calibrate'), own_domain()
    data = SPEC.to_dict() | {'state_max_age_s': 1.0}
    for camera in data['cameras'].values():
        camera.update(width=80, height=60)
    robot = folder / 'small.yaml'
    robot.write_text(yaml.safe_dump(data, sort_keys=False))
    arguments = ['--ros-args', '-p', f'robot:={robot}']
    nodes = [Process(['-m', f'faster_ros.nodes.{name}', *arguments], domain, folder / name)
             for name in ('sim_node', 'control_node')]

    def run(answer: str) -> subprocess.CompletedProcess:
        command = [sys.executable, '-m', 'faster_ros.cli.main', 'calibrate', 'latency', '--robot',
                   str(robot), '--seconds', '8', '--out', str(folder / 'measured.yaml')]
        environment = os.environ | {'ROS_DOMAIN_ID': str(domain), 'PYTHONPATH': str(ROOT),
                                    'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
        return subprocess.run(command, input=answer, env=environment, cwd=ROOT, timeout=240,
                              capture_output=True, text=True, check=False)

    try:
        nodes[1].wait_for('disarmed')
        yield run
    finally:
        for node in nodes:
            node.stop()


def test_without_a_typed_yes_nothing_moves(calibrate):
    done = calibrate('y\n')
    assert done.returncode == 0, done.stderr
    assert 'fr3_joint1 of fr3 will swing by 0.08 rad, at most 0.30 rad/s' in done.stdout
    assert 'nothing was moved' in done.stdout
    assert 'nobody typed yes; nothing was moved' in calibrate('').stderr


def test_the_simulated_robot_is_measured_and_gets_a_robot_file(calibrate):
    done = calibrate('yes\n')
    path = re.search(r'robot file: (.*)', done.stdout)
    assert path, done.stdout + done.stderr
    measured = load_robot_spec(path.group(1))
    assert 'NOT USED' not in done.stdout, done.stdout
    # The simulated arm is quick, its images carry their time; what is left are the machine's.
    assert measured.arm_latency_s < 0.1
    assert all(camera.latency_s < 0.1 for camera in measured.cameras.values())
    assert measured.gripper.latency_s < 0.3
