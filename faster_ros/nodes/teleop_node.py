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
Lets a person lead the arm, alone or by taking over from a policy.

It sends what the leaders ask for as chunks on ``policy/chunk``, so all of control_node's limits
and gates hold. With ``policy`` it stands between the two: what the policy publishes comes in
under ``autonomy/`` and is passed on unless a person leads. ``~/lead`` says who does, with the time
from which on. The decisions are in ``teleop``.
"""

from __future__ import annotations

from dataclasses import dataclass
import sys
from threading import Lock

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.nodes import conversions, diagnostics, qos
from faster_ros.nodes.paced_thread import PacedThread
from faster_ros.nodes.parameters import declare, parameter, RobotParameters
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.nodes.spinning import run_node
from faster_ros.nodes.teleop_inputs import TeleopInputs
from faster_ros.teleop.session import Lead, TeleopSession
from faster_ros.teleop.teleop_spec import load_teleop_spec
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory

_STATUS_RATE_HZ = 10.0
_COMMAND_MAX_AGE_NS = 200_000_000
_VOUCH_NS = 200_000_000  # as long as a chunk lasts
_NOT_RUNNING = 'control_node is not running: call its ~/arm, then engage'


@dataclass(frozen=True)
class TeleopParameters(RobotParameters):
    """Parameters of teleop_node."""

    device: str = parameter('gamepad', 'teleop device by name or path of its YAML file')
    rate_hz: float = parameter(50.0, 'targets per second in Hz', 10.0, 200.0)
    policy: bool = parameter(False, 'take over from a policy whose topics come under autonomy/')


class TeleopNode(Node):
    """Subscribes leaders and buttons, publishes chunks; see docs/interfaces.md."""

    def __init__(self) -> None:
        super().__init__('teleop_node')
        self._config = declare(self, TeleopParameters)
        spec = self._spec = self._config.load()
        self._log = diagnostics.EdgeLog(self.get_logger())
        self._inputs = TeleopInputs(self, spec, load_teleop_spec(self._config.device), self._log)
        self._session = TeleopSession(spec, self._inputs.leaders, self._config.rate_hz,
                                      self._config.policy)
        self._lock = Lock()  # of the session and what is told: the loop and the executor use them
        self._told: Lead | None = None
        self._refusal = ''
        self._command: JointState | None = None
        self._running = False
        self._policy_problem = ''
        self._policy_fresh: Time | None = None  # with one, a person's lead is vouched for too
        self._connect()
        self._thread = PacedThread(self._config.rate_hz, self._tick, self._loop_failed)
        self._log_table()
        self._thread.start()

    def _connect(self) -> None:
        self._chunk_topic = self.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        self._lead_topic = self.create_publisher(Header, '~/lead', qos.LATCHED)
        self._status_topic = self.create_publisher(DiagnosticStatus, '~/status', qos.STATUS)
        self._commands = PolledSubscription(self, JointState, 'control_node/command',
                                            self._on_command, qos.SENSOR)
        self.create_subscription(DiagnosticStatus, 'control_node/status', self._on_control,
                                 qos.STATUS)
        self.create_service(SetBool, '~/engage', self._on_engage)
        self.create_service(Trigger, '~/hold', self._on_hold)
        self.create_timer(1.0 / _STATUS_RATE_HZ, self._publish_status)
        if self._config.policy:
            self._problem_topic = self.create_publisher(String, 'policy/problem', qos.LATCHED)
            self._fresh_topic = self.create_publisher(Time, 'policy/fresh_until', qos.SENSOR)
            self.create_subscription(JointTrajectory, 'autonomy/chunk', self._on_policy_chunk,
                                     qos.COMMAND)
            self.create_subscription(String, 'autonomy/problem', self._on_policy_problem,
                                     qos.LATCHED)
            self.create_subscription(Time, 'autonomy/fresh_until', self._on_fresh_until,
                                     qos.SENSOR)

    def _log_table(self) -> None:
        spec, config = self._spec, self._config
        self.get_logger().info('\n'.join([
            'teleop_node',
            f'  robot    {spec.robot}',
            f"  device   {config.device}: {', '.join(self._inputs.topics)}",
            f'  engage   {self._engage_text()}',
            f"  policy   {'passed on while nobody is engaged' if config.policy else 'none'}"]))

    def _engage_text(self) -> str:
        deadman, toggle = self._inputs.deadman, self._inputs.toggle
        if deadman is not None:
            return f'while button {deadman.button} on {deadman.topic} is held'
        if toggle is not None:
            return f'~/engage, or button {toggle.button} on {toggle.topic}'
        return '~/engage'

    def stop(self) -> None:
        """End the loop; the arm brakes where its last chunk ends."""
        self._thread.stop()

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _tick(self, _: int) -> None:
        with self._lock:
            toggled = self._inputs.poll()
            self._commands.poll()
            now_ns = self._now_ns()
            self._follow_deadman(now_ns)
            if toggled and self._inputs.toggle is not None:
                self._engage(self._session.lead is not Lead.HUMAN, now_ns)
            chunk = self._session.tick(now_ns)
            if chunk is not None:
                self._send(chunk)
                if self._policy_fresh is not None:
                    self._fresh_topic.publish(conversions.to_time(now_ns + _VOUCH_NS))
            self._tell(now_ns)

    def _follow_deadman(self, now_ns: int) -> None:
        """Engage when the button is pressed, release when it is released or silent."""
        deadman, leading = self._inputs.deadman, self._session.lead is Lead.HUMAN
        if deadman is None:
            return
        if self._inputs.toggled and not leading:
            self._engage(True, now_ns)
        elif leading and not deadman.held:
            self._engage(False, now_ns)
        elif leading and now_ns - deadman.heard_ns > self._inputs.timeout_ns:
            self._session.release(now_ns, f'nothing received on {deadman.topic}, whose button '
                                  f'{deadman.button} has to be held')

    def _engage(self, wanted: bool, now_ns: int) -> str:
        """Let the person lead, or end that; returns '' or why not."""
        if not wanted:
            chunk = self._session.release(now_ns)
            if chunk is not None:
                self._send(chunk)
                self._problem_topic.publish(String(data=self._policy_problem))
                if self._policy_fresh is not None:
                    self._fresh_topic.publish(self._policy_fresh)
            return ''
        self._refusal = self._refused(now_ns)
        if self._refusal:
            self.get_logger().warning(f'not engaged: {self._refusal}')
        elif self._config.policy:
            self._problem_topic.publish(String(data=''))
        return self._refusal

    def _refused(self, now_ns: int) -> str:
        commanded = self._commanded(now_ns)
        return _NOT_RUNNING if commanded is None else self._session.engage(now_ns, *commanded)

    def _commanded(self, now_ns: int) -> tuple[FloatArray, FloatArray] | None:
        """Return the joints of the last command and their velocities, if the arm runs."""
        command, joints = self._command, len(self._spec.joint_names)
        if not self._running or command is None or abs(
                now_ns - conversions.to_ns(command.header.stamp)) > _COMMAND_MAX_AGE_NS:
            return None
        return np.array(command.position[:joints]), np.array(command.velocity[:joints])

    def _send(self, chunk: ActionChunk) -> None:
        self._chunk_topic.publish(conversions.chunk_to_message(chunk))

    def _tell(self, now_ns: int) -> None:
        """Publish who leads, once per change."""
        lead = self._session.lead
        if lead is self._told:
            return
        self._told = lead
        word = 'intervention' if lead is Lead.HUMAN and self._config.policy else lead.value
        message = Header(frame_id=word)
        message.stamp = conversions.to_time(now_ns)
        self._lead_topic.publish(message)
        reason = self._session.reason
        if lead is Lead.HOLD and reason:
            self.get_logger().error(f'the arm is held: {reason}; engage again to go on')
        else:
            self.get_logger().info(f'lead: {word}')

    def _loop_failed(self, error: Exception) -> None:
        if self.context.ok():
            self.get_logger().fatal(f'the loop failed: {error!r}; no targets are sent')

    def _on_command(self, message: JointState, _: object) -> None:
        self._command = message

    def _on_control(self, message: DiagnosticStatus) -> None:
        values = diagnostics.values_of(message)
        with self._lock:
            self._running = values.get('mode') == 'running'
            if not self._running:
                self._session.stop(_NOT_RUNNING)

    def _on_engage(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        with self._lock:
            deadman = self._inputs.deadman
            if request.data and deadman is not None and not deadman.held:
                response.message = (f'button {deadman.button} on {deadman.topic} is not held '
                                    'down; hold it to engage')
            else:
                response.message = self._engage(request.data, self._now_ns())
        response.success = not response.message
        return response

    def _on_hold(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            commanded = self._commanded(self._now_ns())
            if commanded is None:
                response.message = _NOT_RUNNING
            else:
                self._session.hold(*commanded)
                if self._config.policy:
                    self._problem_topic.publish(String(data=''))
        response.success = not response.message
        return response

    def _on_policy_chunk(self, message: JointTrajectory) -> None:
        with self._lock:
            if self._session.passes(conversions.to_ns(message.header.stamp)):
                self._chunk_topic.publish(message)

    def _on_policy_problem(self, message: String) -> None:
        with self._lock:
            self._policy_problem = message.data
            if self._session.lead is Lead.POLICY:
                self._problem_topic.publish(message)

    def _on_fresh_until(self, message: Time) -> None:
        with self._lock:
            self._policy_fresh = message
            if self._session.lead is Lead.POLICY:
                self._fresh_topic.publish(message)

    def _publish_status(self) -> None:
        now_ns = self._now_ns()
        with self._lock:
            session = self._session
            problems = {leader.topic: leader.problem(now_ns)
                        for leader in self._inputs.leaders.values()}
            values = {'lead': session.lead.value, 'reason': session.reason, 'note': session.note,
                      'refusal': self._refusal, 'control_running': self._running,
                      'leaders': '; '.join(filter(None, problems.values()))}
        held = values['lead'] == Lead.HOLD.value and values['reason']
        self._status_topic.publish(diagnostics.status_message(
            'teleop_node', self._spec.robot, diagnostics.WARN if held else diagnostics.OK,
            f"{values['lead']} {values['reason'] or values['note']}".strip(), values))


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('teleop_node', TeleopNode, args))


if __name__ == '__main__':
    main()
