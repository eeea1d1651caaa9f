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
"""Services of other nodes as calls that wait; used by the nodes that lead a whole graph."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
import time
from typing import Any

from rclpy.client import Client
from rclpy.node import Node

_CALL_S = 30.0  # a busy machine answers late
_AGAIN_S = 5.0  # an answer is lost if it is sent before the server knows where answers go


class GraphFault(RuntimeError):
    """The nodes cannot be worked with; the text says why and what to look at."""


class ServiceCalls:
    """
    Clients by name, called from one thread while another spins the node.

    ``stopping``: ends a call that waits.
    """

    def __init__(self, node: Node, stopping: Event,
                 services: Mapping[str, tuple[type[Any], str]]) -> None:
        """``services``: name -> (type, name of the service)."""
        self._stopping = stopping
        self._clients: dict[str, Client[Any, Any]] = {
            name: node.create_client(kind, service) for name, (kind, service) in services.items()}

    def missing(self) -> list[str]:
        """Return the services that nobody offers yet."""
        return [client.srv_name for client in self._clients.values()
                if not client.service_is_ready()]

    def call(self, name: str, request: Any, repeatable: bool = False,
             patience_s: float = _CALL_S) -> Any:
        """Return the answer; a ``repeatable`` request is sent again while none comes."""
        client = self._clients[name]
        done = Event()
        start = time.monotonic()
        futures: list[Any] = []
        while not any(future.done() for future in futures):
            waited_s = time.monotonic() - start
            if not futures or (repeatable and waited_s > _AGAIN_S * len(futures)):
                futures.append(client.call_async(request))
                futures[-1].add_done_callback(lambda _: done.set())
            if self._stopping.is_set():
                raise GraphFault('interrupted')
            if waited_s > patience_s:
                raise GraphFault(f'service {client.srv_name} did not answer within '
                                 f'{patience_s:g} s')
            done.wait(0.1)
        return next(future for future in futures if future.done()).result()
