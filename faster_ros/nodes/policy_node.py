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
Turns camera images, joint states and an instruction into chunks of actions.

A lifecycle node: ``configure`` loads the checkpoint (``policy_loading`` alone imports torch),
``activate`` begins to answer. It configures and activates itself unless ``autostart`` is false.
Inference runs in an own thread; when to ask, and on what, is decided in ``runtime``.
"""

from __future__ import annotations

from dataclasses import dataclass
import math
import sys
from threading import Lock
import time
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from faster_ros.interfaces import ActionChunk, Observation, Policy
from faster_ros.nodes import conversions, diagnostics, qos
from faster_ros.nodes.lifecycle import SafeLifecycleNode
from faster_ros.nodes.paced_thread import PacedThread
from faster_ros.nodes.parameters import declare, parameter, RobotParameters
from faster_ros.nodes.policy_inputs import PolicyInputs
from faster_ros.nodes.policy_loading import load, load_checkpoint, LoadPolicy, prepare
from faster_ros.nodes.spinning import run_node
from faster_ros.runtime.chunk_scheduler import WAIT_ABOVE_S
from faster_ros.runtime.inference_worker import InferenceWorker
from faster_ros.runtime.observation_buffer import Refusal
from faster_ros.runtime.policy_session import PolicySession
import numpy as np
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

TIMING_FIELDS = ('observation_stamp_s', 'capture_to_chunk_ms', 'inference_ms', 'decode_ms')
_POLL_RATE_HZ = 200.0   # how often images and joint states are looked for
_RETRY_NS = 50_000_000  # how often a request that is due is tried without a new image
_STATUS_RATE_HZ = 10.0


@dataclass(frozen=True)
class PolicyParameters(RobotParameters):
    """Parameters of policy_node."""

    checkpoint: str = parameter('', 'folder of the trained policy, ws:// or wss:// address of a '
                                'policy server, or YAML file about one')
    device: str = parameter('auto', 'where the policy runs: auto, cpu or cuda')
    instruction: str = parameter('', 'the task until a message on the topic says another')
    execution_horizon: int = parameter(3, 'steps of a chunk that are used before the next one '
                                       'takes over', 1, 1000)
    wait_above: float = parameter(WAIT_ABOVE_S, 'latency in s, from image to chunk, above which '
                                  'the arm stands while the policy thinks', 0.0, 1000.0)
    torch_threads: int = parameter(0, 'threads of the policy on a CPU; 0 leaves one core free',
                                   0, 256)
    compressed: bool = parameter(False, 'subscribe to <camera topic>/compressed')
    autostart: bool = parameter(True, 'configure and activate without being asked')


class PolicyNode(SafeLifecycleNode):
    """Subscribes cameras, joints and instruction, publishes chunks; see docs/interfaces.md."""

    def __init__(self, load_policy: LoadPolicy = load_checkpoint) -> None:
        super().__init__('policy_node')
        self._config = declare(self, PolicyParameters)
        self._load_policy = load_policy
        self._spec = self._config.load()
        self._log = diagnostics.EdgeLog(self.get_logger())
        self._session = PolicySession(self._spec, self._config.execution_horizon,
                                      self._config.wait_above)
        self._session.instruction = self._config.instruction
        self._session_lock = Lock()  # of the session: the polling thread and the executor use it
        self._inputs: PolicyInputs | None = None
        self._fresh_until_ns: int | None = None
        self._poller: PacedThread | None = None
        self._retry_ns = 0
        self._inference_s = 0.0
        self._told = ''
        self._told_lock = Lock()  # of _told: the executor and the inference thread tell
        self._policy: Policy | None = None
        self._worker: InferenceWorker | None = None
        self._publishers_made: list[Publisher[Any]] = []
        self._subscribed: list[Subscription[Any]] = []
        self._status_topic = self.create_publisher(DiagnosticStatus, '~/status', qos.STATUS)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', qos.STATUS)
        self.create_timer(1.0 / _STATUS_RATE_HZ, self._publish_status)
        self.create_service(Trigger, '~/reset', self._on_reset)

    def configure(self) -> None:
        """Load the policy and connect."""
        config, spec = self._config, self._spec
        policy = self._policy = load(config.checkpoint, spec, config.device, self._load_policy)
        prepare(policy, spec, config.torch_threads)
        self._chunk_topic = self.create_publisher(JointTrajectory, 'policy/chunk', qos.COMMAND)
        self._problem_topic = self.create_publisher(String, 'policy/problem', qos.LATCHED)
        self._timing_topic = self.create_publisher(Float64MultiArray, '~/timing', qos.STATUS)
        self._fresh_topic = self.create_publisher(Time, 'policy/fresh_until', qos.SENSOR)
        self._publishers_made = [self._chunk_topic, self._problem_topic, self._timing_topic,
                                 self._fresh_topic]
        self._subscribed = [
            self.create_subscription(String, 'instruction', self._on_instruction, qos.LATCHED)]
        if getattr(policy, 'takes_committed', True):
            self._subscribed.append(self.create_subscription(
                JointTrajectory, 'policy/plan', self._on_plan, qos.LATCHED))
        self._inputs = PolicyInputs(self, spec, self._session.buffer, config.compressed, self._log)
        self._poller = PacedThread(_POLL_RATE_HZ, self._poll, self._polling_failed)
        self._poller.start()
        self._log_table()

    def activate(self) -> None:
        """Begin to answer with the next complete observation."""
        assert self._policy is not None
        self._worker = InferenceWorker(self._infer, self._on_chunk, self._on_fault)
        self._session.reset()

    def deactivate(self) -> None:
        """Stop to answer: no new request, the running one is thrown away."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._tell('policy_node is not active')
        if worker is not None and not worker.stop():
            self.get_logger().warning('the running inference does not end')

    def cleanup(self) -> None:
        """Disconnect and forget the policy."""
        self._stop_polling()
        for publisher in self._publishers_made:
            self.destroy_publisher(publisher)
        for subscription in self._subscribed:
            self.destroy_subscription(subscription)
        if self._inputs is not None:
            self._inputs.destroy()
        self._publishers_made, self._subscribed, self._inputs = [], [], None
        self._session.buffer.clear()
        policy, self._policy = self._policy, None
        close = getattr(policy, 'close', None)  # of a policy behind a server
        if close is not None:
            close()

    def stop(self) -> None:
        """End polling and inference before the node is destroyed."""
        self._stop_polling()
        self.deactivate()

    def _stop_polling(self) -> None:
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.stop()

    def _poll(self, due_ns: int) -> None:
        """Take what has arrived; with new images of all cameras is the time to ask."""
        assert self._inputs is not None
        with self._session_lock:
            new = self._inputs.poll()
            if self._worker is not None:
                self._vouch()
            complete = new and self._session.buffer.is_complete(self._now_ns())
            if complete or due_ns >= self._retry_ns:
                self._retry_ns = due_ns + _RETRY_NS
                self._request()

    def _vouch(self) -> None:
        """Tell how long the images may be acted on, and of a camera that was lost."""
        until_ns = self._session.buffer.fresh_until_ns()
        if until_ns is not None and until_ns != self._fresh_until_ns:
            self._fresh_until_ns = until_ns
            self._fresh_topic.publish(conversions.to_time(until_ns))
        if self._session.watch(self._now_ns()):
            self._tell(self._session.problem)

    def _polling_failed(self, error: Exception) -> None:
        self.get_logger().fatal(f'reading images and joint states failed: {error!r}')
        self._tell(f'policy_node cannot read its inputs: {error!r}')

    def _log_table(self) -> None:
        config, spec = self._config, self._spec
        suffix = '/compressed' if config.compressed else ''
        self.get_logger().info('\n'.join([
            'policy_node',
            f'  robot        {spec.robot}: {", ".join(spec.joint_names)}',
            f'  checkpoint   {config.checkpoint} on {config.device}',
            *(f'  camera       {name}: {camera.topic}{suffix}, {camera.width}x{camera.height} at '
              f'{camera.rate_hz:g} Hz' for name, camera in spec.cameras.items()),
            f'  states       {" and ".join(spec.state_topics)}',
            f'  instruction  {self.resolve_topic_name("instruction")}',
            f'  chunks       {self.resolve_topic_name("policy/chunk")}, the next one after '
            f'{config.execution_horizon} steps; above {config.wait_above:g} s of latency the arm '
            'waits for each']))

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_instruction(self, message: String) -> None:
        with self._session_lock:
            if message.data == self._session.instruction:
                return
            self._session.instruction = message.data
            self._new_epoch()
        self.get_logger().info(f"instruction: '{message.data}'")

    def _on_plan(self, message: JointTrajectory) -> None:
        plan = None
        try:
            plan = conversions.chunk_from_message(message) if message.points else None
        except ValueError as error:
            self._log.problem('plan', f'policy/plan: {error}')
        if plan is not None and plan.names != self._spec.joint_names:
            self._log.problem('plan', f"policy/plan has joints {', '.join(plan.names)}; expected "
                              f"{', '.join(self._spec.joint_names)}")
            plan = None
        with self._session_lock:
            self._session.plan = plan

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._session_lock:
            self._session.buffer.clear()
            self._new_epoch()
        response.success = True
        response.message = 'observations forgotten; the next chunk answers a new one'
        return response

    def _new_epoch(self) -> None:
        if self._worker is not None:
            self._worker.reset()
        self._session.reset()

    def _request(self) -> None:
        """Ask for a chunk if one is due and there is an observation to answer."""
        worker = self._worker
        if worker is None or worker.busy:
            return
        answer = self._session.request(self._now_ns())
        if isinstance(answer, Refusal):
            if self._session.problem:
                self._tell(self._session.problem)
                self._log.problem('observation', f'no chunk: {answer.message}',
                                  f'{answer.stream} {answer.reason}')
        elif answer is not None:
            self._log.solved('observation', 'observations are complete')
            worker.submit(answer)

    def _infer(self, observation: Observation) -> ActionChunk:
        assert self._policy is not None
        start = time.monotonic()
        chunk = self._policy.infer(observation)
        self._inference_s = time.monotonic() - start
        if not np.isfinite(chunk.actions).all():
            raise ValueError('the policy returned an action that is not finite')
        return chunk

    def _on_chunk(self, observation: Observation, chunk: ActionChunk) -> None:
        self._tell(self._session.problem)
        now_ns = self._now_ns()
        chunk = self._session.chunk_arrived(chunk, now_ns, self._inference_s)
        self._chunk_topic.publish(conversions.chunk_to_message(chunk))
        self._log.solved('policy', 'the policy works again')
        if waiting := self._session.waiting():
            self._log.problem('speed', waiting, 'slow')
        else:
            self._log.solved('speed', 'the arm goes on while the policy thinks')
        size = len(TIMING_FIELDS)
        message = Float64MultiArray(data=[
            observation.stamp_ns * 1e-9, (now_ns - observation.stamp_ns) * 1e-6,
            self._inference_s * 1e3, getattr(self._policy, 'decode_s', math.nan) * 1e3])
        message.layout.dim = [MultiArrayDimension(label=','.join(TIMING_FIELDS), size=size,
                                                  stride=size)]
        self._timing_topic.publish(message)

    def _on_fault(self, observation: Observation, error: Exception) -> None:
        self._session.count_fault()
        self._log.problem('policy', f'no chunk: the policy failed: {error}')
        self._tell(f'the policy failed: {error}')

    def _tell(self, problem: str) -> None:
        """Publish why no chunk comes, or '' when all is well, once per change."""
        with self._told_lock:
            if problem != self._told:
                self._told = problem
                self._problem_topic.publish(String(data=problem))

    def _publish_status(self) -> None:
        now_ns = self._now_ns()
        active = self._worker is not None
        with self._session_lock:
            problem = self._session.problem if active else ''
            figures = self._session.figures(now_ns)
        if said := getattr(self._policy, 'said', ''):
            figures['said'] = said
        message = diagnostics.status_message(
            'policy_node', self._spec.robot, diagnostics.WARN if problem else diagnostics.OK,
            problem or ('active' if active else 'not active'), figures)
        self._status_topic.publish(message)
        self._diagnostics.publish(
            diagnostics.diagnostic_array(conversions.to_time(now_ns), message))


def make_node(load_policy: LoadPolicy = load_checkpoint) -> PolicyNode:
    """Make the node and, unless told otherwise, bring it to work."""
    # Reading images and thinking give way to each other within this time instead of 5 ms.
    sys.setswitchinterval(0.0005)
    node = PolicyNode(load_policy)
    if node.get_parameter('autostart').value:
        for transition in (node.trigger_configure, node.trigger_activate):
            if transition() is not TransitionCallbackReturn.SUCCESS:
                node.destroy_node()
                raise ValueError('policy_node cannot start; the error is above')
    return node


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('policy_node', make_node, args))


if __name__ == '__main__':
    main()
