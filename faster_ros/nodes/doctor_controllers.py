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
"""Asks a controller manager of ros2_control for its controllers, if there is one."""

from __future__ import annotations

from typing import Any

from faster_ros.doctor.facts import ControllerFacts
from faster_ros.robots.optional_messages import load, MissingMessagesError
from rclpy.node import Node


class ControllerQuery:
    """One question; ``step`` asks it when the service is there, ``facts`` has the answer."""

    def __init__(self, node: Node, manager: str) -> None:
        self._node = node
        self._service = f'{manager}/list_controllers'
        self._client: Any = None
        self._future: Any = None
        self._problem = ''

    def step(self) -> None:
        """Ask once, as soon as the service is there."""
        if self._future is not None or self._problem or not self._served():
            return
        try:
            kind = load('controller_manager_msgs', 'srv', 'ListControllers',
                        'asking which controllers are active')
        except MissingMessagesError as error:
            self._problem = str(error)
            return
        if self._client is None:
            self._client = self._node.create_client(kind, self._service)
        if self._client.service_is_ready():
            self._future = self._client.call_async(kind.Request())

    @property
    def facts(self) -> ControllerFacts:
        """Return the answer so far."""
        if self._future is None and not self._problem:
            return ControllerFacts()
        if self._problem or not self._future.done():
            return ControllerFacts(self._service, {}, self._problem or 'no answer')
        return ControllerFacts(self._service, {
            controller.name: controller.state for controller in self._future.result().controller})

    def destroy(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._node.destroy_client(self._client)

    def _served(self) -> bool:
        return any(name == self._service for name, _ in self._node.get_service_names_and_types())
