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

from types import SimpleNamespace

from faster_ros.nodes import teleop_inputs
from faster_ros.nodes.diagnostics import EdgeLog
from faster_ros.nodes.teleop_inputs import TeleopInputs
from faster_ros.robot_spec import load_robot_spec
from faster_ros.teleop.teleop_spec import load_teleop_spec
import pytest
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Float32

FR3 = load_robot_spec('fr3')


class Topic:
    """Stands for a PolledSubscription: what is put into ``waiting`` comes with the next poll."""

    def __init__(self, node, kind, topic, callback, quality) -> None:
        self.callback, self.waiting = callback, []
        node.topics[topic] = self

    def poll(self) -> None:
        while self.waiting:
            self.callback(self.waiting.pop(0), {})


class Node:
    """A node with a clock that stands."""

    def __init__(self) -> None:
        self.topics, self.errors = {}, []
        self.error, self.info = self.errors.append, self.errors.append

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=0))


@pytest.fixture
def heard(monkeypatch):
    """Return a function that makes the inputs of a device, and one that lets them hear."""
    monkeypatch.setattr(teleop_inputs, 'PolledSubscription', Topic)
    node = Node()

    def make(device):
        inputs = TeleopInputs(node, FR3, load_teleop_spec(device), EdgeLog(node))

        def hear(topic, *messages):
            node.topics[topic].waiting.extend(messages)
            inputs.poll()
        return inputs, hear, node.errors
    return make


def test_the_first_press_of_a_button_that_spacenav_names_only_then_engages(heard):
    inputs, hear, errors = heard('spacemouse')
    hear('/spacenav/joy', Joy(), Joy())
    assert not inputs.pressed(inputs.toggle)
    assert len(errors) == 1  # once, and it says why
    hear('/spacenav/joy', Joy(buttons=[1]))  # the other button, of the gripper, is not named yet
    assert inputs.pressed(inputs.toggle)
    hear('/spacenav/joy')
    assert not inputs.pressed(inputs.toggle)


def test_the_handle_of_a_gello_leads_the_gripper(heard):
    inputs, hear, errors = heard('gello')
    (leader,) = inputs.leaders.values()
    names = FR3.driver_joint_names[:7]
    hear('/gello/joint_states', JointState(name=names, position=FR3.home_positions[:7].tolist()))
    assert 'nothing received on /gripper' in leader.problem(0)
    hear('/gripper/gripper_client/target_gripper_width_percent', Float32(data=1.0))
    assert leader.engage(FR3.home_positions[:7], 1.0) == ''
    assert leader.grip(1.0) == 1.0
    hear('/gripper/gripper_client/target_gripper_width_percent', Float32(data=0.25))
    assert leader.grip(1.0) == 0.25
    assert errors == []


def test_a_button_of_a_gamepad_hands_back(heard):
    inputs, hear, _ = heard('gamepad')
    hear('/joy', Joy(axes=[0.0] * 8, buttons=[0] * 11))
    hear('/joy', Joy(axes=[0.0] * 8, buttons=[0] * 6 + [1] + [0] * 4))
    assert inputs.pressed(inputs.hand_back)
    assert not inputs.pressed(inputs.deadman)
