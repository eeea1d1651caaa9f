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
"""An arm is watched without the messages that are not installed, and they are named."""

import sys

from faster_ros.nodes.doctor_arm import ArmWatch
from faster_ros.robot_spec import load_robot_spec
import pytest


class Recorder:
    """As much of a node as a watch needs to subscribe."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def create_subscription(self, _, topic, *__, **___):
        self.topics.append(topic)


@pytest.mark.parametrize(('robot', 'missing', 'optional', 'heard'), [
    ('piper', 'piper_msgs', True, []),
    ('fr3_hand', 'control_msgs', False, []),
    ('ur5e', 'std_msgs', False, []),
    ('ur5e', 'ur_dashboard_msgs', True, ['driver_ready_topic', 'driver_speed_topic']),
])
def test_messages_that_are_not_installed_are_named_and_end_nothing(robot, missing, optional,
                                                                   heard, monkeypatch):
    for part in ('msg', 'srv', 'action'):
        monkeypatch.setitem(sys.modules, f'{missing}.{part}', None)
    node, spec = Recorder(), load_robot_spec(robot)
    watch = ArmWatch(node, '', spec)
    found = [package for package in watch.missing if package.name == missing]
    assert found
    for package in found:
        assert package.optional is optional
        assert f'-{missing.replace("_", "-")}, or build {missing} in' in package.remedy
    assert {spec.state_topic, '/robot_description', *(getattr(spec, key) for key in heard)} == set(
        node.topics)
