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
from dataclasses import asdict
from functools import partial
import sys
from threading import Event, Lock
import time

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from faster_ros.interfaces import ActionChunk, FloatArray, RobotState
from faster_ros.nodes import conversions, diagnostics, qos
from faster_ros.nodes.control_parameters import ControlParameters, deadman_text, make_controller
from faster_ros.nodes.control_services import ControlServices
from faster_ros.nodes.doctor_verdict import VerdictGate
from faster_ros.nodes.driver_link import DriverLink
from faster_ros.nodes.driver_signals import DriverSignals
from faster_ros.nodes.paced_thread import PacedThread
from faster_ros.nodes.parameters import declare
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.arm_interface import CommandOptions
from faster_ros.runtime.clock_offset import ClockOffset
from faster_ros.runtime.joint_states import JointStates
from faster_ros.runtime.latency import LatencyWindow
from faster_ros.runtime.scheduling import request_real_time
from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

_CHUNKS = 2000  # newest ones whose way to the first command is measured
_STATUS_RATE_HZ = 10.0
_STATUSES_PER_DIAGNOSTICS = 10
_LONGEST_STOP_S = 1.0


class ControlNode(Node):
    """Subscribes chunks and joint states, publishes commands; see ``docs/interfaces.md``."""

    def __init__(self) -> None:
        super().__init__('control_node')
        parameters = self._config = declare(self, ControlParameters)
        # Before any thread starts: the loop waits for Python's lock, so all must be as urgent.
        priority = parameters.realtime_priority
        self._real_time = priority > 0 and request_real_time(priority)
        spec = self._spec = parameters.load()
        rate_hz = parameters.rate_hz or spec.command_rate_hz
        self._controller = make_controller(spec, parameters, rate_hz)
        self._rate_hz = rate_hz
        self._last_due_ns = 0
        self._lock = Lock()  # of the controller: the loop and the callbacks use it
        self._gap = Event()  # set when half a period is left until the next command
        self._log = diagnostics.EdgeLog(self.get_logger())
        self._states = JointStates(spec)
        self._state: RobotState | None = None
        self._offset = ClockOffset()
        self._chunk_age = LatencyWindow(warm_up=0)
        self._to_command = LatencyWindow(_CHUNKS, warm_up=0)  # guarded by the lock, as is:
        self._taken_s: float | None = None  # when the chunk came that no command followed yet
        self._incomplete = ''
        self._sent = self._statuses = 0
        self._plan_told = False
        self._driver_problems: dict[str, str] = {}
        self._driver_speeds: dict[str, float] = {}
        self._last_mode = ''
        self._driver = DriverLink(self, spec, CommandOptions(
            round(parameters.command_lead * 1e9), parameters.stamp_commands,
            round(parameters.gripper_repeat * 1e9), parameters.dry_run), self._log)
        self._control_services = ControlServices(
            self, spec, self._controller, self._lock, self._driver,
            VerdictGate(self, spec.robot, parameters.require_doctor), lambda: self._state)
        self._connect(spec)
        self._log_table(spec, rate_hz)
        self._thread = PacedThread(rate_hz, self._tick, self._loop_failed, self._between_ticks)
        self._thread.start()

    def _connect(self, spec: RobotSpec) -> None:
        self._command_topic = self.create_publisher(JointState, '~/command', qos.COMMAND)
        self._plan_topic = self.create_publisher(JointTrajectory, 'policy/plan', qos.LATCHED)
        self._status_topic = self.create_publisher(DiagnosticStatus, '~/status', qos.STATUS)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.STATUS)
        # What may have to stop the arm is read in the loop itself: no callback can delay it.
        self._polled = [
            *(self._subscribe_states(name, arm) for name, (arm, _) in spec.parts.items()),
            PolledSubscription(self, String, 'policy/problem', self._on_policy_problem,
                               qos.LATCHED),
            PolledSubscription(self, Time, 'policy/fresh_until', self._on_fresh_until,
                               qos.SENSOR)]
        if self._config.deadman_topic:
            self._polled.append(PolledSubscription(self, Joy, self._config.deadman_topic,
                                                   self._on_joy, qos.HISTORY))
        # Read between two commands: to merge a chunk takes as long as all else of a period, and in
        # the executor's thread it would take the loop's time at any moment.
        self._chunks = PolledSubscription(self, JointTrajectory, 'policy/chunk', self._on_chunk,
                                          qos.COMMAND)
        if self._config.pose_chunks:
            self._connect_pose_chunks(spec)
        for name, (arm, _) in spec.parts.items():
            DriverSignals(self, arm, self._driver.commanded_s, partial(self._on_driver, name))
        self.create_timer(1.0 / _STATUS_RATE_HZ, self._publish_status)

    def _connect_pose_chunks(self, spec: RobotSpec) -> None:
        from faster_ros.nodes.pose_chunks import PoseChunks  # with the kinematics: few need it

        PoseChunks(self, spec, self._goes_on_from, self._take_chunk, self._poses_failed)

    def _goes_on_from(self) -> FloatArray | None:
        with self._lock:
            return self._controller.goes_on_from(self._state)

    def _poses_failed(self, error: BaseException) -> None:
        with self._lock:
            self._controller.trip('internal_error', f'a chunk of poses failed: {error!r}',
                                  self._now_ns())

    def _log_table(self, spec: RobotSpec, rate_hz: float) -> None:
        self.get_logger().info('\n'.join([
            'control_node',
            f'  robot    {spec.robot}: {", ".join(spec.joint_names)}',
            f"  states   {' and '.join(spec.state_topics)}, at most {spec.state_max_age_s:g} s "
            'old',
            f'  chunks   {self.resolve_topic_name("policy/chunk")}',
            *self._driver.table(rate_hz),
            f'  limits   {spec.velocity_scale:.0%} of velocity, {spec.acceleration_scale:.0%} of '
            'acceleration',
            f'  priority {self._priority_text()}',
            f'  deadman  {deadman_text(self._config)}',
            '  disarmed: call ~/arm to allow motion']))

    def _priority_text(self) -> str:
        if self._real_time:
            return f'SCHED_FIFO {self._config.realtime_priority}'
        return 'normal; the right to rtprio gives a steadier period'

    def stop(self) -> None:
        """Brake the arm, wait until it stands, end the loop."""
        self._control_services.recovery.cancel()
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
        missed = max(0, round((due_ns - self._last_due_ns) * 1e-9 * self._rate_hz) - 1)
        self._last_due_ns = due_ns
        with self._lock:
            self._controller.coast(missed, now_ns, self._state)
            command = self._controller.tick(now_ns, self._state)
            taken_s, self._taken_s = self._taken_s, None
            if self._plan_told and not self._controller.follows:
                self._tell_plan(now_ns)
        if command is None:
            self._driver.pause()
            return
        self._driver.send(command, self._state)
        self._command_topic.publish(
            conversions.command_to_state(command, self._spec.action_names))
        self._sent += 1
        if taken_s is not None:
            with self._lock:
                self._to_command.add(time.monotonic() - taken_s)

    def _between_ticks(self) -> None:
        self._gap.set()
        self._chunks.poll()

    def _on_driver(self, name: str, problem: str, speed: float) -> None:
        self._driver_problems[name], self._driver_speeds[name] = problem, speed
        with self._lock:
            self._controller.note_driver(next(filter(None, self._driver_problems.values()), ''))
            self._controller.note_driver_speed(self._driver_speed, self._now_ns())

    @property
    def _driver_speed(self) -> float:
        """Return the speed of the slowest arm: all follow one timeline."""
        return min(self._driver_speeds.values(), default=1.0)

    def _on_joy(self, message: Joy, _: object) -> None:
        with self._lock:
            self._controller.note_buttons(message.buttons, self._now_ns())

    def _loop_failed(self, error: Exception) -> None:
        if not self.context.ok():
            return
        self._driver.rest()
        with self._lock:
            self._controller.fail(f'the control loop failed: {error!r}', self._now_ns())
        self.get_logger().fatal(f'the control loop failed: {error!r}; no commands are sent')

    def _subscribe_states(self, name: str, arm: RobotSpec) -> PolledSubscription:
        topic = arm.state_topic
        bad_s, settled_s = 0.0, 2.0  # complete and incomplete ones in turn are one line of the log

        def on_state(message: JointState, _: object) -> None:
            nonlocal bad_s
            if self._states.has(name) and conversions.is_of_other_hardware(message, arm):
                return  # of other hardware; before the arm is heard its names are a hint
            try:
                state = self._states.add(name, conversions.state_from_message(message, arm))
            except ValueError as error:
                bad_s = time.monotonic()
                self._states.refuse(name, str(error))
                self._log.problem(topic, str(error), key='incomplete')
            else:
                self._state = state or self._state
                if time.monotonic() - bad_s > settled_s:
                    self._log.solved(topic, f'joint states on {topic} are complete again')
            self._note_completeness(self._states.problem or self._states.missing)

        # As deep as a camera's: what other hardware sends on the topic pushes no state aside.
        return PolledSubscription(self, JointState, topic, on_state, qos.CAMERA)

    def _note_completeness(self, problem: str) -> None:
        if problem != self._incomplete:
            self._incomplete = problem
            with self._lock:
                self._controller.note_incomplete_state(problem)

    def _on_chunk(self, message: JointTrajectory, info: dict[str, int]) -> None:
        now_ns = time.time_ns()
        waited_ns = now_ns - (info['received_timestamp'] or now_ns)  # 0: a middleware without it
        self._take_chunk(lambda: conversions.chunk_from_message(message),
                         time.monotonic() - max(0, waited_ns) * 1e-9)

    def _take_chunk(self, read: Callable[[], ActionChunk], came_s: float) -> None:
        now_ns = self._now_ns()
        try:
            chunk = read()
        except ValueError as error:
            with self._lock:
                self._controller.refuse_chunk(str(error), now_ns)
            return
        self._chunk_age.add((now_ns - chunk.start_ns) * 1e-9)
        with self._lock:
            if self._controller.accept(chunk, now_ns):
                self._taken_s = came_s
                self._tell_plan(now_ns)

    def _tell_plan(self, now_ns: int) -> None:
        """Tell who listens what the arm follows until the next chunk comes; empty: it holds."""
        if not self._plan_topic.get_subscription_count():
            return  # it would cost a millisecond of this loop
        plan = self._controller.plan(now_ns)
        self._plan_told = plan is not None
        self._plan_topic.publish(JointTrajectory() if plan is None
                                 else conversions.chunk_to_message(plan))

    def _on_policy_problem(self, message: String, _: object) -> None:
        with self._lock:
            self._controller.note_policy_problem(message.data, self._now_ns())

    def _on_fresh_until(self, message: Time, _: object) -> None:
        with self._lock:
            self._controller.note_fresh_until(conversions.to_ns(message))

    def _publish_status(self) -> None:
        self._gap.clear()
        self._gap.wait(2.0 / self._rate_hz)  # not for ever: a loop that has died is told, too
        now_ns = self._now_ns()
        with self._lock:
            status = self._controller.status(now_ns)
            to_command_s = self._to_command.p50, self._to_command.p99
        self._log_change(f'{status.mode} {status.reason}'.strip(), status.detail)
        if status.problem:
            self._log.problem('chunk', f'chunk refused: {status.problem}')
        else:
            self._log.solved('chunk', 'chunks are accepted again')
        level = diagnostics.OK if status.reason in ('', 'stopped') else diagnostics.ERROR
        monitor = self._thread.monitor
        state = self._state
        values = asdict(status) | {
            'commands_sent': self._sent, 'driver_speed': self._driver_speed,
            'recovery': self._control_services.recovery.progress,
            'state_age_s': None if state is None else (now_ns - state.stamp_ns) * 1e-9,
            'chunk_age_p50_s': self._chunk_age.p50, 'chunk_age_p99_s': self._chunk_age.p99,
            'chunk_to_command_p50_s': to_command_s[0], 'chunk_to_command_p99_s': to_command_s[1],
            'period_deviation_p50_ms': monitor.quantile_ms(0.5),
            'period_deviation_p99_ms': monitor.quantile_ms(0.99),
            'period_deviation_max_ms': monitor.maximum_ms, 'periods_missed': monitor.missed,
            'clock_steps': self._offset.steps}
        message = diagnostics.status_message('control_node', self._spec.robot, level,
                                             f'{status.mode} {status.detail}'.strip(), values)
        self._status_topic.publish(message)
        if self._statuses % _STATUSES_PER_DIAGNOSTICS == 0:
            self._diagnostics.publish(
                diagnostics.diagnostic_array(conversions.to_time(now_ns), message))
        self._statuses += 1

    def _log_change(self, mode: str, detail: str) -> None:
        if mode == self._last_mode:
            return
        self._last_mode = mode
        if mode.startswith('holding') and not mode.endswith('internal_error'):
            detail += '; call ~/arm to go on'
        if detail:
            self.get_logger().error(f'{mode}: {detail}')
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
