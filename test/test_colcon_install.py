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
colcon builds and installs the package as in a ROS 2 workspace, and what is installed runs.

The source is copied first, so that nothing of a build is left in the checkout and nothing of
the checkout is found by the installed package.
"""

from importlib.util import find_spec
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest

ROOT = Path(__file__).parents[1]
EXECUTABLES = ['control_node', 'demo_node', 'faster_ros', 'policy_node', 'sim_node']
SHARED = ['config', 'launch', 'urdf']

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Copy what belongs to the package into a workspace and return its folder there."""
    target = tmp_path_factory.mktemp('workspace') / 'src' / 'faster_ros'
    ignore = shutil.ignore_patterns('__pycache__')
    for name in ['faster_ros', 'resource', *SHARED]:
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    for name in ['package.xml', 'setup.py', 'setup.cfg', 'pyproject.toml', 'LICENSE']:
        shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope='module')
def prefix(source):
    """Build with colcon and return the folder the package is installed in."""
    assert find_spec('colcon_ros'), 'colcon is not here; `make test-slow` installs it'
    workspace = source.parents[1]
    colcon = [sys.executable, '-m', 'colcon', '--log-base', 'log', 'build', '--base-paths', 'src']
    done = subprocess.run(colcon, cwd=workspace, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Finished <<< faster_ros' in done.stdout, done.stdout + done.stderr
    return workspace / 'install' / 'faster_ros'


def joined(*paths):
    """Return the value of a search path, without those that are not set."""
    return os.pathsep.join(path for path in paths if path)


@pytest.fixture(scope='module')
def environment(prefix):
    """Return the environment that sourcing the workspace's setup.bash leaves."""
    (site,) = prefix.glob('lib/python3.*/site-packages')
    before = {name: os.environ.get(name) for name in ['AMENT_PREFIX_PATH', 'PYTHONPATH']}
    return {
        **os.environ,
        'AMENT_PREFIX_PATH': joined(str(prefix), before['AMENT_PREFIX_PATH'] or sys.prefix),
        'PYTHONPATH': joined(str(site), before['PYTHONPATH']),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_DOMAIN_ID': str(os.getpid() % 100 + 1),
    }


def run_python(code, environment, cwd):
    """Run a line of Python beside the installed package and return what it prints."""
    done = subprocess.run([sys.executable, '-c', code], env=environment, cwd=cwd,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize('name', EXECUTABLES)
def test_executable_is_where_ros2_run_looks(prefix, name):
    assert os.access(prefix / 'lib' / 'faster_ros' / name, os.X_OK)


@pytest.mark.parametrize('folder', SHARED)
def test_every_shared_file_is_installed(prefix, folder):
    installed_in = prefix / 'share' / 'faster_ros' / folder
    present = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob('*.*')
               if path.parent.name != '__pycache__'}
    installed = {path.relative_to(installed_in) for path in installed_in.rglob('*.*')}
    assert present
    assert installed == present


def test_the_package_is_in_the_ament_index(prefix):
    assert (prefix / 'share/ament_index/resource_index/packages/faster_ros').is_file()
    assert (prefix / 'share/faster_ros/package.xml').is_file()


def test_every_module_and_checkpoint_is_installed(prefix):
    (package,) = prefix.glob('lib/python3.*/site-packages/faster_ros')
    source = ROOT / 'faster_ros'
    files = [path for path in source.rglob('*') if path.is_file() and path.suffix != '.pyc']
    missing = [path for path in files if not (package / path.relative_to(source)).is_file()]
    assert missing == []


def test_the_installed_package_finds_its_own_files(prefix, environment, tmp_path):
    code = ('import faster_ros; from faster_ros.robot_spec import config_path; '
            "print(faster_ros.__file__); print(config_path('config/fr3.yaml'))")
    for line in run_python(code, environment, tmp_path).splitlines():
        assert Path(line).resolve().is_relative_to(prefix.resolve())


def test_the_ament_index_knows_the_share_folder(prefix, environment, tmp_path):
    code = ('from ament_index_python.packages import get_package_share_directory as share; '
            "print(share('faster_ros'))")
    assert Path(run_python(code, environment, tmp_path)) == prefix / 'share' / 'faster_ros'


def test_the_installed_command_explains_itself(prefix, environment, tmp_path):
    done = subprocess.run([prefix / 'lib/faster_ros/faster_ros', '--help'], env=environment,
                          cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 'demo' in done.stdout


def test_the_installed_control_node_starts_and_stops(prefix, environment, tmp_path):
    """The node announces its robot, then ends by itself on ctrl-C."""
    log = tmp_path / 'log'
    with log.open('w') as stream:
        node = subprocess.Popen([prefix / 'lib/faster_ros/control_node'], env=environment,
                                cwd=tmp_path, stdout=stream, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while 'fr3' not in log.read_text() and time.monotonic() < deadline:
            assert node.poll() is None, log.read_text()
            time.sleep(0.2)
        assert 'fr3' in log.read_text()
        node.send_signal(signal.SIGINT)
        assert node.wait(timeout=30) == 0, log.read_text()
    finally:
        if node.poll() is None:
            node.kill()
            node.wait()
