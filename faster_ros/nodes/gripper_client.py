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
        self._problem = ''
        self._epoch = 0

    def restart(self) -> None:
        """Leave the gripper as it is until the commands say otherwise."""
        self.position = None
        self._decision.restart()

    def step(self, steady_ns: int) -> str:
        """Send or cancel what is due; returns '' or what is wrong with the gripper."""
        if self.position is None:
            return self._problem
        wish = self._decision.step(self._map.opening(self.position), steady_ns)
        if self._decision.superseded and self._goal is not None:
            self._goal.cancel_goal_async()
            self._goal = None  # cancelled once; its result still comes
        if wish is not None:
            self._send(wish, steady_ns)
        return self._problem

    def _send(self, is_open: bool, steady_ns: int) -> None:
        action, client = self._actions[is_open], self._clients[is_open]
        if not client.server_is_ready():
            self._problem = f'expected a gripper driver that serves the action {action.name}'
            return
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
        goal.get_result_async().add_done_callback(lambda _: self._on_result(epoch))

    def _on_result(self, epoch: int) -> None:
        if epoch == self._epoch:
            self._goal = None
            self._decision.finished(followed=True)
