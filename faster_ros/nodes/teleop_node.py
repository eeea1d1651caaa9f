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
under ``autonomy/`` and is passed on while the policy leads: from the start, until a person takes
over, and again when one hands back. ``~/lead`` says who leads, with the time from which on. The
decisions are in ``teleop``.
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
from faster_ros.teleop.session import Lead, PAUSED, TeleopSession
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
_NOT_RUNNING = 'control_node is not running: call its ~/arm first'
_NO_POLICY = 'there is no policy to hand back to'


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
        self._told = ''
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
        self.create_service(Trigger, '~/hand_back', self._on_hand_back)
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
            f"  policy   {'leads until a person takes over' if config.policy else 'none'}"]))

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
            self._inputs.poll()
            self._commands.poll()
            now_ns = self._now_ns()
            self._follow_buttons(now_ns)
            chunk = self._session.tick(now_ns)
            self._tell(now_ns)
            if chunk is not None:
                self._send(chunk)
                if self._policy_fresh is not None:
                    self._fresh_topic.publish(conversions.to_time(now_ns + _VOUCH_NS))

    def _follow_buttons(self, now_ns: int) -> None:
        """Do what buttons ask for; a deadman that is released or silent holds the arm."""
        inputs, leading = self._inputs, self._session.lead is Lead.HUMAN
        deadman, toggled = inputs.deadman, inputs.pressed(inputs.toggle)
        if inputs.pressed(deadman) or (toggled and not leading):
            self._engage(now_ns)
        elif inputs.pressed(inputs.hand_back) or (toggled and self._config.policy):
            self._hand_back(now_ns)
        elif leading and (toggled or (deadman is not None and not deadman.held)):
            self._session.release()
        elif leading and deadman is not None and (
                now_ns - deadman.heard_ns > inputs.timeout_ns):
            self._session.release(f'nothing received on {deadman.topic}, whose button '
                                  f'{deadman.button} has to be held')

    def _engage(self, now_ns: int) -> str:
        """Let the person lead; returns '' or why not."""
        commanded = self._commanded(now_ns)
        if commanded is None:
            self._session.take_from_policy(_NOT_RUNNING)
            return self._refuse(_NOT_RUNNING)
        return self._refuse(self._session.engage(now_ns, *commanded))

    def _hand_back(self, now_ns: int) -> str:
        """Let the policy lead; returns '' or why not."""
        if not (self._config.policy and self._running):
            return self._refuse(_NOT_RUNNING if self._config.policy else _NO_POLICY)
        chunk = self._session.hand_back(now_ns)
        if chunk is not None:
            self._send(chunk)
        return self._refuse('')

    def _refuse(self, reason: str) -> str:
        self._refusal = reason
        if reason:
            self.get_logger().warning(f'refused: {reason}')
        return reason

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
        """Publish who leads, once per change, and whether the policy's problems count."""
        lead = self._session.lead
        word = 'intervention' if lead is Lead.HUMAN and self._config.policy else lead.value
        if lead is Lead.POLICY and not self._running:
            word = Lead.IDLE.value  # a gate holds the arm, or nobody armed it
        if word == self._told:
            return
        self._told = word
        message = Header(frame_id=word)
        message.stamp = conversions.to_time(now_ns)
        self._lead_topic.publish(message)
        if self._config.policy:
            self._tell_policy(lead is Lead.POLICY)
        reason = self._session.reason
        if lead is Lead.HOLD and reason:
            self.get_logger().error(f'the arm is held: {reason}; engage again to go on')
        else:
            self.get_logger().info(f'lead: {word}')

    def _tell_policy(self, leads: bool) -> None:
        """Pass on what the policy said last; while it does not lead it has no problem."""
        self._problem_topic.publish(String(data=self._policy_problem if leads else ''))
        if leads and self._policy_fresh is not None:
            self._fresh_topic.publish(self._policy_fresh)

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
            if request.data:
                response.success, response.message = self._take_over(self._now_ns())
            else:
                self._session.release()
                response.success = True
        return response

    def _take_over(self, now_ns: int) -> tuple[bool, str]:
        """Engage; without its button, take the arm from a policy. Returns whether, what to say."""
        deadman, session = self._inputs.deadman, self._session
        commanded = self._commanded(now_ns)
        if deadman is not None and not deadman.held:
            advice = (f'button {deadman.button} on {deadman.topic} is not held down; hold it to '
                      'engage')
            if session.lead is not Lead.POLICY:
                return False, advice
            if commanded is not None:
                session.hold(*commanded, advice)
                return True, f'the arm is held: {advice}'
        refusal = self._engage(now_ns)
        return not refusal, refusal

    def _on_hold(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            commanded = self._commanded(self._now_ns())
            if commanded is None:
                response.message = _NOT_RUNNING
            else:
                self._session.hold(*commanded, PAUSED)
        response.success = not response.message
        return response

    def _on_hand_back(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            response.message = self._hand_back(self._now_ns())
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
                      'policy': self._config.policy,
                      'deadman': self._inputs.deadman is not None,
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
