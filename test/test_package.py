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
"""What setup.py, package.xml and the requirements say about the package agrees."""

import ast
from importlib import metadata
from pathlib import Path
import re
import sys
from xml.etree import ElementTree

import faster_ros
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
import pytest
import setuptools

ROOT = Path(__file__).parents[1]
MESSAGES = {'builtin_interfaces', 'rcl_interfaces', 'std_srvs', 'rclpy'}
# Vendors' messages: imported inside a function, with an error that names the apt package.
OPTIONAL_MESSAGES = {
    'control_msgs', 'controller_manager_msgs', 'franka_msgs', 'piper_msgs', 'ur_dashboard_msgs',
}


@pytest.fixture(scope='module')
def arguments():
    """Return what setup.py passes to setup(), without running a command."""
    captured = {}
    namespace = {'__file__': str(ROOT / 'setup.py')}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, 'setup', lambda **given: captured.update(given))
        patch.chdir(ROOT)
        exec(compile((ROOT / 'setup.py').read_text(), 'setup.py', 'exec'), namespace)
    return captured


@pytest.fixture(scope='module')
def manifest():
    """Return the root element of package.xml."""
    return ElementTree.parse(ROOT / 'package.xml').getroot()


def requirements_in(name):
    """Return the requirements of a file of pins."""
    lines = (ROOT / name).read_text(encoding='utf-8').splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith('#')]


def version_pinned_by(requirement):
    """Return the version of `name==version`, or fail."""
    (pin,) = requirement.specifier
    assert pin.operator == '==', f'{requirement} is not pinned'
    return Version(pin.version)


def test_setup_and_manifest_agree(arguments, manifest):
    maintainer = manifest.find('maintainer')
    assert manifest.get('format') == '3'
    assert arguments['name'] == manifest.findtext('name')
    assert arguments['version'] == manifest.findtext('version') == faster_ros.__version__
    assert arguments['description'] == manifest.findtext('description')
    assert arguments['license'] == manifest.findtext('license') == 'Apache-2.0'
    assert arguments['maintainer'] == maintainer.text
    assert arguments['maintainer_email'] == maintainer.get('email')


def test_changelog_names_the_version_or_what_comes(arguments):
    text = (ROOT / 'CHANGELOG.rst').read_text(encoding='utf-8')
    assert 'Forthcoming' in text or arguments['version'] in text


def test_every_package_of_the_tree_is_installed(arguments):
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / 'faster_ros').rglob('*.py')}
    assert {'.'.join(folder.parts) for folder in folders} == set(arguments['packages'])


@pytest.mark.parametrize('folder', ['config', 'config/controllers', 'config/teleop', 'launch',
                                    'urdf'])
def test_every_shared_file_is_installed(arguments, folder):
    installed = dict(arguments['data_files']).get(f'share/faster_ros/{folder}', [])
    present = {str(path.relative_to(ROOT)) for path in (ROOT / folder).glob('*') if path.is_file()}
    assert present == set(installed)


def test_every_console_script_leads_to_a_function(arguments):
    for line in arguments['entry_points']['console_scripts']:
        module, function = line.split('=')[1].strip().split(':')
        tree = ast.parse((ROOT / f'{module.replace(".", "/")}.py').read_text(encoding='utf-8'))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert function in names, f'{line}: {module} has no function {function}'


def test_every_node_has_a_console_script(arguments):
    nodes = {path.stem for path in (ROOT / 'faster_ros/nodes').glob('*_node.py')}
    scripts = {line.split('=')[0].strip() for line in arguments['entry_points']['console_scripts']}
    assert nodes <= scripts


def test_imported_ros_packages_are_declared(manifest):
    declared = {element.text for element in manifest.iter('exec_depend')}
    imported = set()
    for path in [*(ROOT / 'faster_ros').rglob('*.py'), *(ROOT / 'launch').glob('*.py')]:
        source = path.read_text(encoding='utf-8')
        imported |= set(re.findall(r'^\s*(?:from|import) (\w+)', source, re.MULTILINE))
    ros = {name for name in imported if name in MESSAGES or name.endswith('_msgs')}
    ros |= imported & {'launch', 'launch_ros', 'ament_index_python', 'cv_bridge'}
    assert ros - OPTIONAL_MESSAGES <= declared


@pytest.mark.parametrize('ros', ['requirements-ros-wheels.txt', 'requirements-ros-apt.txt'])
@pytest.mark.parametrize('python', ['3.10', '3.11', '3.12'])
def test_the_pins_satisfy_what_setup_asks_for(arguments, ros, python):
    environment = {**default_environment(), 'python_version': python}
    pins = {}
    for requirement in requirements_in('requirements.txt') + requirements_in(ros):
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in pins, f'{name} is pinned twice for Python {python}'
            pins[name] = version_pinned_by(requirement)
    extras = [text for name in ('sim', 'data', 'server')
              for text in arguments['extras_require'][name]]
    for text in [*arguments['install_requires'], *extras]:
        asked = Requirement(text)
        if 'apt' in ros and asked.name == 'pin':
            continue  # the distribution's own Pinocchio
        assert asked.specifier.contains(pins[canonicalize_name(asked.name)]), text


def test_the_ros_extra_is_the_pinned_one(arguments):
    pinned = [str(pin) for pin in requirements_in('requirements-ros-wheels.txt')]
    assert arguments['extras_require']['ros'] == [pin for pin in pinned if pin.startswith('ros-')]


def test_the_installed_package_is_this_checkout():
    installed = metadata.version('faster_ros')
    assert installed == faster_ros.__version__
    assert Path(faster_ros.__file__).parent == ROOT / 'faster_ros'
    assert sys.version_info >= (3, 10)
