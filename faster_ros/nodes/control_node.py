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
"""
Turns chunks of actions into commands for the arm, at a fixed rate and under supervision.

The decisions are in ``runtime``: this node declares, connects and logs. Its loop runs in an own
thread on the steady clock; stamps are on the ROS clock. It imports neither torch nor mujoco.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import inf
import sys
from threading import Lock
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.nodes import conversions, diagnostics, qos
from faster_ros.nodes.driver_link import DriverLink
from faster_ros.nodes.paced_thread import PacedThread
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.robots.arm_interface import CommandOptions
from faster_ros.runtime.clock_offset import ClockOffset
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.runtime.joint_states import JointStates
from faster_ros.runtime.latency import LatencyWindow
from faster_ros.runtime.scheduling import request_real_time
from faster_ros.runtime.supervisor import Gates
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

_STATUS_RATE_HZ = 10.0
_LONGEST_STOP_S = 1.0


@dataclass(frozen=True)
class ControlParameters:
    """Parameters of control_node."""

    robot: str = parameter('fr3', 'robot name or path of its YAML file')
    rate_hz: float = parameter(0.0, "commands per second in Hz; 0 takes the robot file's rate",
                               0.0, 1000.0)
    blend: float = parameter(0.12, 'length of the seam between two chunks in s', 0.0, 1.0)
    command_lead: float = parameter(0.02, 'time from sending a set point to its due time in s',
                                    0.001, 0.2)
    actuation_latency: float = parameter(0.0, 'measured delay of the arm behind its set points '
                                         'in s, made up for by commanding earlier', 0.0, 0.5)
    engage_distance: float = parameter(0.1, 'largest distance of the first target from the '
                                       'measured pose in rad', 0.001, 3.2)
    tracking_error: float = parameter(0.3, 'largest distance between commanded and measured '
                                      'joint in rad', 0.001, 3.2)
    starve_grace: float = parameter(0.5, 'time without actions after which the arm must be '
                                    'armed again in s', 0.0, 60.0)
    stamp_commands: bool = parameter(True, 'state when a trajectory starts; false lets the '
                                     'receiver start it on arrival')
    gripper_repeat: float = parameter(1.0, 'time after which an unchanged gripper command is '
                                      'sent again in s', 0.05, 60.0)
    dry_run: bool = parameter(False, 'command nothing: every topic gets the prefix /dry_run, no '
                              'action is called, and the arm need not follow')
    pose_chunks: bool = parameter(False, 'also follow chunks of tool poses on policy/chunk_ee, by '
                                  'inverse kinematics')
    realtime_priority: int = parameter(20, 'SCHED_FIFO priority to ask for; 0 asks for none',
                                       0, 99)


class ControlNode(Node):
    """Subscribes chunks and joint states, publishes commands; see ``docs/interfaces.md``."""

    def __init__(self) -> None:
        super().__init__('control_node')
        parameters = self._config = declare(self, ControlParameters)
        # Before any thread starts: the loop waits for Python's lock, so all must be as urgent.
        priority = parameters.realtime_priority
        self._real_time = priority > 0 and request_real_time(priority)
        spec = self._spec = load_robot_spec(parameters.robot)
        rate_hz = parameters.rate_hz or spec.command_rate_hz
        gates = Gates(parameters.engage_distance,
                      inf if parameters.dry_run else parameters.tracking_error,
                      parameters.starve_grace)
        self._controller = MotionController(spec, MotionConfig(
            parameters.blend, parameters.command_lead + parameters.actuation_latency, gates),
            rate_hz)
        self._lock = Lock()  # of the controller: the loop and the callbacks use it
        self._log = diagnostics.EdgeLog(self.get_logger())
        self._states = JointStates(spec)
        self._state: RobotState | None = None
        self._offset = ClockOffset()
        self._chunk_age = LatencyWindow(warm_up=0)
        self._incomplete = ''
        self._sent = 0
        self._last_mode = ''
        self._thread = PacedThread(rate_hz, self._tick, self._loop_failed)
        self._driver = DriverLink(self, spec, CommandOptions(
            round(parameters.command_lead * 1e9), parameters.stamp_commands,
            round(parameters.gripper_repeat * 1e9), parameters.dry_run), self._log,
            self._on_driver)
        self._connect(spec)
        self._log_table(spec, rate_hz)
        self._thread.start()

    def _connect(self, spec: RobotSpec) -> None:
        self._command_topic = self.create_publisher(JointState, '~/command', qos.COMMAND)
        self._status_topic = self.create_publisher(DiagnosticStatus, '~/status', qos.STATUS)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.STATUS)
        self._polled = [self._subscribe_states(name, arm)
                        for name, (arm, _) in spec.parts.items()]
        self.create_subscription(JointTrajectory, 'policy/chunk', self._on_chunk, qos.COMMAND)
        if self._config.pose_chunks:
            self._connect_pose_chunks(spec)
        self.create_subscription(String, 'policy/problem', self._on_policy_problem, qos.LATCHED)
        self.create_service(SetBool, '~/arm', self._on_arm)
        self.create_service(Trigger, '~/reset', self._on_reset)
        self.create_timer(1.0 / _STATUS_RATE_HZ, self._publish_status)

    def _connect_pose_chunks(self, spec: RobotSpec) -> None:
        from faster_ros.runtime.pose_solver import PoseSolver  # with the kinematics: few need it

        solver = PoseSolver(spec)

        def on_chunk(message: MultiDOFJointTrajectory) -> None:
            with self._lock:
                start = self._controller.goes_on_from(self._state)
            self._take_chunk(lambda: solver.to_joints(
                conversions.pose_chunk_from_message(message, spec), start))

        self.create_subscription(MultiDOFJointTrajectory, 'policy/chunk_ee', on_chunk, qos.COMMAND)

    def _log_table(self, spec: RobotSpec, rate_hz: float) -> None:
        self.get_logger().info('\n'.join([
            'control_node',
            f'  robot    {spec.robot}: {", ".join(spec.joint_names)}',
            f"  states   {' and '.join(spec.state_topics)}, at most {spec.state_max_age_s:g} s "
            "old",
            f'  chunks   {self.resolve_topic_name("policy/chunk")}',
            *self._driver.table(rate_hz),
            f'  limits   {spec.velocity_scale:.0%} of velocity, {spec.acceleration_scale:.0%} of '
            'acceleration',
            f'  priority {self._priority_text()}',
            '  disarmed: call ~/arm to allow motion']))

    def _priority_text(self) -> str:
        if self._real_time:
            return f'SCHED_FIFO {self._config.realtime_priority}'
        return 'normal; the right to rtprio gives a steadier period'

    def stop(self) -> None:
        """Brake the arm, wait until it stands, end the loop."""
        with self._lock:
            self._controller.disarm(self._now_ns())
        deadline = time.monotonic() + _LONGEST_STOP_S
        while self._controller.moving and time.monotonic() < deadline:
            time.sleep(0.01)
        self._thread.stop()
        self._driver.rest()

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _tick(self, due_ns: int) -> None:
        for polled in self._polled:
            polled.poll()
        # The command belongs to the grid point, so a late thread makes no uneven motion.
        now_ns = self._offset.to_ros_ns(due_ns, time.monotonic_ns(), self._now_ns(),
                                        time.monotonic_ns())
        with self._lock:
            command = self._controller.tick(now_ns, self._state)
        if command is None:
            self._driver.pause()
            return
        self._driver.send(command, self._state)
        self._command_topic.publish(
            conversions.command_to_state(command, self._spec.action_names))
        self._sent += 1

    def _on_driver(self, problem: str) -> None:
        with self._lock:
            self._controller.note_driver(problem)

    def _loop_failed(self, error: Exception) -> None:
        if not self.context.ok():
            return
        self._driver.rest()
        with self._lock:
            self._controller.trip('internal_error', f'the control loop failed: {error!r}',
                                  self._now_ns())
        self.get_logger().fatal(f'the control loop failed: {error!r}; no commands are sent')

    def _subscribe_states(self, name: str, arm: RobotSpec) -> PolledSubscription:
        def on_state(message: JointState, _: object) -> None:
            try:
                state = self._states.add(name, conversions.state_from_message(message, arm))
            except ValueError as error:
                self._states.refuse(name, str(error))
            else:
                self._state = state or self._state
            self._note_completeness(self._states.problem or self._states.missing)

        return PolledSubscription(self, JointState, arm.state_topic, on_state, qos.SENSOR)

    def _note_completeness(self, problem: str) -> None:
        if problem == self._incomplete:
            return
        self._incomplete = problem
        with self._lock:
            self._controller.note_incomplete_state(problem)
        if self._states.problem:
            self._log.problem('joint state', problem)
        else:
            self._log.solved('joint state', 'joint states are complete again')

    def _on_chunk(self, message: JointTrajectory) -> None:
        self._take_chunk(lambda: conversions.chunk_from_message(message))

    def _take_chunk(self, read: Callable[[], ActionChunk]) -> None:
        now_ns = self._now_ns()
        try:
            chunk = read()
        except ValueError as error:
            with self._lock:
                self._controller.refuse_chunk(str(error), now_ns)
            return
        self._chunk_age.add((now_ns - chunk.start_ns) * 1e-9)
        with self._lock:
            self._controller.accept(chunk, now_ns)

    def _on_policy_problem(self, message: String) -> None:
        with self._lock:
            self._controller.note_policy_problem(message.data, self._now_ns())

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        with self._lock:
            if request.data:
                response.message = self._driver.rival() or self._controller.arm(
                    self._now_ns(), self._state)
            else:
                self._controller.disarm(self._now_ns())
        response.success = not response.message
        if not response.success:
            self.get_logger().warning(f'arming refused: {response.message}')
        elif request.data:
            self._driver.restart()
            self._log_change('running', '')
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._controller.reset(self._now_ns())
        response.success = True
        response.message = 'trajectory forgotten; waiting for a chunk observed from now on'
        return response

    def _publish_status(self) -> None:
        now_ns = self._now_ns()
        with self._lock:
            status = self._controller.status(now_ns)
        self._log_change(f'{status.mode} {status.reason}'.strip(), status.detail)
        if status.problem:
            self._log.problem('chunk', f'chunk refused: {status.problem}')
        else:
            self._log.solved('chunk', 'chunks are accepted again')
        level = diagnostics.ERROR if status.mode == 'holding' else diagnostics.OK
        monitor = self._thread.monitor
        state = self._state
        values = asdict(status) | {
            'commands_sent': self._sent,
            'state_age_s': None if state is None else (now_ns - state.stamp_ns) * 1e-9,
            'chunk_age_p50_s': self._chunk_age.p50, 'chunk_age_p99_s': self._chunk_age.p99,
            'period_deviation_p50_ms': monitor.quantile_ms(0.5),
            'period_deviation_p99_ms': monitor.quantile_ms(0.99),
            'period_deviation_max_ms': monitor.maximum_ms, 'periods_missed': monitor.missed,
            'clock_steps': self._offset.steps}
        message = diagnostics.status_message('control_node', self._spec.robot, level,
                                             f'{status.mode} {status.detail}'.strip(), values)
        self._status_topic.publish(message)
        self._diagnostics.publish(
            diagnostics.diagnostic_array(conversions.to_time(now_ns), message))

    def _log_change(self, mode: str, detail: str) -> None:
        if mode == self._last_mode:
            return
        self._last_mode = mode
        if detail:
            self.get_logger().error(f'{mode}: {detail}; call ~/arm to go on')
        else:
            self.get_logger().info(mode)


def make_node() -> ControlNode:
    """Make the node; its loop gives way to no other work of this process for long."""
    node = ControlNode()
    # A callback gives way to the loop within this time instead of Python's 5 ms.
    sys.setswitchinterval(0.0005)
    return node


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('control_node', make_node, args))


if __name__ == '__main__':
    main()
