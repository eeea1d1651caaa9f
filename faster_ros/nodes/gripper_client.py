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
Drives a gripper that is an action: one goal in flight, on a change of mind only.

``robots.gripper`` decides, ``robots.gripper_actions`` makes the goals; this sends and cancels.
``step`` runs on the executor, never in the control loop: some servers take seconds to answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from faster_ros.robot_spec import GripperSpec
from faster_ros.robots.gripper import GripperDecision, GripperMap
from faster_ros.robots.gripper_actions import gripper_actions

_SUCCEEDED = 4  # of action_msgs/GoalStatus
_AGAIN_NS = 1_000_000_000  # between two goals that ask for the same
_TRIES = 3  # a hand that holds something may abort each of them, as Franka's gripper_action does


class GripperClient:
    """Follows ``position``, the commanded position of the gripper's joint, set by the loop."""

    def __init__(self, gripper: GripperSpec, connect: Callable[[Any, str], Any]) -> None:
        """``connect`` makes the client of an action from its type and name."""
        self.position: float | None = None
        self._actions = gripper_actions(gripper)
        clients = {action.name: connect(action.kind, action.name)
                   for action in self._actions.values()}
        self._clients = {which: clients[action.name] for which, action in self._actions.items()}
        self._map = GripperMap(gripper)
        self._decision = GripperDecision()
        self._goal: Any = None
        self._problem = self._failure = ''
        self._failures = 0  # of goals in a row that asked for the same
        self._asked: bool | None = None
        self._asked_ns = -_AGAIN_NS
        self._epoch = 0

    def restart(self) -> None:
        """Leave the gripper as it is until the commands say otherwise."""
        self.position = None
        self._failures, self._asked_ns = 0, -_AGAIN_NS
        self._decision.restart()

    def step(self, steady_ns: int) -> str:
        """Send or cancel what is due; returns '' or what is wrong with the gripper."""
        if self.position is None:
            return self._problem or self._failure
        wish = self._decision.step(self._map.opening(self.position), steady_ns)
        if self._decision.superseded and self._goal is not None:
            self._goal.cancel_goal_async()
            self._goal = None  # cancelled once; its result still comes
        if wish is not None and (wish is not self._asked
                                 or steady_ns - self._asked_ns >= _AGAIN_NS):
            self._send(wish, steady_ns)
        return self._problem or self._failure

    def _send(self, is_open: bool, steady_ns: int) -> None:
        action, client = self._actions[is_open], self._clients[is_open]
        if not client.server_is_ready():
            self._problem = f'expected a gripper driver that serves the action {action.name}'
            return
        if is_open is not self._asked:
            self._failures = 0
        self._asked, self._asked_ns = is_open, steady_ns
        self._decision.told(is_open, steady_ns)
        self._epoch += 1
        epoch, self._goal = self._epoch, None
        client.send_goal_async(action.goal()).add_done_callback(
            lambda future: self._on_answer(future.result(), action.name, epoch))

    def _on_answer(self, goal: Any, name: str, epoch: int) -> None:
        if epoch != self._epoch:
            return
        if not goal.accepted:
            self._problem = f'the gripper refused a goal on {name}; is it homed and idle?'
            self._decision.finished(followed=False)
            return
        self._problem, self._goal = '', goal
        goal.get_result_async().add_done_callback(
            lambda future: self._on_result(future.result(), name, epoch))

    def _on_result(self, answer: Any, name: str, epoch: int) -> None:
        if epoch != self._epoch:
            return
        superseded, self._goal = self._goal is None, None
        # ros2_control's controllers abort when something stops the closing fingers: it is held.
        held = not self._asked and getattr(answer.result, 'stalled', False)
        followed = held or answer.status == _SUCCEEDED
        if followed:
            self._failures, self._failure = 0, ''
        elif not superseded:
            self._note_failure(name, answer.status)
        self._decision.finished(followed or self._failures >= _TRIES)

    def _note_failure(self, name: str, status: int) -> None:
        self._failures += 1
        self._failure = (
            f'the gripper did not {"open" if self._asked else "close"}: {name} ended with status '
            f'{status}, expected {_SUCCEEDED} (succeeded)')
        if self._failures >= _TRIES:
            self._failure += f' {_TRIES} times; left as it is until the command changes'
