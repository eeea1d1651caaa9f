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
The names of one arm among several: a prefix before its joints, a namespace before its topics.

Called by ``robot_spec`` when it loads a file; cameras keep their topics.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

NO_TOPIC = 'none'
_TOPICS = ('command_topic', 'state_topic', 'driver_ready_topic', 'driver_speed_topic')
Spec = TypeVar('Spec')


def namespace_root(namespace: str) -> str:
    """Return what a name in a namespace begins with: ``/left`` for ``left``, '' for none."""
    return f'/{namespace.strip("/")}' if namespace else ''


def with_names(spec: Spec, prefix: str, namespace: str) -> Spec:
    """Return a RobotSpec of one arm with both; a name that has them already stays as it is."""
    robot: Any = spec
    start = namespace_root(namespace)

    def joint(name: str) -> str:
        return name if name.startswith(prefix) else prefix + name

    def topic(name: str) -> str:
        absolute = name.startswith('/') and not name.startswith(f'{start}/')
        return start + name if absolute else name

    old = robot.driver
    driver = replace(
        old, joint_prefix=prefix, driver_namespace=namespace, tool_frame=joint(old.tool_frame),
        gripper=replace(old.gripper, joint=joint(old.gripper.joint),
                        topic=topic(old.gripper.topic)),
        driver_names={joint(name): joint(word) for name, word in old.driver_names.items()},
        driver_gates={kind: topic(name) for kind, name in old.driver_gates.items()},
        **{key: topic(getattr(old, key)) for key in _TOPICS})
    renamed: Spec = replace(
        robot, driver=driver, base_frame=joint(robot.base_frame),
        joints={joint(name): limits for name, limits in robot.joints.items()},
        home={joint(name): value for name, value in robot.home.items()})
    return renamed
