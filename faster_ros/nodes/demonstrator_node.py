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
Records demonstrations in the simulation in a person's place, through the nodes a person uses.

It moves a leader arm, which teleop_node follows (device ``scripted_leader``), and does what a
person does with keys: arm, engage, begin an episode, mark and save it. A layout that fails is
discarded and the next one taken. sim_node tells it where the cube is; what is recorded is what
the other nodes send and measure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import json
import sys
from threading import Event, Lock, Thread
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.interfaces import FloatArray
from faster_ros.nodes import conversions, qos, simulated_scene
from faster_ros.nodes.diagnostics import values_of
from faster_ros.nodes.parameters import declare, parameter
from faster_ros.nodes.service_calls import GraphFault, ServiceCalls
from faster_ros.nodes.spinning import run_node
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.scripted_leader import ScriptedLeader
from faster_ros.teleop.teleop_spec import load_teleop_spec
from geometry_msgs.msg import PointStamped
import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger

_RATE_HZ = 50.0
_POLL_S = 0.02
_SETTLE_S = 0.3
_AGAIN_S = 0.1
_REFUSED_S = 5.0  # for which a service may refuse before that counts
_AFTER_SUCCESS_S = 0.3
_SERVICES = {
    'control': (Trigger, 'control_node/reset'), 'arm': (SetBool, 'control_node/arm'),
    'engage': (SetBool, 'teleop_node/engage'),
    **{name: (Trigger, f'recorder_node/{name}')
       for name in ('start', 'mark_success', 'save', 'discard')}}


@dataclass(frozen=True)
class DemonstratorParameters:
    """Parameters of demonstrator_node."""

    robot: str = parameter('fr3', 'robot name or path of its YAML file')
    episodes: int = parameter(50, 'successful episodes to record', 1, 100000)
    seed_start: int = parameter(0, 'seed of the first layout; trials use those from 1000000 on',
                                0, 2_000_000_000)
    time_limit: float = parameter(20.0, 'longest episode in s', 1.0, 600.0)
    startup_limit: float = parameter(120.0, 'longest wait for the other nodes in s', 1.0, 3600.0)
    unsteadiness: float = parameter(0.08, "standard deviation of the hand's stray speed in rad/s",
                                    0.0, 1.0)
    displaced: float = parameter(0.0, 'share of episodes that begin low beside the cube, where '
                                 'the arm is led before', 0.0, 1.0)


class DemonstratorNode(Node):
    """The executor's thread moves the leader arm, another one calls the services."""

    def __init__(self) -> None:
        super().__init__('demonstrator_node')
        self.exit_code = 1
        config = self._config = declare(self, DemonstratorParameters)
        spec = self._spec = load_robot_spec(config.robot)
        self._leader = ScriptedLeader(spec, 1.0 / _RATE_HZ, config.unsteadiness)
        self._lock = Lock()  # of the leader and what it knows: both threads use them
        self._leads = self._sets_out = False
        self._positions: FloatArray | None = None
        self._cube: FloatArray | None = None
        self._since_ns = 0
        self._task: dict[str, Any] = {}
        self._recorder: dict[str, str] = {}
        self._lead = ''
        self._stopping = Event()
        self._calls = ServiceCalls(self, self._stopping, simulated_scene.SERVICES | _SERVICES)
        self._connect()
        self._thread = Thread(target=self._run, name='episodes', daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        leader = load_teleop_spec('scripted_leader').leaders['arm'].joint_state
        assert leader is not None
        self._instruction = self.create_publisher(String, 'instruction', qos.LATCHED)
        self._joints = self.create_publisher(JointState, leader.topic, qos.STATUS)
        self.create_subscription(JointState, self._spec.state_topic, self._on_state, qos.SENSOR)
        self.create_subscription(PointStamped, 'sim_node/true_cube', self._on_cube, qos.STATUS)
        self.create_subscription(String, 'sim_node/task', self._on_task, qos.STATUS)
        self.create_subscription(Header, 'teleop_node/lead', self._on_lead, qos.LATCHED)
        self.create_subscription(DiagnosticStatus, 'recorder_node/status', self._on_recorder,
                                 qos.STATUS)
        self.create_timer(1.0 / _RATE_HZ, self._move)

    def stop(self) -> None:
        """Break off."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _on_state(self, message: JointState) -> None:
        state = conversions.state_from_message(message, self._spec)
        with self._lock:
            if state.stamp_ns > self._since_ns:
                self._positions = state.positions

    def _on_cube(self, message: PointStamped) -> None:
        with self._lock:
            if conversions.to_ns(message.header.stamp) > self._since_ns:
                self._cube = np.array([message.point.x, message.point.y, message.point.z])

    def _on_task(self, message: String) -> None:
        self._task = json.loads(message.data)

    def _on_lead(self, message: Header) -> None:
        self._lead = message.frame_id

    def _on_recorder(self, message: DiagnosticStatus) -> None:
        self._recorder = values_of(message)

    def _cameras_are_heard(self) -> bool:
        return all(float(self._recorder.get(f'{name}_rate_hz') or 0) > 0
                   for name in self._spec.cameras)

    def _sees(self) -> bool:
        return self._positions is not None and self._cube is not None

    def _move(self) -> None:
        """Tell the leader's joints, which move while it leads."""
        with self._lock:
            if self._positions is None or self._cube is None:
                return
            if self._leads:
                self._leader.step(self._positions, self._cube)
            elif self._sets_out:
                self._sets_out = not self._leader.go_to_start()
            *joints, finger = self._leader.pose.tolist()
        gripper = self._spec.gripper
        handle = (finger - gripper.closed) / (gripper.open - gripper.closed)
        message = JointState(name=[*self._spec.driver_joint_names[:-1], 'handle'],
                             position=[*joints, handle])
        message.header.stamp = self.get_clock().now().to_msg()
        self._joints.publish(message)

    def _run(self) -> None:
        try:
            self._wait(lambda: not self._calls.missing() and bool(self._task)
                       and self._cameras_are_heard(), self._config.startup_limit,
                       'the other nodes and the cameras')
            simulated_scene.check_that_only_the_simulator_listens(self, self._spec)
            self._record_all()
            self.exit_code = 0
        except GraphFault as fault:
            if not self._stopping.is_set():
                print(f'the demonstrations stopped: {fault}', file=sys.stderr, flush=True)
        finally:
            self.context.try_shutdown()

    def _record_all(self) -> None:
        saved, seed = 0, self._config.seed_start
        while saved < self._config.episodes:
            begin = time.monotonic()
            instruction, problem = self._episode(seed)
            saved += not problem
            print(f'episode {saved}/{self._config.episodes}  layout {seed}  {instruction}  '
                  f'{time.monotonic() - begin:.1f} s  {problem or "saved"}', flush=True)
            seed += 1

    def _episode(self, seed: int) -> tuple[str, str]:
        """Record the layout of ``seed``; returns its instruction, and '' or why it failed."""
        instruction = self._prepare(seed)
        self._insist('arm', SetBool.Request(data=True))
        # On a busy machine the arm may have gone on braking after the leader was brought to it.
        self._insist('engage', SetBool.Request(data=True), lambda: self._bring_leader(seed))
        if np.random.default_rng([seed, 4]).random() < self._config.displaced:
            self._go_elsewhere()
        self._insist('start', Trigger.Request())
        self._leads = True
        problem = self._watch(seed)
        if not problem:
            self._stopping.wait(_AFTER_SUCCESS_S)
            self._insist('mark_success', Trigger.Request())
            answer = self._calls.call('save', Trigger.Request())
            problem = '' if answer.success else str(answer.message)
        if problem:
            self._insist('discard', Trigger.Request())
        self._leads = False
        self._calls.call('arm', SetBool.Request(data=False))
        # teleop_node must know of it: it would go on from where the arm was.
        self._wait(lambda: self._lead == 'idle', _REFUSED_S, 'an idle teleop_node')
        # While the arm brakes control_node would take the next layout's open hand for the one
        # that it shut, and keep that grip.
        self._stopping.wait(_SETTLE_S)
        return instruction, problem

    def _go_elsewhere(self) -> None:
        """Lead the arm to another place to begin from."""
        with self._lock:
            self._leader.set_out(np.array(self._cube))
            self._sets_out = True
        self._wait(lambda: not self._sets_out, self._config.time_limit, 'the arm where it begins')
        self._stopping.wait(_SETTLE_S)

    def _prepare(self, seed: int) -> str:
        """Lay out the scene and bring the leader to where the arm is; returns the instruction."""
        instruction = simulated_scene.lay_out(self._calls, seed)
        self._calls.call('control', Trigger.Request())
        self._instruction.publish(String(data=instruction))
        with self._lock:
            self._since_ns = self.get_clock().now().nanoseconds
            self._positions = self._cube = None
        self._wait(self._sees, _REFUSED_S, 'joint states and the cube of sim_node')
        self._bring_leader(seed)
        self._stopping.wait(_SETTLE_S)
        return instruction

    def _bring_leader(self, seed: int) -> None:
        """Bring the leader to where the arm is."""
        with self._lock:
            self._leader.begin(np.array(self._positions), seed)

    def _watch(self, seed: int) -> str:
        """Wait for the end of an episode; returns '' or why it is no success."""
        end = time.monotonic() + self._config.time_limit
        while time.monotonic() < end:
            if self._stopping.wait(_POLL_S):
                raise GraphFault('interrupted')
            if self._task['seed'] == seed and self._task['success']:
                return ''
            if self._lead != 'human':
                return f"the arm is not led any more ('{self._lead}'); discarded"
        return f'the cube is not up after {self._config.time_limit:g} s; discarded'

    def _insist(self, name: str, request: Any, repair: Callable[[], None] | None = None) -> None:
        """Call a service, for a while again and again where it refuses, each after ``repair``."""
        end = time.monotonic() + _REFUSED_S
        while not (answer := self._calls.call(name, request)).success:
            if time.monotonic() > end:
                raise GraphFault(f'{_SERVICES[name][1]}: {answer.message}')
            if repair:
                repair()
            self._stopping.wait(_AGAIN_S)

    def _wait(self, ready: Callable[[], bool], limit_s: float, what: str) -> None:
        end = time.monotonic() + limit_s
        while not ready():
            if self._stopping.wait(_POLL_S):
                raise GraphFault('interrupted')
            if time.monotonic() > end:
                missing = ', '.join(self._calls.missing())
                raise GraphFault(f'no sign of {what} within {limit_s:g} s {missing}'.strip())


def main(args: list[str] | None = None) -> None:
    """Run the node until all episodes are recorded or it is interrupted."""
    nodes: list[DemonstratorNode] = []

    def make_node() -> DemonstratorNode:
        nodes.append(DemonstratorNode())
        return nodes[0]

    code = run_node('demonstrator_node', make_node, args)
    sys.exit(code or (nodes[0].exit_code if nodes else 1))


if __name__ == '__main__':
    main()
