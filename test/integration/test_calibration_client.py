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
"""The calibration motion beside a control_node whose word comes late, as on a busy machine."""

import time

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.nodes import conversions, diagnostics, qos
from faster_ros.nodes.calibration_client import CalibrationClient, CalibrationFault
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.calibration_motion import CalibrationMotion
import pytest
from ros_process import own_domain, Peer
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

SPEC = load_robot_spec('fr3')
MOTION = CalibrationMotion(SPEC, SPEC.joint_names[0], 0.05, 0.1, 0.0)
LATE_S = 0.7


class LateControl(Peer):
    """Arms at once and says so after ``LATE_S``; is disarmed by others after ``runs_s``."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain)
        self.armed_s, self.runs_s = float('inf'), float('inf')
        self._status = self.node.create_publisher(DiagnosticStatus, 'control_node/status',
                                                  qos.STATUS)
        self._states = self.node.create_publisher(JointState, SPEC.state_topic, qos.STATUS)
        self.node.create_service(SetBool, 'control_node/arm', self._arm)
        self.node.create_timer(0.02, self._tell)

    def _arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.armed_s = time.monotonic() if request.data else float('inf')
        response.success = True
        return response

    def _tell(self) -> None:
        runs = LATE_S < time.monotonic() - self.armed_s < self.runs_s
        self._status.publish(diagnostics.status_message(
            'control_node', 'fr3', diagnostics.OK, '',
            {'mode': 'running' if runs else 'disarmed', 'detail': '', 'waiting': 'false'}))
        message = JointState(name=SPEC.driver_joint_names,
                             position=[float(value) for value in SPEC.home_positions])
        message.header.stamp = conversions.to_time(self.now_ns())
        self._states.publish(message)


@pytest.fixture
def control(monkeypatch):
    domain = own_domain()
    monkeypatch.setenv('ROS_DOMAIN_ID', str(domain))
    control = LateControl(domain)
    yield control
    control.close()


@pytest.fixture
def client(control):
    client = CalibrationClient(SPEC)
    yield client
    client.close()


def test_what_control_node_said_before_it_armed_is_no_hold(client):
    client.positions()
    assert client.make(MOTION).states


def test_an_arm_that_others_disarm_ends_the_motion_with_what_it_is(client, control):
    client.positions()
    control.runs_s = LATE_S + 0.5
    with pytest.raises(CalibrationFault, match='^the arm holds: disarmed$'):
        client.make(MOTION)
