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
"""A simulated UR behind its driver's topics: speed slider, protective stop, the way back."""

import json

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.bringup import demo_graph
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
import yaml

PATIENCE_S = 60.0  # a busy machine


class Operator(Peer):
    """Sees what the driver, the simulator and control_node say, and calls their services."""

    def __init__(self, spec, domain: int) -> None:
        super().__init__(domain)
        self.spec, node = spec, self.node
        self.states, self.running, self.percent, self.set_points = [], [], [], []
        self.task, self.control = {}, {}
        node.create_subscription(JointState, spec.state_topic, self.states.append, 10)
        node.create_subscription(Bool, spec.driver_ready_topic,
                                 lambda message: self.running.append(message.data), qos.LATCHED)
        node.create_subscription(Float64, spec.driver_speed_topic,
                                 lambda message: self.percent.append(message.data), 10)
        node.create_subscription(
            String, 'sim_node/task', lambda message: self.task.update(json.loads(message.data)),
            10)
        node.create_subscription(DiagnosticStatus, 'control_node/status',
                                 lambda message: self.control.update(values_of(message)), 10)
        node.create_subscription(JointState, 'control_node/command', self.set_points.append, 10)
        self.commands = node.create_publisher(JointTrajectory, spec.command_topic, 10)
        self._clients = {}

    def trigger(self, name: str) -> Trigger.Response:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(Trigger, name)
        return self.call(self._clients[name], Trigger.Request(), PATIENCE_S)

    def arm(self) -> bool:
        client = self._clients.setdefault(
            'arm', self.node.create_client(SetBool, 'control_node/arm'))
        return self.call(client, SetBool.Request(data=True), PATIENCE_S).success

    def set_slider(self, percent: float) -> None:
        client = self.node.create_client(SetParameters, 'sim_node/set_parameters')
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=percent)
        self.call(client, SetParameters.Request(
            parameters=[Parameter(name='speed_slider', value=value)]), PATIENCE_S)
        wait_until(lambda: self.percent[-1:] == [percent], PATIENCE_S, f'{percent} percent')

    def positions(self) -> np.ndarray:
        return conversions.state_from_message(self.states[-1], self.spec).positions[:-1]

    def send(self, names, positions) -> None:
        """Command a motion of 1 s."""
        point = JointTrajectoryPoint(positions=[float(value) for value in positions],
                                     time_from_start=Duration(sec=1))
        self.commands.publish(JointTrajectory(joint_names=list(names), points=[point]))

    def states_for(self, seconds: float) -> list[JointState]:
        """Return the joint states of the next seconds on the simulator's clock."""
        wait_until(lambda: self.states, PATIENCE_S, 'joint states')
        begin = conversions.to_ns(self.states[-1].header.stamp)
        first = len(self.states)
        wait_until(lambda: conversions.to_ns(self.states[-1].header.stamp)
                   > begin + seconds * 1e9, PATIENCE_S, 'later joint states')
        return self.states[first:]


@pytest.fixture
def start(tmp_path):
    """Give a function that starts the nodes of the demo by name and an operator beside them."""
    started = []

    def start(*nodes):
        simulation = demo_graph('ur5e', trials=0, out=str(tmp_path))[0]
        file = tmp_path / 'robot.yaml'
        assert simulation.parameters['robot'] == str(file)
        file.write_text(yaml.safe_dump(  # a busy machine
            yaml.safe_load(file.read_text()) | {'state_max_age_s': 2.0}, sort_keys=False))
        domain = own_domain()
        for name in nodes:
            process = Process(['-m', f'faster_ros.nodes.{name}', '--ros-args', '-p',
                               f'robot:={file}'], domain, tmp_path / name)
            started.append(process.stop)
        operator = Operator(load_robot_spec(str(file)), domain)
        started.append(operator.close)
        wait_until(lambda: operator.states and operator.running and operator.percent,
                   PATIENCE_S, 'the simulated driver')
        return operator

    yield start
    for stop in started:
        stop()


def test_the_driver_slows_with_the_slider_and_stops_protectively(start):
    operator = start('sim_node')
    assert list(operator.states[-1].name) == sorted(operator.spec.joint_names)
    assert operator.running == [True]
    assert operator.percent[-1] == 100.0
    names = operator.spec.arm_joint_names
    target = operator.positions() + [0.4, 0, 0, 0, 0, 0]

    operator.set_slider(30.0)
    operator.send(reversed(names), target[::-1])
    speeds = [dict(zip(state.name, state.velocity))['shoulder_pan_joint']
              for state in operator.states_for(2.0)]
    assert 0.05 < max(speeds) < 0.2  # 0.4 rad/s were commanded
    operator.set_slider(100.0)
    wait_until(lambda: np.abs(operator.positions() - target).max() < 0.01, PATIENCE_S, 'the pose')

    operator.send(names, target - 0.4)
    wait_until(lambda: np.abs(operator.positions() - target).max() > 0.05, PATIENCE_S, 'motion')
    assert operator.trigger('sim_node/protective_stop').success
    wait_until(lambda: not operator.running[-1], PATIENCE_S, 'the end of the program')
    operator.states_for(0.3)
    stopped = operator.positions()
    operator.send(names, target)  # commands go nowhere
    operator.states_for(1.0)
    assert np.abs(operator.positions() - stopped).max() < 0.005
    assert 'unlock it first' in operator.trigger('/dashboard_client/play').message
    assert 'until 5s' in operator.trigger('/dashboard_client/unlock_protective_stop').message
    wait_until(lambda: operator.trigger('/dashboard_client/unlock_protective_stop').success,
               PATIENCE_S, 'unlocking')
    assert operator.trigger('/io_and_status_controller/resend_robot_program').success
    wait_until(lambda: operator.running[-1], PATIENCE_S, 'the program')
    operator.states_for(0.5)
    assert np.abs(operator.positions() - stopped).max() < 0.005  # the old motion is forgotten


@pytest.mark.slow
def test_control_holds_at_a_protective_stop_until_it_is_armed_again(start):
    operator = start('sim_node', 'control_node', 'expert_node')
    spec = operator.spec
    wait_until(operator.arm, PATIENCE_S, 'arming')
    begin = operator.positions()
    wait_until(lambda: np.abs(operator.positions() - begin).max() > 0.05, PATIENCE_S, 'motion')

    assert operator.trigger('sim_node/protective_stop').success
    wait_until(lambda: operator.control.get('mode') == 'holding', PATIENCE_S, 'a hold')
    assert operator.control['reason'] == 'driver_not_ready'
    assert spec.driver_ready_topic in operator.control['detail']
    operator.states_for(0.3)
    stopped = operator.positions()
    wait_until(lambda: operator.trigger('/dashboard_client/unlock_protective_stop').success,
               PATIENCE_S, 'unlocking')
    assert operator.trigger('/io_and_status_controller/resend_robot_program').success
    operator.states_for(1.0)
    assert np.abs(operator.positions() - stopped).max() < 0.015
    assert operator.control['mode'] == 'holding'

    wait_until(operator.arm, PATIENCE_S, 'arming')
    wait_until(lambda: np.abs(operator.positions() - stopped).max() > 0.05, PATIENCE_S, 'motion')
    operator.set_slider(30.0)
    operator.states_for(1.0)
    full = spec.limit_array('velocity') * spec.velocity_scale
    first = len(operator.set_points)
    states = operator.states_for(1.0)  # held or slow
    commanded = np.abs([message.velocity for message in operator.set_points[first:]])
    assert (commanded <= 0.3 * full + 1e-6)[:, spec.arm_mask].all()
    for state in states:
        for name, speed in zip(state.name, state.velocity):
            assert abs(speed) < 0.5 * full[spec.joint_names.index(name)], name
