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
"""control_node in front of a Piper, and of a UR on velocities: over real topics."""

import time

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import ActionChunk
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import load_robot_spec, RobotSpec
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Float64, Float64MultiArray
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
import yaml


class Robot(Peer):
    """Joint states, a chunk, and what the driver was sent."""

    def __init__(self, spec: RobotSpec, kind, domain: int) -> None:
        super().__init__(domain)
        self.spec, self.sent = spec, []
        node = self.node
        self._states = node.create_publisher(JointState, spec.state_topic, 10)
        self._chunks = node.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        node.create_subscription(kind, spec.command_topic, self.sent.append, 100)
        self._arm = node.create_client(SetBool, '/control_node/arm')
        self._recover = node.create_client(Trigger, '/control_node/recover')
        self.status: dict[str, str] = {}
        node.create_subscription(DiagnosticStatus, '/control_node/status', self._on_status, 10)
        node.create_timer(0.01, self._publish_state)

    def _publish_state(self) -> None:
        message = JointState(name=list(self.spec.joint_names))
        message.position = self.spec.home_positions.tolist()
        message.velocity = [0.0] * len(message.name)
        message.header.stamp = conversions.to_time(self.now_ns())
        self._states.publish(message)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.status = values_of(message)

    def wait_for(self, **values: str) -> None:
        wait_until(lambda: all(self.status.get(key) == value for key, value in values.items()),
                   60.0, lambda: f'status {values} (is {self.status})')

    def serve(self, called: list[str], *names: str, refuse: str = '') -> None:
        """Serve triggers that note their call; ``refuse`` is the one that fails."""
        def answer(name, response):
            called.append(name)
            response.success = name != refuse
            return response
        for name in names:
            self.node.create_service(Trigger, name, lambda _, response, name=name: answer(
                name, response))

    def recover(self) -> Trigger.Response:
        return self.call(self._recover, Trigger.Request())

    def arm(self, value: bool = True) -> SetBool.Response:
        return self.call(self._arm, SetBool.Request(data=value))

    def wait_until_armed(self) -> None:
        wait_until(lambda: self.arm().success, 10.0, 'arming')

    def send(self) -> None:
        """Send a chunk that moves the first joint slowly."""
        actions = np.tile(self.spec.home_positions, (16, 1))
        actions[:, 0] += 0.01 * np.arange(16)
        self._chunks.publish(conversions.chunk_to_message(
            ActionChunk(self.now_ns(), 100_000_000, actions, self.spec.joint_names)))


@pytest.fixture
def start(tmp_path):
    """Give a function that starts control_node and the robot in front of it."""
    started = []

    def start(spec, kind, *parameters):
        domain, file = own_domain(), tmp_path / 'robot.yaml'
        patient = spec.to_dict() | {'state_max_age_s': 1.0}  # a busy machine
        file.write_text(yaml.safe_dump(patient, sort_keys=False))
        arguments = [word for text in parameters for word in ('-p', text)]
        process = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p',
                           f'robot:={file}', *arguments], domain, tmp_path / 'log')
        robot = Robot(RobotSpec.from_dict(patient, 'patient'), kind, domain)
        started.extend((process.stop, robot.close))
        process.wait_for('disarmed')
        return robot, process

    yield start
    for stop in started:
        stop()


def test_a_piper_is_commanded_whole_and_by_one_publisher_only(start):
    robot, _ = start(load_robot_spec('piper'), JointState)
    rival = robot.node.create_publisher(JointState, robot.spec.command_topic, 10)
    wait_until(lambda: 'other publishers' in robot.arm().message, 10.0, 'a refusal')
    assert robot.sent == []
    robot.node.destroy_publisher(rival)
    robot.wait_until_armed()
    robot.send()
    wait_until(lambda: robot.sent and robot.sent[-1].position[0] > 0.02, 5.0, 'motion')
    for message in robot.sent:
        assert tuple(message.name) == robot.spec.joint_names
        assert list(message.velocity) == [0.0] * 6 + [50.0]


def ur_on_velocities() -> RobotSpec:
    data = load_robot_spec('ur5e').to_dict() | {
        'command_mode': 'forward_velocity',
        'command_topic': '/forward_velocity_controller/commands',
        'command_rate_hz': 250.0}
    data['gripper'] |= {'mode': 'forward_position', 'topic': '/gripper/commands'}
    return RobotSpec.from_dict(data, 'ur5e on velocities')


def test_a_ur_moves_only_while_its_driver_is_ready_and_ends_with_zero_velocities(start):
    robot, process = start(ur_on_velocities(), Float64MultiArray)
    process.wait_for('ur-dashboard-msgs')  # not installed here: that gate is off
    wait_until(lambda: 'no message yet on /io_and_status_controller/robot_program_running'
               in robot.arm().message, 10.0, 'a refusal')
    ready = robot.node.create_publisher(Bool, robot.spec.driver_ready_topic, qos.LATCHED)
    speed = robot.node.create_publisher(Float64, robot.spec.driver_speed_topic, 10)
    ready.publish(Bool(data=True))
    robot.node.create_timer(0.01, lambda: speed.publish(Float64(data=100.0)))
    robot.wait_until_armed()
    robot.send()
    wait_until(lambda: robot.sent and robot.sent[-1].data[0] > 0.02, 5.0, 'motion')
    assert process.stop() == 0
    time.sleep(0.2)
    assert all(list(message.data) == [0.0] * 6 for message in robot.sent[-10:])
    assert any(message.data[0] > 0.02 for message in robot.sent)


def test_a_slow_ur_is_commanded_slowly_and_a_paused_one_is_held_without_a_fault(start):
    robot, _ = start(ur_on_velocities(), Float64MultiArray)
    percent = Float64(data=30.0)
    ready = robot.node.create_publisher(Bool, robot.spec.driver_ready_topic, qos.LATCHED)
    speed = robot.node.create_publisher(Float64, robot.spec.driver_speed_topic, 10)
    ready.publish(Bool(data=True))
    robot.node.create_timer(0.01, lambda: speed.publish(percent))
    robot.wait_for(driver_speed='0.3000')
    robot.wait_until_armed()
    robot.send()  # 0.1 rad/s
    wait_until(lambda: robot.sent and robot.sent[-1].data[0] > 0.02, 60.0, 'motion')
    robot.wait_for(mode='running')
    assert max(message.data[0] for message in robot.sent) < 0.04
    percent.data = 0.0
    wait_until(lambda: list(robot.sent[-1].data) == pytest.approx([0.0] * 6, abs=1e-6), 60.0,
               'a held arm')
    robot.wait_for(mode='running', faults='0', driver_speed='0.0000')


def test_a_ur_is_recovered_in_its_vendors_order_and_by_play_if_it_is_not_headless(start):
    robot, _ = start(ur_on_velocities(), Float64MultiArray)
    called: list[str] = []
    resend = '/io_and_status_controller/resend_robot_program'
    steps = [*(f'/dashboard_client/{name}' for name in ('unlock_protective_stop', 'stop')),
             resend, '/dashboard_client/play']
    robot.serve(called, *steps, refuse=resend)
    begin = time.monotonic()
    assert robot.recover().success
    assert 'a recovery is under way: step 1 of 4' in robot.recover().message
    assert 'a recovery is under way' in robot.arm().message
    robot.wait_for(recovery='done', mode='disarmed')
    assert called == steps
    assert time.monotonic() - begin >= 5.0  # the robot refuses to be unlocked sooner
    assert robot.sent == []


def test_motion_needs_the_deadman_button_and_its_release_needs_an_arm(start):
    robot, _ = start(load_robot_spec('agx_piper'), JointState, 'deadman_topic:=/joy',
                     'deadman_button:=1', 'deadman_timeout:=2.0')
    wait_until(lambda: 'deadman_released: nothing received on /joy' in robot.arm().message, 60.0,
               'a refusal')
    joy = robot.node.create_publisher(Joy, '/joy', 10)
    buttons = Joy(buttons=[0, 1])
    robot.node.create_timer(0.05, lambda: joy.publish(buttons))
    robot.wait_until_armed()
    robot.send()
    wait_until(lambda: robot.sent and robot.sent[-1].position[0] > 0.02, 60.0, 'motion')
    buttons.buttons = [1, 0]
    robot.wait_for(mode='holding', reason='deadman_released')
    assert robot.status['detail'] == 'button 1 on /joy is not held down'
    buttons.buttons = [0, 1]

    def last() -> set[float]:
        return {message.position[0] for message in robot.sent[-50:]}
    wait_until(lambda: len(last()) == 1, 60.0, 'a standing arm')
    held = last()
    robot.send()
    time.sleep(0.5)
    robot.wait_for(mode='holding', reason='deadman_released')
    assert last() == held
    robot.wait_until_armed()


def enabled_by(robot) -> list[bool]:
    """Serve a Piper's enabling; return what is asked of it."""
    asked: list[bool] = []

    def enable(request, response):
        asked.append(request.data)
        response.success = True
        return response
    robot.node.create_service(SetBool, '/enable_agx_arm', enable)
    return asked


def test_a_piper_is_enabled_and_told_to_stay_where_it_is(start):
    robot, _ = start(load_robot_spec('agx_piper'), JointState)
    asked = enabled_by(robot)
    wait_until(lambda: robot.status.get('state_age_s'), 60.0, 'states')
    assert robot.recover().success
    robot.wait_for(recovery='done', mode='disarmed')
    assert asked == [True]
    wait_until(lambda: robot.sent, 60.0, 'the measured pose')
    assert list(robot.sent[0].position) == pytest.approx(robot.spec.home_positions.tolist())
    assert len(robot.sent) == 1


def test_a_dry_run_reaches_no_driver(start):
    robot, process = start(load_robot_spec('piper'), JointState, 'dry_run:=true')
    shadow = []
    robot.node.create_subscription(JointState, '/dry_run/joint_states', shadow.append, 100)
    robot.wait_until_armed()
    robot.send()
    wait_until(lambda: shadow and shadow[-1].position[0] > 0.02, 5.0, 'motion in the shadow')
    assert robot.sent == []
    assert 'joint_state on /dry_run/joint_states' in process.output


def test_hazard_a_recovery_in_a_dry_run_would_start_a_real_arm_so_it_is_refused(start):
    robot, _ = start(load_robot_spec('agx_piper'), JointState, 'dry_run:=true')
    asked = enabled_by(robot)
    answer = robot.recover()
    assert not answer.success
    assert 'dry_run:=true calls no driver' in answer.message
    time.sleep(1.0)
    assert asked == []
    robot.wait_for(recovery='', mode='disarmed')


def test_messages_that_are_not_installed_are_one_clear_line(tmp_path):
    process = Process(['-c', 'import sys; sys.modules["control_msgs"] = None\n'
                       'from faster_ros.nodes.control_node import main; main(["--ros-args", "-p", '
                       '"robot:=ur5e"])'], own_domain(), tmp_path / 'log')
    assert process.wait() == 1
    assert 'needs the messages of control_msgs' in process.output
    assert 'Traceback' not in process.output
