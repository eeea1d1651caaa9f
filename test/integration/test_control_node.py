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
"""control_node in its own process, over real topics, in front of an arm that follows."""

import signal
import time

from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import ActionChunk
from faster_ros.kinematics import Kinematics
from faster_ros.nodes import conversions, qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.robot_spec import load_robot_spec
from geometry_msgs.msg import Quaternion, Transform, Vector3
import numpy as np
import pytest
from ros_process import own_domain, Peer, Process, wait_until
from rosgraph_msgs.msg import Clock
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import (
    JointTrajectory,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
)
import yaml

SPEC = load_robot_spec('fr3')
HOME = SPEC.home_positions


class Arm(Peer):
    """A robot that is where it was commanded to be, and the policy that commands it."""

    def __init__(self, domain: int) -> None:
        self.positions = HOME.copy()
        self.names = list(SPEC.joint_names)
        self.silent = False
        self.others: list[str] = []
        self.status: dict[str, str] = {}
        self.sent = 0
        self.gripper_sent: list[float] = []
        super().__init__(domain)
        node = self.node
        self._states = node.create_publisher(JointState, SPEC.state_topic, 10)
        self._chunks = node.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        self.fresh_until = node.create_publisher(Time, 'policy/fresh_until', qos.SENSOR)
        node.create_subscription(JointTrajectory, SPEC.command_topic, self._on_command, 10)
        node.create_subscription(JointTrajectory, SPEC.gripper.topic, self._on_gripper, 10)
        node.create_subscription(DiagnosticStatus, '/control_node/status', self._on_status, 10)
        self.plans: list[JointTrajectory] = []
        node.create_subscription(JointTrajectory, 'policy/plan', self.plans.append, qos.LATCHED)
        self._arm = node.create_client(SetBool, '/control_node/arm')
        self._triggers = {name: node.create_client(Trigger, f'/control_node/{name}')
                          for name in ('reset', 'stop', 'recover')}
        self.simulation_says = True, ''
        node.create_service(Trigger, '/sim_node/reset', self._on_reset)
        node.create_timer(0.01, self._publish_state)

    def _publish_state(self) -> None:
        if self.silent:
            return
        order = np.random.default_rng(self.now_ns()).permutation(len(self.names))
        message = JointState(name=[self.names[place] for place in order])
        message.position = [float(self.positions[place]) for place in order]
        message.velocity = [0.0] * len(order)
        message.header.stamp = conversions.to_time(self.now_ns())
        self._states.publish(message)
        if self.others:  # of another node, right behind
            self._states.publish(JointState(header=message.header, name=self.others,
                                            position=[0.0] * len(self.others)))

    def _on_command(self, message: JointTrajectory) -> None:
        assert tuple(message.joint_names) == SPEC.arm_joint_names
        assert list(message.points[-1].velocities) == [0.0] * 7
        self.positions[:7] = message.points[0].positions
        self.sent += 1

    def _on_gripper(self, message: JointTrajectory) -> None:
        self.positions[7] = message.points[0].positions[0]
        self.gripper_sent.append(self.positions[7])

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.status = values_of(message)

    def arm(self, value: bool = True) -> SetBool.Response:
        return self.call(self._arm, SetBool.Request(data=value))

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self.simulation_says
        return response

    def trigger(self, name: str) -> Trigger.Response:
        return self.call(self._triggers[name], Trigger.Request())

    def send(self, goal: float | None = None, names=SPEC.joint_names, **values) -> None:
        """Send a chunk: the first joint to ``goal`` within a second, ``values`` by column."""
        actions = np.tile(self.positions, (16, 1))
        if goal is not None:
            start = self.positions[0]
            actions[:, 0] = start + (goal - start) * np.minimum(np.arange(16) / 10, 1.0)
        for column, value in values.items():
            actions[:, int(column[1:])] = value
        self._chunks.publish(conversions.chunk_to_message(
            ActionChunk(self.now_ns(), 100_000_000, actions, tuple(names))))

    def wait_for(self, **values: str) -> None:
        wait_until(lambda: all(self.status.get(key) == value for key, value in values.items()),
                   60.0, lambda: f'status {values} (is {self.status})')

    def run(self) -> None:
        """Arm and begin to follow a chunk."""
        answer = self.arm()
        assert answer.success, answer.message
        self.send(goal=self.positions[0] + 0.3)
        self.wait_for(mode='running', waiting='false')


@pytest.fixture(scope='module')
def robot(tmp_path_factory):
    domain = own_domain()
    folder = tmp_path_factory.mktemp('control')
    robot_file = folder / 'patient.yaml'  # a busy machine may lose 0.2 s
    robot_file.write_text(yaml.safe_dump(SPEC.to_dict() | {'state_max_age_s': 0.4},
                                         sort_keys=False))
    process = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p',
                       f'robot:={robot_file}'], domain, folder / 'log')
    arm = Arm(domain)
    arm.process = process
    try:
        process.wait_for('disarmed')
        wait_until(lambda: arm.status and arm.status['state_age_s'], 10.0, 'a status')
        yield arm
    finally:
        process.stop()
        arm.close()


def test_a_chunk_of_tool_poses_is_followed_and_one_out_of_reach_holds(tmp_path):
    domain = own_domain()
    process = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p',
                       'pose_chunks:=true'], domain, tmp_path / 'log')
    arm = Arm(domain)
    try:
        process.wait_for('disarmed')
        wait_until(lambda: arm.status and arm.status['state_age_s'], 10.0, 'a status')
        poses = arm.node.create_publisher(MultiDOFJointTrajectory, 'policy/chunk_ee', qos.COMMAND)
        wait_until(lambda: poses.get_subscription_count() == 1, 10.0, 'who follows poses')
        kinematics = Kinematics(SPEC)
        place, turn = kinematics.forward(HOME[:7])

        def send(height: float) -> None:
            quaternion = dict(zip('xyzw', Rotation.from_matrix(turn).as_quat().tolist()))
            message = MultiDOFJointTrajectory(joint_names=[SPEC.tool_frame, SPEC.gripper.joint])
            message.header.frame_id = SPEC.base_frame
            message.header.stamp = conversions.to_time(arm.now_ns())
            for row in range(16):
                way = dict(zip('xyz', (place + [0.0, 0.0, height * row / 15]).tolist()))
                message.points.append(MultiDOFJointTrajectoryPoint(
                    transforms=[Transform(translation=Vector3(**way),
                                          rotation=Quaternion(**quaternion)),
                                Transform(translation=Vector3(x=0.04))],
                    time_from_start=Duration(sec=row // 10, nanosec=row % 10 * 10**8)))
            poses.publish(message)

        answer = arm.arm()
        assert answer.success, answer.message
        send(0.1)
        wait_until(lambda: kinematics.forward(arm.positions[:7])[0][2] > place[2] + 0.095, 10.0,
                   lambda: f'the pose (status {arm.status})')
        reached, attitude = kinematics.forward(arm.positions[:7])
        assert np.abs(reached - place)[:2].max() < 2e-3 and np.abs(attitude - turn).max() < 5e-3
        send(3.0)
        arm.wait_for(mode='holding', reason='chunk_invalid')
        assert arm.status['detail'].startswith('pose_')  # out of reach, or a jump to get there
    finally:
        process.stop()
        arm.close()


@pytest.fixture
def arm(robot):
    """Give the robot at rest, disarmed, with all its joint states."""
    robot.silent, robot.names, robot.others = False, list(SPEC.joint_names), []
    robot.arm(False)
    robot.wait_for(mode='disarmed')
    wait_until(lambda: float(robot.status['state_age_s']) < 0.1, 5.0, 'fresh states')
    time.sleep(0.4)
    robot.gripper_sent.clear()
    return robot


def assert_held(arm: Arm, reason: str) -> None:
    """Check that the arm holds for this reason, goes nowhere, and moves again when armed."""
    arm.wait_for(mode='holding', reason=reason)
    time.sleep(0.4)
    held = arm.positions.copy()
    arm.silent, arm.names = False, list(SPEC.joint_names)
    time.sleep(0.1)
    arm.send(goal=held[0] + 0.3)
    time.sleep(0.3)
    np.testing.assert_array_equal(arm.positions, held)
    arm.run()
    wait_until(lambda: abs(arm.positions[0] - held[0]) > 0.05, 3.0, 'motion after arming')


def test_disarmed_at_start_a_chunk_moves_nothing(arm):
    before = arm.sent
    arm.send(goal=0.5)
    time.sleep(0.4)
    assert arm.sent == before
    assert arm.status['mode'] == 'disarmed'


def test_an_armed_arm_follows_the_chunk_to_its_end(arm):
    goal = arm.positions[0] + 0.3
    arm.run()
    wait_until(lambda: abs(arm.positions[0] - goal) < 2e-3, 3.0, 'the goal')


def test_the_plan_is_told_with_each_chunk_and_taken_back_when_the_arm_holds(arm):
    arm.run()
    wait_until(lambda: arm.plans and arm.plans[-1].points, 5.0, 'a plan')
    plan = conversions.chunk_from_message(arm.plans[-1])
    assert plan.names == SPEC.joint_names
    assert plan.actions[-1, 0] - plan.actions[0, 0] == pytest.approx(0.3, abs=0.01)
    arm.trigger('stop')
    wait_until(lambda: not arm.plans[-1].points, 5.0, 'an empty plan')


def test_the_gripper_closes_exactly_and_is_sent_only_when_it_changes(arm):
    assert arm.arm().success
    arm.send(c7=0.0)
    wait_until(lambda: abs(arm.positions[7]) < 1e-9, 3.0, 'a closed gripper')
    arm.send(c7=0.0)
    time.sleep(0.5)
    sent = len(arm.gripper_sent)
    time.sleep(0.5)
    assert len(arm.gripper_sent) <= sent + 1


def test_stale_joint_states_hold(arm):
    arm.run()
    arm.silent = True
    arm.wait_for(mode='holding', reason='joint_state_stale')
    time.sleep(0.4)  # it brakes first, and says that instead
    refused = arm.arm()
    assert not refused.success
    assert 'limit 0.4 s' in refused.message
    assert_held(arm, 'joint_state_stale')


def test_a_joint_that_is_missing_in_the_states_holds_and_is_named(arm):
    arm.run()
    arm.names = [name.replace('fr3_joint5', 'joint5') for name in arm.names]
    arm.wait_for(mode='holding', reason='joint_missing')
    assert 'lacks fr3_joint5; it has' in arm.status['detail']
    assert_held(arm, 'joint_missing')


def test_joints_of_other_hardware_on_the_topic_are_no_fault_and_push_no_state_aside(arm):
    before = len(arm.process.output)
    arm.others = ['pan', 'tilt']
    arm.run()
    ages = []
    for _ in range(20):
        time.sleep(0.1)
        ages.append(float(arm.status['state_age_s']))
    assert np.median(ages) < 0.1
    assert 'lacks' not in arm.process.output[before:]
    assert arm.status['reason'] != 'joint_state_stale'


def test_incomplete_states_that_alternate_with_complete_ones_are_one_line_of_the_log(arm):
    time.sleep(2.5)  # those of an earlier test are over
    before = len(arm.process.output)
    arm.others = ['fr3_joint1']
    wait_until(lambda: 'lacks fr3_joint2' in arm.process.output[before:], 60.0, 'the line')
    time.sleep(2.0)
    assert arm.process.output[before:].count('are complete again') == 0
    assert arm.process.output[before:].count('lacks fr3_joint2') == 1
    arm.others = []
    wait_until(lambda: 'are complete again' in arm.process.output[before:], 60.0,
               'the end of the fault')


def test_a_chunk_with_nan_holds_and_is_named(arm):
    arm.run()
    arm.send(c2=np.nan)
    arm.wait_for(mode='holding', reason='chunk_invalid')
    assert 'nan for fr3_joint3 in row 0' in arm.status['detail']
    assert_held(arm, 'chunk_invalid')
    assert arm.process.output.count('holding chunk_invalid: chunk has nan') == 1


def test_a_chunk_with_wrong_joints_holds_and_is_named(arm):
    arm.run()
    arm.send(names=[f'ur_{place}' for place in range(8)])
    arm.wait_for(mode='holding', reason='chunk_invalid')
    assert 'has joints ur_0' in arm.status['detail']
    assert_held(arm, 'chunk_invalid')


def test_a_first_target_far_from_the_arm_holds_and_names_the_joint(arm):
    assert arm.arm().success
    arm.send(c3=HOME[3] + 0.4)
    arm.wait_for(mode='holding', reason='too_far_at_engage')
    assert 'fr3_joint4' in arm.status['detail']
    assert_held(arm, 'too_far_at_engage')


def test_when_the_chunks_stop_the_arm_holds(arm):
    arm.run()
    arm.wait_for(mode='holding', reason='chunk_starved')
    assert int(arm.status['starved_ticks']) > 0
    assert_held(arm, 'chunk_starved')


def test_when_the_policy_no_longer_vouches_for_its_images_the_arm_holds_in_mid_chunk(arm):
    arm.run()
    wait_until(lambda: arm.fresh_until.get_subscription_count() == 1, 5.0, 'control_node')
    arm.fresh_until.publish(conversions.to_time(arm.now_ns()))
    arm.wait_for(mode='holding', reason='images_stale')
    assert 'a camera is lost, or policy_node hangs' in arm.status['detail']
    assert_held(arm, 'images_stale')


def test_a_reset_forgets_the_trajectory(arm):
    arm.run()
    assert arm.trigger('reset').success
    arm.wait_for(mode='running', waiting='true')


def test_a_stop_brakes_disarms_says_who_and_needs_an_arm(arm):
    arm.run()
    wait_until(lambda: arm.positions[0] > HOME[0] + 0.02, 60.0, 'motion')
    assert arm.trigger('stop').success
    arm.wait_for(mode='disarmed', reason='stopped')
    sent = -1
    while sent != arm.sent:  # it brakes
        sent = arm.sent
        time.sleep(0.2)
    held = arm.positions.copy()
    arm.send(goal=held[0] + 0.3)
    time.sleep(0.3)
    np.testing.assert_array_equal(arm.positions, held)
    arm.run()


def test_recover_disarms_performs_the_steps_and_never_arms(arm):
    arm.simulation_says = True, ''
    arm.run()
    assert arm.trigger('recover').success
    arm.wait_for(mode='disarmed', recovery='done')
    arm.run()


def test_a_recovery_that_fails_names_the_step_and_the_answer(arm):
    arm.simulation_says = False, 'no such layout'
    assert arm.trigger('recover').success
    wanted = ('failed in step 1 of 1, reset the simulation: /sim_node/reset did not succeed: no '
              'such layout')
    arm.wait_for(mode='disarmed', recovery=wanted)
    assert f'recovery {wanted}' in arm.process.output


def test_the_status_tells_how_regular_the_loop_is(arm):
    time.sleep(0.3)
    assert 0 <= float(arm.status['period_deviation_p50_ms'])
    assert float(arm.status['period_deviation_max_ms']) > 0


def test_the_status_tells_how_soon_a_command_follows_a_chunk(arm):
    assert arm.arm().success
    arm.send()
    wait_until(lambda: arm.status.get('chunk_to_command_p99_s'), 60.0, lambda: str(arm.status))
    assert 0 < float(arm.status['chunk_to_command_p99_s']) < 0.1


def test_a_wrong_parameter_is_one_clear_line(tmp_path):
    process = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p', 'blnd:=0.1'],
                      own_domain(), tmp_path / 'log')
    assert process.wait() == 1
    assert "has no parameter 'blnd'; did you mean blend?" in process.output
    assert 'Traceback' not in process.output


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path, number):
    process = Process(['-m', 'faster_ros.nodes.control_node'], own_domain(), tmp_path / 'log')
    process.wait_for('disarmed')
    assert process.stop(number) == 0
    assert 'Traceback' not in process.output


def test_the_control_process_imports_neither_torch_nor_mujoco(tmp_path):
    code = ('import sys\n'
            'from faster_ros.nodes import control_node\n'
            'try:\n    control_node.main()\n'
            'except SystemExit as end:\n'
            '    bad = {"torch", "mujoco", "transformers", "websockets"} & set(sys.modules)\n'
            '    print("code", end.code, "bad", sorted(bad))\n')
    process = Process(['-c', code], own_domain(), tmp_path / 'log')
    process.wait_for('disarmed')
    assert process.stop() == 0
    assert 'code 0 bad []' in process.output


class SlowArm(Arm):
    """An arm in simulated time, which passes at half of the real speed."""

    def __init__(self, domain: int) -> None:
        self._begin_ns = time.monotonic_ns()
        super().__init__(domain)
        self._clock = self.node.create_publisher(Clock, '/clock', 10)
        self.node.create_timer(0.004, self._publish_clock)

    def _publish_clock(self) -> None:
        self._clock.publish(Clock(clock=conversions.to_time(self.now_ns())))

    def now_ns(self) -> int:
        return 10**12 + (time.monotonic_ns() - self._begin_ns) // 2


@pytest.mark.slow
def test_a_chunk_is_executed_in_simulated_time(tmp_path):
    domain = own_domain()
    process = Process(['-m', 'faster_ros.nodes.control_node', '--ros-args', '-p', 'robot:=fr3',
                       '-p', 'use_sim_time:=true'], domain, tmp_path / 'log')
    arm = SlowArm(domain)
    arm.process = process
    try:
        wait_until(lambda: arm.status.get('state_age_s'), 60.0, lambda: str(arm.status))
        wait_until(lambda: arm.arm().success, 60.0, lambda: str(arm.status))
        goal, begin = arm.positions[0] + 0.3, time.monotonic()
        arm.send(goal=goal)
        wait_until(lambda: arm.positions[0] > goal - 0.03, 20.0, lambda: str(arm.status))
        assert time.monotonic() - begin > 1.5  # what the chunk does in 0.9 s
    finally:
        process.stop()
        arm.close()
