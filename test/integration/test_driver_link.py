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
"""What stands between commands and the arms that they are meant for."""

from faster_ros.nodes.diagnostics import EdgeLog
from faster_ros.nodes.driver_link import DriverLink
from faster_ros.robot_spec import load_robot_spec
from faster_ros.robots.arm_interface import CommandOptions
import pytest
from rclpy.node import Node
from ros_process import own_domain, Peer, wait_until
from sensor_msgs.msg import JointState


@pytest.fixture
def peer():
    peer = Peer(own_domain())
    yield peer
    peer.close()


def test_a_real_robot_that_reports_beside_the_simulated_one_is_a_reason_not_to_arm(peer):
    spec = load_robot_spec('fr3')
    link = DriverLink(peer.node, spec, CommandOptions(), EdgeLog(peer.node.get_logger()))
    simulator = Node('sim_node', context=peer.node.context)
    simulator.create_publisher(JointState, spec.state_topic, 10)
    wait_until(lambda: peer.node.count_publishers(spec.state_topic) == 1)
    assert link.rival() == ''
    driver = Node('franka_driver', context=peer.node.context)
    reports = driver.create_publisher(JointState, spec.state_topic, 10)
    wait_until(lambda: 'franka_driver, sim_node report joints' in link.rival(), 10.0)
    driver.destroy_publisher(reports)
    wait_until(lambda: link.rival() == '', 10.0)
    for node in (driver, simulator):
        node.destroy_node()
