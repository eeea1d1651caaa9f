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
The policy behind a server, as policy_node sees it: the ``Policy`` protocol over a websocket.

No clock is shared: a chunk begins at the stamp of the observation that it answers, which stays
here. A lost server is a ``ServerError`` for every observation until it is back; then what it
serves is compared with the robot again.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
from threading import Lock
import time
from typing import Any

from faster_ros.interfaces import ActionChunk, Observation
from faster_ros.policy_server.connection import Connection, ServerError, ServerRefusal
from faster_ros.policy_server.handshake import served_policy, ServedPolicy
from faster_ros.policy_server.observation_map import ObservationMap
from faster_ros.policy_server.settings import ServerSettings
from faster_ros.robot_spec import RobotSpec

_RECONNECT_S = 1.0  # between two attempts; those between get the last one's error at once


class ServedPolicyClient:
    """
    Asks a server for one chunk at a time.

    ``served``: what it says of the policy. ``decode_s``: how long the server's action expert took
    of the last answer, ``infer_s``: the server's whole policy, NaN where it does not say.
    ``added_s``: what the way there and back took beside it. ``said``: the text that it said
    before it acted, '' where it has no text mode.
    """

    def __init__(self, settings: ServerSettings, spec: RobotSpec) -> None:
        """Connect and compare with the robot; a ServerError says what does not fit."""
        self.settings, self._spec = settings, spec
        self.decode_s = self.infer_s = self.added_s = math.nan
        self.said = ''
        self._warm = False  # after a first answer all others come quickly
        self._lock = Lock()  # of the connection: close comes from another thread
        self._closed = False
        self._connection: Connection | None = None
        self._failed: tuple[float, ServerError] | None = None
        self._connection, self.served, self._map = self._connect(None)

    @property
    def example_instruction(self) -> str:
        """Return words that the policy accepts."""
        return self.served.example_instruction

    @property
    def takes_committed(self) -> bool:
        """Return whether committed actions are an input."""
        return self.served.takes_committed

    def infer(self, observation: Observation) -> ActionChunk:
        """Return the chunk of an observation; a ServerError says why there is none."""
        connection = self._connected()
        timeout_s = (self.settings.answer_timeout_s if self._warm
                     else self.settings.first_answer_timeout_s)
        try:
            message = self._map.message(observation, self._time_left(observation))
        except ValueError as error:
            raise self._error(str(error)) from None
        begin_s = time.monotonic()
        try:
            answer = connection.ask(message, timeout_s)
        except ServerError as error:
            if not isinstance(error, ServerRefusal) or not self.served.says_format:
                self._drop(connection)  # openpi's servers close after a refusal
            raise
        self._warm = True
        self._note_times(answer, time.monotonic() - begin_s)
        self.said = str(answer.get('said') or '')
        try:
            actions = self._map.actions(answer, observation.positions)
        except ValueError as error:
            raise self._error(str(error)) from None
        return ActionChunk(observation.stamp_ns, self.served.step_ns, actions,
                           self._spec.action_names)

    def close(self) -> None:
        """Disconnect for good; an answer that is waited for ends with a ServerError."""
        with self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _time_left(self, observation: Observation) -> float | None:
        """Return how long the server may take: the way there and back is not its own."""
        if observation.answer_within_s is None or math.isnan(self.added_s):
            return observation.answer_within_s
        return max(0.0, observation.answer_within_s - self.added_s)

    def _note_times(self, answer: Mapping[str, Any], round_trip_s: float) -> None:
        timing = answer.get('server_timing')
        times = timing if isinstance(timing, Mapping) else {}
        self.infer_s, self.decode_s = (_seconds(times.get(name))
                                       for name in ('infer_ms', 'decode_ms'))
        self.added_s = round_trip_s - self.infer_s

    def _connected(self) -> Connection:
        with self._lock:
            connection = self._connection
        if connection is not None and connection.is_open:
            return connection
        now_s = time.monotonic()
        if self._failed is not None and now_s < self._failed[0] + _RECONNECT_S:
            raise self._failed[1]
        try:
            connection, self.served, self._map = self._connect(self.served)
        except ServerError as error:
            self._failed = (time.monotonic(), error)
            raise
        self._failed = None
        with self._lock:
            if self._closed:
                connection.close()
                raise self._error('this client was closed')
            self._connection = connection
        return connection

    def _connect(self, before: ServedPolicy | None,
                 ) -> tuple[Connection, ServedPolicy, ObservationMap]:
        connection = Connection(self.settings)
        try:
            served = served_policy(connection.metadata, self.settings.policy, self._spec)
            served.check(self._spec)
            if before is not None and served != before:
                raise ValueError('it came back with another policy than the one that this node '
                                 'began with; expected the same, or a new start of this node')
            return connection, served, ObservationMap(served, self._spec)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            connection.close()
            raise self._error(str(error)) from None

    def _drop(self, connection: Connection) -> None:
        connection.close()
        with self._lock:
            if self._connection is connection:
                self._connection = None

    def _error(self, text: str) -> ServerError:
        return ServerError(f'policy server {self.settings.address}: {text}')


def _seconds(milliseconds: Any) -> float:
    return float(milliseconds) * 1e-3 if isinstance(milliseconds, (int, float)) else math.nan
