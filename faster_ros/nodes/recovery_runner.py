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
Performs the steps of ``robots/recovery.py`` one after the other, in a thread of its own.

The executor goes on serving: a stop or a status is not held up by a driver that takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
import time
from typing import Any

from faster_ros.robots.optional_messages import load
from faster_ros.robots.recovery import Call, Step
from rclpy.action.client import ActionClient
from rclpy.node import Node

_FIND_S = 3.0  # to discover a server that is running
_SUCCEEDED = 4  # of action_msgs/GoalStatus
_STOPPED = 'stopped by ~/stop'


class RecoveryError(Exception):
    """A step failed; the text says which call and how."""


class RecoveryRunner:
    """``progress``: the running step, how the last run ended, or '' before the first."""

    def __init__(self, node: Node, steps: tuple[Step, ...], hold: Callable[[], str]) -> None:
        """``hold`` commands the measured pose once; returns '' or why it cannot."""
        self._node = node
        self._steps = steps
        self._hold = hold
        self._clients: dict[str, Any] = {}
        self._cancelled = Event()
        self._thread: Thread | None = None
        self.progress = ''

    @property
    def running(self) -> bool:
        """Return whether a sequence is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> str:
        """Begin with the first step; returns '' or why not. Belongs to the executor."""
        if self.running:
            return f'a recovery is under way: {self.progress}'
        if not self._steps:
            return ("the robot file says 'recovery: none'; recover with the driver's own service "
                    'or tool, see docs/drivers.md')
        try:
            self._connect()
        except ImportError as error:
            return str(error)
        self._cancelled.clear()
        self._thread = Thread(target=self._run, name='recovery', daemon=True)
        self._thread.start()
        return ''

    def cancel(self) -> None:
        """Take no further step; a call that is under way cannot be taken back."""
        self._cancelled.set()

    def _connect(self) -> None:
        for step in self._steps:
            for call in step.calls:
                if call.name not in self._clients:
                    kind = load(*call.kind, needed_for=f'the recovery by {call.name}')
                    self._clients[call.name] = (
                        ActionClient(self._node, kind, call.name) if call.kind[1] == 'action'
                        else self._node.create_client(kind, call.name))

    def _run(self) -> None:
        for number, step in enumerate(self._steps, 1):
            what = f'step {number} of {len(self._steps)}, {step.text}'
            self.progress = what
            self._node.get_logger().info(f'recovery: {what}')
            try:
                self._perform(step)
            except RecoveryError as error:
                if step.needed or self._cancelled.is_set():
                    self._fail(what, str(error))
                    return
                self._node.get_logger().warning(f'recovery: {what}: {error}; it goes on')
            except Exception as error:  # the progress must not go on naming a step that has ended
                self._fail(what, repr(error))
                return
        self.progress = 'done'
        self._node.get_logger().info('recovery done; call ~/arm to allow motion')

    def _fail(self, what: str, why: str) -> None:
        self.progress = f'failed in {what}: {why}'
        self._node.get_logger().error(f'recovery {self.progress}')

    def _perform(self, step: Step) -> None:
        if self._cancelled.wait(step.wait_s):
            raise RecoveryError(_STOPPED)
        problem = self._hold() if step.hold else ''
        if problem:
            raise RecoveryError(problem)
        failures = []
        for call in step.calls:
            try:
                self._call(call)
                return
            except RecoveryError as error:
                failures.append(str(error))
        if failures:
            raise RecoveryError('; '.join(failures))

    def _call(self, call: Call) -> None:
        client = self._clients[call.name]
        if call.kind[1] == 'action':
            answer = self._act(call, client)
        else:
            self._find(call, client.service_is_ready)
            answer = self._wait(call, client.call_async(
                _filled(client.srv_type.Request(), call)))
        if not call.good(answer):
            said = getattr(answer, 'message', '') or getattr(answer, 'error', '') or str(answer)
            raise RecoveryError(f'{call.name} did not succeed: {said}')

    def _act(self, call: Call, client: Any) -> Any:
        self._find(call, client.server_is_ready)
        goal = self._wait(call, client.send_goal_async(
            _filled(client._action_type.Goal(), call)))
        if not goal.accepted:
            raise RecoveryError(f'{call.name} refused the goal')
        answer = self._wait(call, goal.get_result_async())
        if answer.status != _SUCCEEDED:
            raise RecoveryError(f'{call.name} ended with status {answer.status}')
        return answer.result

    def _find(self, call: Call, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _FIND_S
        # Looked at before each call: a step may have another way to do what was stopped.
        while not self._cancelled.is_set():
            if is_ready():
                return
            if time.monotonic() > deadline:
                raise RecoveryError(f'nobody serves {call.name}; is the driver running?')
            self._cancelled.wait(0.05)
        raise RecoveryError(_STOPPED)

    def _wait(self, call: Call, future: Any) -> Any:
        done = Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(call.timeout_s):
            raise RecoveryError(f'{call.name} did not answer within {call.timeout_s:g} s')
        return future.result()


def _filled(request: Any, call: Call) -> Any:
    """Return a request with the fields of the call, ``a.b`` being field b of field a."""
    for path, value in call.request.items():
        *parents, last = path.split('.')
        holder = request
        for parent in parents:
            holder = getattr(holder, parent)
        setattr(holder, last, value)
    return request
