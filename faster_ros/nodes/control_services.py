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
"""The services of ``control_node``: arm, stop, reset and recover."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from faster_ros.interfaces import RobotState
from faster_ros.nodes.doctor_verdict import VerdictGate
from faster_ros.nodes.driver_link import DriverLink
from faster_ros.nodes.recovery_runner import RecoveryRunner
from faster_ros.robot_spec import RobotSpec
from faster_ros.robots.recovery import recovery_steps
from faster_ros.runtime.controller import MotionController
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger


class ControlServices:
    """Answers on the executor; ``lock`` guards the controller."""

    def __init__(self, node: Node, spec: RobotSpec, controller: MotionController, lock: Lock,
                 driver: DriverLink, doctor: VerdictGate,
                 state: Callable[[], RobotState | None]) -> None:
        self._node = node
        self._controller = controller
        self._lock = lock
        self._driver = driver
        self._doctor = doctor
        self._state = state
        self._dry_run = bool(node.get_parameter('dry_run').value)
        self.recovery = RecoveryRunner(node, recovery_steps(spec), self._hold)
        node.create_service(SetBool, '~/arm', self._on_arm)
        node.create_service(Trigger, '~/stop', self._on_stop)
        node.create_service(Trigger, '~/reset', self._on_reset)
        node.create_service(Trigger, '~/recover', self._on_recover)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)

    def _on_arm(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        with self._lock:
            if request.data:
                response.message = self._refusal() or self._controller.arm(self._now_ns(),
                                                                           self._state())
            else:
                self._controller.disarm(self._now_ns())
        response.success = not response.message
        if not response.success:
            self._node.get_logger().warning(f'arming refused: {response.message}')
        elif request.data:
            self._driver.restart()
        return response

    def _refusal(self) -> str:
        if self.recovery.running:
            return f'a recovery is under way: {self.recovery.progress}'
        return self._driver.rival() or self._doctor.refusal()

    def _on_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._controller.stop('by ~/stop', self._now_ns())
        self.recovery.cancel()
        response.success = True
        response.message = 'braking, then disarmed; call ~/arm to allow motion'
        return response

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._controller.reset(self._now_ns())
        response.success = True
        response.message = 'trajectory forgotten; waiting for a chunk observed from now on'
        return response

    def _on_recover(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._controller.stop('by ~/recover', self._now_ns())
        response.message = self._no_recovery() or self.recovery.start()
        response.success = not response.message
        if response.success:
            response.message = ('disarmed, recovery begun; ~/status and the log say how it goes, '
                                'then call ~/arm')
        return response

    def _no_recovery(self) -> str:
        return ('disarmed, but nothing is recovered: dry_run:=true calls no driver; expected '
                'control_node without dry_run') if self._dry_run else ''

    def _hold(self) -> str:
        with self._lock:
            return self._controller.hold_measured(self._now_ns(), self._state())
