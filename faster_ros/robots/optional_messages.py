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
Messages and vendors' SDKs that are not installed everywhere, imported when they are needed.

What every arm takes (trajectory_msgs, std_msgs, sensor_msgs) comes with ROS 2; grippers with
actions need control_msgs or franka_msgs, arms without a ROS driver the vendor's Python package.
"""

from __future__ import annotations

import importlib
import os
from typing import Any


class MissingMessagesError(ImportError, ValueError):
    """Messages that a robot file asks for are not installed: the user's to mend."""


class MissingSdkError(ImportError, ValueError):
    """A vendor's Python package that a driver needs is not installed: the user's to mend."""


def apt_package(package: str) -> str:
    """Return the apt package that brings a package of ROS."""
    distribution = os.environ.get('ROS_DISTRO', '<distro>')
    return f'ros-{distribution}-{package.replace("_", "-")}'


def load(package: str, kind: str, name: str, needed_for: str) -> Any:
    """Return a type such as ``control_msgs`` ``action`` ``GripperCommand``."""
    apt = apt_package(package)
    try:
        module = importlib.import_module(f'{package}.{kind}')
    except ImportError as error:
        raise MissingMessagesError(
            f'{needed_for} needs the messages of {package}, which are not installed; expected '
            f'apt package {apt}, or {package} built in your workspace', name=package) from error
    if not hasattr(module, name):
        raise MissingMessagesError(
            f'{needed_for} needs {package}/{kind}/{name}, which the installed {package} lacks; '
            f'is {apt} up to date, or another mode meant?', name=package)
    return getattr(module, name)


def load_sdk(module: str, package: str, needed_for: str) -> Any:
    """Return a vendor's module such as ``pylibfranka``; ``package`` is its name for pip."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingSdkError(
            f'{needed_for} needs the Python package {package}, which cannot be imported '
            f'({error}); expected it from: pip install {package}') from error
