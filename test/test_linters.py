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
The linters of the ROS distributions, and what they leave out.

Left out are the licence in each file, and that nothing names one machine or one host. Daily
style and types are checked by ``make lint``.
"""

from pathlib import Path
import re
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
LEFT_OUT = {'.git', 'build', 'install', 'log', 'out', '__pycache__'}
MACHINE = re.compile(r'(?<![\w.])/(?:work|root|home/\w+|Users/\w+|opt/(?:wheels|pypi))(?:/|\b)')
REGISTRY = re.compile(
    r'pypi[.]org|pythonhosted[.]org|download[.]pytorch[.]org|packages[.]ros[.]org'
    r'|registry[.]npmjs[.]org|(?:deb|archive)[.](?:debian|ubuntu)[.]'
)
HEADER = (ROOT / 'setup.py').read_text(encoding='utf-8').split('"""', 1)[0]


def listed_by_git():
    """Return the files git tracks or would track, or None outside a repository."""
    command = ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [ROOT / name for name in done.stdout.split('\0') if name]


def files():
    """Return every file of the repository, without what is built or downloaded."""
    found = listed_by_git()
    if found is None:
        found = [
            path for path in ROOT.rglob('*')
            if not any(part in LEFT_OUT or part.startswith('.venv') for part in path.parts)
        ]
    return sorted(path for path in found if path.is_file())


FILES = files()
PYTHON_FILES = [path for path in FILES if path.suffix == '.py' and path.stat().st_size]


def relative(path):
    """Return the name of a file for a test's title."""
    return str(path.relative_to(ROOT))


def test_the_header_is_the_full_apache_notice():
    lines = HEADER.splitlines()
    assert len(lines) == 13
    assert lines[0] == '# Copyright 2026 the faster_ros authors'
    assert 'limitations under the License.' in lines[-1]


@pytest.mark.parametrize('path', PYTHON_FILES, ids=relative)
def test_python_file_carries_the_licence(path):
    text = path.read_text(encoding='utf-8')
    text = text.split('\n', 1)[1] if text.startswith('#!') else text
    assert text.startswith(HEADER)


@pytest.mark.parametrize('path', FILES, ids=relative)
def test_file_names_no_machine_and_no_registry(path):
    try:
        text = path.read_text(encoding='utf-8')
    except UnicodeDecodeError:
        return
    lines = [line for line in text.splitlines() if MACHINE.search(line) or REGISTRY.search(line)]
    assert lines == []


def test_a_path_of_one_machine_is_found():
    folder = 'work'
    assert MACHINE.search(f'see /{folder}/notes.md')
    assert MACHINE.search(f'cd /{folder}')
    assert not MACHINE.search(f'https://example.com/{folder}/notes')
    assert not MACHINE.search('/opt/ros/jazzy/setup.bash')


@pytest.mark.slow
@pytest.mark.parametrize('linter', ['ament_flake8', 'ament_pep257'])
def test_the_linter_of_ros_has_nothing_to_say(linter):
    program = Path(sys.executable).with_name(linter)
    assert program.is_file(), f'{linter} is not here; `make test-slow` installs it'
    done = subprocess.run([program, *PYTHON_FILES], capture_output=True, cwd=ROOT, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
