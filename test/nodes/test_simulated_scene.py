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
"""Trials in the simulator are refused while anything but sim_node would move."""

from types import SimpleNamespace

from faster_ros.nodes import simulated_scene
from faster_ros.nodes.service_calls import GraphFault
from faster_ros.nodes.simulated_scene import check_that_only_the_simulator_listens
from faster_ros.robot_spec import load_robot_spec
import pytest
import rclpy
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory

SPEC = load_robot_spec('fr3')


@pytest.fixture
def context():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=101)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def demo(context):
    node = Node('demo_node', context=context)
    yield node
    node.destroy_node()


def follower(name, context):
    node = Node(name, context=context)
    node.create_subscription(JointTrajectory, SPEC.command_topic, lambda _: None, 1)
    return node


def test_the_simulator_alone_may_be_commanded(demo, context):
    simulator = follower('sim_node', context)
    check_that_only_the_simulator_listens(demo, SPEC)
    simulator.destroy_node()


def test_a_robot_beside_the_simulator_is_named(demo, context):
    nodes = [follower('sim_node', context), follower('controller_manager', context)]
    with pytest.raises(GraphFault, match='found controller_manager on /fr3_arm_controller'):
        check_that_only_the_simulator_listens(demo, SPEC)
    for node in nodes:
        node.destroy_node()


class Discovery:
    """A graph in which the listener's name comes with the second look, or never."""

    def __init__(self, *names):
        self._names = list(names)

    def get_name(self):
        return 'demo_node'

    def get_subscriptions_info_by_topic(self, topic):
        if topic != SPEC.command_topic:
            return []
        name = self._names.pop(0) if len(self._names) > 1 else self._names[0]
        return [SimpleNamespace(node_name=name)]

    def get_publishers_info_by_topic(self, topic):
        return []


def test_a_listener_whose_name_is_on_its_way_is_waited_for():
    check_that_only_the_simulator_listens(Discovery('_NODE_NAME_UNKNOWN_', 'sim_node'), SPEC)
    with pytest.raises(GraphFault, match='found controller_manager'):
        check_that_only_the_simulator_listens(
            Discovery('_NODE_NAME_UNKNOWN_', 'controller_manager'), SPEC)


def test_a_listener_that_is_never_named_counts_as_a_robot(monkeypatch):
    monkeypatch.setattr(simulated_scene, '_NAMES_KNOWN_S', 0.1)
    with pytest.raises(GraphFault, match='_NODE_NAME_UNKNOWN_ on /fr3_arm_controller'):
        check_that_only_the_simulator_listens(Discovery('_NODE_NAME_UNKNOWN_'), SPEC)
