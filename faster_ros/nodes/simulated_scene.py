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
"""sim_node as a scene that trials are laid out in; used by demo_node and evaluation_node."""

from __future__ import annotations

import time

from faster_ros.nodes.service_calls import GraphFault, ServiceCalls
from faster_ros.robot_spec import RobotSpec
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from std_srvs.srv import Trigger

SERVICES = {
    'seed': (SetParameters, 'sim_node/set_parameters'),
    'sim': (Trigger, 'sim_node/reset'),
}
# What ROS 2 calls the node of a topic that was discovered before the node's name was.
_UNNAMED = '_NODE_NAME_UNKNOWN_'
_NAMES_KNOWN_S = 5.0
_LOOK_AGAIN_S = 0.05


def lay_out(calls: ServiceCalls, seed: int) -> str:
    """Start the layout of ``seed``; ``calls`` has SERVICES. Returns its instruction."""
    value = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=seed)
    response = calls.call('seed', SetParameters.Request(
        parameters=[Parameter(name='seed', value=value)]), repeatable=True)
    if not response.results[0].successful:
        raise GraphFault(f'sim_node refused seed {seed}: {response.results[0].reason}')
    return str(calls.call('sim', Trigger.Request(), repeatable=True).message)


def check_that_only_the_simulator_listens(node: Node, spec: RobotSpec) -> None:
    """
    Refuse to command when anything besides sim_node would follow or report joints.

    May wait for a name: call it in a thread of its own.
    """
    deadline = time.monotonic() + _NAMES_KNOWN_S
    while strangers := _strangers(node, spec):
        if set(strangers.values()) != {_UNNAMED} or time.monotonic() > deadline:
            found = ', '.join(f'{name} on {topic}' for topic, name in strangers.items())
            raise GraphFault(f'expected no robot but the simulated one, found {found}; '
                             f'{node.get_name()} would move it. Start it with another '
                             'ROS_DOMAIN_ID')
        time.sleep(_LOOK_AGAIN_S)


def _strangers(node: Node, spec: RobotSpec) -> dict[str, str]:
    """Return the nodes besides sim_node at the topics that move or tell of an arm, by topic."""
    arms = [arm for arm, _ in spec.parts.values()]
    commands = {topic for arm in arms for topic in (arm.command_topic, arm.gripper.topic)}
    if spec.base is not None:
        commands.add(spec.base.topic)
    ends = [(topic, info.node_name) for topic in sorted(commands)
            for info in node.get_subscriptions_info_by_topic(topic)]
    ends += [(topic, info.node_name) for topic in spec.state_topics
             for info in node.get_publishers_info_by_topic(topic)]
    known = ('sim_node', node.get_name())
    # A named stranger tells more than one whose name is still on its way.
    return dict(sorted((end for end in ends if end[1] not in known),
                       key=lambda end: end[1] != _UNNAMED))
