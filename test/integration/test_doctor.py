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
"""The doctor over real topics: what is wrong turns its line red, what is mended turns it green."""

import json
from pathlib import Path
import re

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from faster_ros.bringup import default_checkpoint
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import load_robot_spec
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
import yaml

FR3 = load_robot_spec('fr3')
PATIENCE_S = 60.0


def documented_file(folder):
    """Write the robot file of docs/add_a_robot.md as it stands there; return its path."""
    page = (Path(__file__).parents[2] / 'docs' / 'add_a_robot.md').read_text()
    (text,) = re.findall(r'^```yaml\n(.*?)^```', page, re.MULTILINE | re.DOTALL)
    path = folder / 'my_arm.yaml'
    path.write_text(text)
    return path


class Robot(Peer):
    """The drivers of an arm at rest with two small cameras; each can be put wrong."""

    def __init__(self, domain: int, spec) -> None:
        self.spec = spec
        self.mend()
        self.verdict: dict[str, DiagnosticStatus] = {}
        super().__init__(domain)
        node = self.node
        self._states = node.create_publisher(JointState, spec.state_topic, 10)
        self._images = {name: node.create_publisher(Image, camera.topic, qos.CAMERA)
                        for name, camera in spec.cameras.items()}
        for topic in (spec.command_topic, spec.gripper.topic):
            node.create_subscription(JointTrajectory, topic, lambda _: None, 10)
        node.create_subscription(DiagnosticArray, 'doctor/verdict', self._on_verdict, qos.LATCHED)
        self._arm = node.create_client(SetBool, 'control_node/arm')
        self._check = node.create_client(Trigger, 'doctor_node/check')
        node.create_timer(0.02, self._publish_state)
        node.create_timer(0.05, self._publish_images)

    def mend(self) -> None:
        self.names = list(self.spec.joint_names)
        self.encoding = 'rgb8'
        self.dark: set[str] = set()
        self.late_ns = 0

    def arm(self, value: bool = True) -> SetBool.Response:
        return self.call(self._arm, SetBool.Request(data=value), PATIENCE_S)

    def check(self) -> bool:
        """Let the doctor examine anew; return whether nothing is critical."""
        before = self.verdict
        self.call(self._check, Trigger.Request(), PATIENCE_S)
        wait_until(lambda: self.verdict is not before, PATIENCE_S, 'the verdict')
        return not self.critical()

    def critical(self) -> dict[str, str]:
        """Return the remedies of the critical lines by check."""
        return {name: values_of(status)['remedy'] for name, status in self.verdict.items()
                if status.level == DiagnosticStatus.ERROR}

    def _publish_state(self) -> None:
        message = JointState(name=self.names, position=[
            float(value) for value in self.spec.home_positions[:len(self.names)]])
        message.velocity = [0.0] * len(self.names)
        message.header.stamp = conversions.to_time(self.now_ns() - self.late_ns)
        self._states.publish(message)

    def _publish_images(self) -> None:
        for name, publisher in self._images.items():
            if name in self.dark:
                continue
            camera = self.spec.cameras[name]
            message = Image(width=camera.width, height=camera.height, step=3 * camera.width,
                            encoding=self.encoding, data=bytes(3 * camera.width * camera.height))
            message.header.stamp = conversions.to_time(self.now_ns())
            publisher.publish(message)

    def _on_verdict(self, message: DiagnosticArray) -> None:
        self.verdict = {status.name: status for status in message.status}


@pytest.fixture(scope='module')
def robot(tmp_path_factory):
    """Give the drivers and a control_node that arms only with the doctor's consent."""
    folder = tmp_path_factory.mktemp('doctor')
    values = FR3.to_dict() | {'state_max_age_s': 1.0, 'state_rate_hz': 50.0}
    for camera in values['cameras'].values():
        camera.update(width=64, height=48, rate_hz=20.0, max_age_s=2.0)
    file = folder / 'patient.yaml'  # a busy machine may lose a second
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    domain = own_domain()
    robot = Robot(domain, load_robot_spec(str(file)))
    robot.file, robot.domain, robot.folder = file, domain, folder
    process = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p',
                       f'robot:={file}', '-p', 'require_doctor:=true'], domain, folder / 'control')
    try:
        process.wait_for('disarmed', PATIENCE_S)
        yield robot
    finally:
        process.stop()
        robot.close()


@pytest.fixture(scope='module')
def doctor(robot):
    """Start a doctor_node that examines once and then only when it is asked."""
    process = Process(['-m', 'faster_ros.nodes.doctor_node', '--ros-args', '-p',
                       f'robot:={robot.file}', '-p', 'seconds:=1.0', '-p', 'period:=3600.0',
                       '-p', f'checkpoint:={default_checkpoint()}'],
                      robot.domain, robot.folder / 'doctor')
    try:
        process.wait_for('critical: the arm', PATIENCE_S)
        yield process
    finally:
        process.stop()


def test_without_a_doctor_arming_is_refused(robot):
    answer = robot.arm()
    assert not answer.success
    assert 'nobody publishes /doctor/verdict; expected doctor_node' in answer.message


def rival(robot):
    return robot.node.create_publisher(JointTrajectory, robot.spec.command_topic, 10)


@pytest.mark.parametrize(('fault', 'check', 'remedy'), [
    ({'encoding': 'bayer_rggb8'}, 'front image', 'set the colour format of the camera driver'),
    ({'names': list(FR3.joint_names[:-1])}, 'joint names',
     'start what publishes the missing joint'),
    ({'names': [f'left_{name}' for name in FR3.joint_names]}, 'joint names',
     'joint_prefix:=left_'),
    ({'dark': {'wrist'}}, 'wrist camera', 'Fast DDS'),
    ({'late_ns': 30 * 10**9}, 'joint stamps', 'synchronise the clocks'),
    ({'rival': True}, 'arm senders', 'stop it: a leader arm'),
])
def test_a_fault_is_red_with_its_remedy_forbids_to_arm_and_turns_green_when_mended(
        robot, doctor, fault, check, remedy):
    publisher = rival(robot) if fault.pop('rival', False) else None
    vars(robot).update(fault)
    assert not robot.check()
    assert check in robot.critical()
    assert remedy in robot.critical()[check]
    refused = robot.arm()
    assert not refused.success
    assert refused.message.startswith('the doctor says ')
    assert f'{check}: {robot.verdict[check].message}' in refused.message

    robot.mend()
    if publisher is not None:
        robot.node.destroy_publisher(publisher)
    wait_until(lambda: robot.check(), PATIENCE_S, lambda: str(robot.critical()))
    wait_until(lambda: robot.arm().success, PATIENCE_S, 'the consent')
    assert robot.arm(False).success


def test_arming_is_refused_again_when_the_doctor_has_ended(robot, doctor):
    assert robot.check()
    assert doctor.stop() == 0
    wait_until(lambda: 'nobody publishes' in robot.arm().message, PATIENCE_S, 'a refusal')


def test_the_simulated_arm_is_green_and_one_without_a_driver_is_red(tmp_path):
    domain = own_domain()
    sim = Process(['-m', 'faster_ros.nodes.sim_node'], domain, tmp_path / 'sim')
    try:
        sim.wait_for('physics 250 Hz', PATIENCE_S)
        code, report, table = examine(domain, tmp_path, 'robot:=fr3',
                                      f'checkpoint:={default_checkpoint()}')
        states = {line['check']: line['state'] for line in report['lines']}
        assert 'critical' not in states.values(), table
        assert code == report['exit_code'] <= 1
        for check in ('joint names', 'joint units', 'front image', 'wrist image', 'arm receiver',
                      'arm senders', 'gripper receiver', 'checkpoint', 'start pose', 'packages'):
            assert states[check] == 'ok', table
        code, report, table = examine(domain, tmp_path, '--robot', 'ur5e')
        red = {line['check']: line for line in report['lines'] if line['state'] == 'critical'}
        assert code == report['exit_code'] == 2
        assert 'is this the robot that is connected?' in red['joint names']['remedy']
        assert red['arm receiver']['found'].startswith('nobody takes commands on /scaled_joint')
        assert red['driver ready']['remedy'] in ' '.join(table.split())
    finally:
        sim.stop()


def test_the_robot_file_of_the_documentation_is_green_before_its_drivers(tmp_path):
    file, domain = documented_file(tmp_path), own_domain()
    robot = Robot(domain, load_robot_spec(str(file)))
    # Something that is called as a controller manager's service and cannot be asked.
    robot.node.create_service(Trigger, '/controller_manager/list_controllers',
                              lambda _, response: response)
    try:
        code, report, table = examine(domain, tmp_path, f'robot:={file}')
        (line,) = [line for line in report['lines'] if line['check'] == 'arm controller']
        assert line['state'] == 'warning' and 'list_controllers' in line['remedy'], table
        assert [line for line in report['lines'] if line['state'] == 'critical'] == [], table
        assert code <= 1
    finally:
        robot.close()


def examine(domain, folder, *words):
    """Run the command line; return its exit code, its report and what it printed."""
    file = folder / 'report.json'
    process = Process(['-m', 'faster_ros.cli.main', 'doctor', *words, '--seconds', '2', '--json',
                       str(file)], domain, folder / 'doctor')
    code = process.wait(PATIENCE_S)
    assert file.exists(), process.output
    return code, json.loads(file.read_text()), process.output
