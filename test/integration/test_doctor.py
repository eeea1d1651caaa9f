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
from faster_ros.robots.arm_interface import ArmInterface
from geometry_msgs.msg import Twist
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory
import yaml

pytestmark = pytest.mark.slow  # several processes, for a minute

FR3 = load_robot_spec('fr3')
PATIENCE_S = 60.0


def patient(values, folder):
    """Write a robot file with small images that a busy machine may lose for seconds."""
    values |= {'state_max_age_s': 5.0, 'state_rate_hz': 50.0}
    for camera in values['cameras'].values():
        camera.update(width=64, height=48, rate_hz=20.0, max_age_s=5.0)
    path = folder / 'patient.yaml'
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def documented_robot():
    """Return the robot file of docs/add_a_robot.md."""
    page = (Path(__file__).parents[2] / 'docs' / 'add_a_robot.md').read_text()
    (text,) = re.findall(r'^```yaml\n(robot:.*?)^```', page, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(text)


class Robot(Peer):
    """The drivers of arms at rest with small cameras; each can be put wrong."""

    def __init__(self, domain: int, spec) -> None:
        self.spec = spec
        self.mend()
        self.verdict: dict[str, DiagnosticStatus] = {}
        super().__init__(domain)
        node = self.node
        self._states = {name: node.create_publisher(JointState, arm.state_topic, 10)
                        for name, (arm, _) in spec.parts.items()}
        self._images = {name: node.create_publisher(Image, camera.topic, qos.CAMERA)
                        for name, camera in spec.cameras.items()}
        for topic, kind in ArmInterface(spec).topics.items():
            node.create_subscription(kind, topic, lambda _: None, 10)
        node.create_subscription(DiagnosticArray, 'doctor/verdict', self._on_verdict, qos.LATCHED)
        self._arm = node.create_client(SetBool, 'control_node/arm')
        self._check = node.create_client(Trigger, 'doctor_node/check')
        node.create_timer(0.02, self._publish_state)
        node.create_timer(0.05, self._publish_images)

    def mend(self) -> None:
        self.names = {name: arm.driver_joint_names for name, (arm, _) in self.spec.parts.items()}
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

    def wait_for_red(self, *checks: str) -> None:
        """Examine until these are the lines that are critical, whatever a busy machine adds."""
        wait_until(lambda: not self.check() and set(checks) <= set(self.critical()), PATIENCE_S,
                   lambda: f"{', '.join(checks)} beside {self.critical()}")

    def wait_for_green(self) -> None:
        wait_until(self.check, PATIENCE_S, lambda: f'green instead of {self.critical()}')

    def critical(self) -> dict[str, str]:
        """Return the remedies of the critical lines by check."""
        return {name: values_of(status)['remedy'] for name, status in self.verdict.items()
                if status.level == DiagnosticStatus.ERROR}

    def _publish_state(self) -> None:
        for arm, (spec, _) in self.spec.parts.items():
            names = self.names[arm]
            message = JointState(name=names, velocity=[0.0] * len(names), position=[
                float(value) for value in spec.home_positions[:len(names)]])
            message.header.stamp = conversions.to_time(self.now_ns() - self.late_ns)
            self._states[arm].publish(message)

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
    file, domain = patient(FR3.to_dict(), folder), own_domain()
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
    """Give a doctor_node beside control_node."""
    process = doctor_node(robot.file, robot.domain, robot.folder, default_checkpoint())
    try:
        process.wait_for('critical: the arm', PATIENCE_S)
        yield process
    finally:
        process.stop()


def doctor_node(file, domain, folder, checkpoint=''):
    """Start a doctor_node that examines once and then only when it is asked."""
    return Process(['-m', 'faster_ros.nodes.doctor_node', '--ros-args', '-p', f'robot:={file}',
                    '-p', 'seconds:=0.5', '-p', 'period:=3600.0', '-p',
                    f"checkpoint:='{checkpoint}'"], domain, folder / 'doctor')


def test_without_a_doctor_arming_is_refused(robot):
    answer = robot.arm()
    assert not answer.success
    assert 'nobody publishes /doctor/verdict; expected doctor_node' in answer.message


@pytest.mark.parametrize(('fault', 'check', 'remedy'), [
    ({'encoding': 'bayer_rggb8'}, 'front image', 'set the colour format of the camera driver'),
    ({'names': {'': FR3.joint_names[:-1]}}, 'joint names',
     'start what publishes the missing joint'),
    ({'names': {'': [f'left_{name}' for name in FR3.joint_names]}}, 'joint names',
     'joint_prefix:=left_'),
    ({'dark': {'wrist'}}, 'wrist camera', 'Fast DDS'),
    ({'late_ns': 30 * 10**9}, 'joint stamps', 'synchronise the clocks'),
    ({}, 'arm senders', 'stop it: a leader arm'),
])
def test_a_fault_is_red_with_its_remedy_forbids_to_arm_and_turns_green_when_mended(
        robot, doctor, fault, check, remedy):
    rivals = [] if fault else [
        robot.node.create_publisher(JointTrajectory, robot.spec.command_topic, 10)]
    vars(robot).update(fault)
    try:
        robot.wait_for_red(check)
        assert remedy in robot.critical()[check]
        refused = robot.arm()
        assert not refused.success
        assert refused.message.startswith('the doctor says ')
        assert f'{check}: {robot.verdict[check].message}' in refused.message
    finally:
        robot.mend()
        for publisher in rivals:
            robot.node.destroy_publisher(publisher)
    robot.wait_for_green()
    wait_until(lambda: robot.arm().success, PATIENCE_S, 'the consent')
    assert robot.arm(False).success


def test_arming_is_refused_again_when_the_doctor_has_ended(robot, doctor):
    robot.wait_for_green()
    assert doctor.stop() == 0
    wait_until(lambda: 'nobody publishes' in robot.arm().message, PATIENCE_S, 'a refusal')


def test_two_arms_and_a_base_have_lines_of_their_own(tmp_path):
    file = patient(load_robot_spec('cobot_magic_mobile').to_dict(), tmp_path)
    domain = own_domain()
    robot = Robot(domain, load_robot_spec(str(file)))
    process = doctor_node(file, domain, tmp_path)
    try:
        process.wait_for('critical: the arm', PATIENCE_S)
        robot.wait_for_green()
        green = {name for name, status in robot.verdict.items()
                 if status.level == DiagnosticStatus.OK}
        for check in ('joint names', 'joint units', 'arm receiver', 'arm senders', 'joint limits'):
            assert {f'left {check}', f'right {check}'} <= green
        assert {'base receiver', 'base senders', 'front image', 'left image', 'packages'} <= green

        robot.names['right'] = robot.names['right'][:-1]
        robot.node.create_publisher(Twist, robot.spec.base.topic, 10)
        robot.wait_for_red('right joint names', 'base senders')
        assert 'start what publishes the missing joint' in robot.critical()['right joint names']
        assert 'a joystick' in robot.critical()['base senders']
        assert not {'left joint names', 'left arm senders', 'right arm senders'} & set(
            robot.critical())
    finally:
        process.stop()
        robot.close()


def test_the_simulated_arm_is_green_and_one_without_a_driver_is_red(tmp_path):
    file, domain = patient(FR3.to_dict(), tmp_path), own_domain()
    sim = Process(['-m', 'faster_ros.nodes.sim_node', '--ros-args', '-p', f'robot:={file}'],
                  domain, tmp_path / 'sim')
    try:
        sim.wait_for('physics 250 Hz', PATIENCE_S)
        report, table = examine(domain, tmp_path, 1, f'robot:={file}',
                                f'checkpoint:={default_checkpoint()}')
        states = {line['check']: line['state'] for line in report['lines']}
        for check in ('joint names', 'joint units', 'front image', 'wrist image', 'arm receiver',
                      'arm senders', 'gripper receiver', 'checkpoint', 'start pose', 'packages'):
            assert states[check] == 'ok', table
        report, table = examine(domain, tmp_path, 2, '--robot', 'ur5e')
        red = {line['check']: line for line in report['lines'] if line['state'] == 'critical'}
        assert 'is this the robot that is connected?' in red['joint names']['remedy']
        assert red['arm receiver']['found'].startswith('nobody takes commands on /scaled_joint')
        assert red['driver ready']['remedy'] in ' '.join(table.split())
    finally:
        sim.stop()


def test_the_robot_file_of_the_documentation_is_green_before_its_drivers(tmp_path):
    file, domain = patient(documented_robot(), tmp_path), own_domain()
    robot = Robot(domain, load_robot_spec(str(file)))
    # Something that is called as a controller manager's service and cannot be asked.
    robot.node.create_service(Trigger, '/controller_manager/list_controllers',
                              lambda _, response: response)
    try:
        report, table = examine(domain, tmp_path, 1, f'robot:={file}')
        (line,) = [line for line in report['lines'] if line['check'] == 'arm controller']
        assert line['state'] == 'warning' and 'list_controllers' in line['remedy'], table
    finally:
        robot.close()


def examine(domain, folder, wanted, *words):
    """
    Run the command line until its exit code is the wanted one, or 0 instead of 1.

    Return its report and what it printed. Peers that a busy machine has not discovered in time
    are critical lines, so there are three tries.
    """
    file = folder / 'report.json'
    for _ in range(3):
        process = Process(['-m', 'faster_ros.cli.main', 'doctor', *words, '--seconds', '2',
                           '--json', str(file)], domain, folder / 'doctor')
        code = process.wait(PATIENCE_S)
        assert file.exists(), process.output
        report = json.loads(file.read_text())
        assert code == report['exit_code']
        if code == wanted or code < wanted == 1:
            return report, process.output
    raise AssertionError(f'expected exit code {wanted}:\n{process.output}')
