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
A policy behind a websocket that speaks openpi's protocol; ``faster_ros policy serve`` runs it.

A client that connects gets the metadata; each map of an observation is answered with a map of
``actions`` and ``server_timing``; an error is a text, after which the connection goes on. GET
/healthz says OK to anybody. With a token all else needs ``Authorization: Api-Key TOKEN``. Web
pages, which say where they come from, are never let in.
"""

from __future__ import annotations

from collections.abc import Callable
import hmac
from http import HTTPStatus
import logging
import math
import ssl
from threading import Lock, Thread
import time
from typing import Any

from faster_ros.interfaces import Policy
from faster_ros.policy_server.connection import LARGEST_MESSAGE
from faster_ros.policy_server.handshake import Metadata
from faster_ros.policy_server.observation_map import read_observation
from faster_ros.policy_server.wire import pack, unpack
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import serve, ServerConnection

HEALTH = '/healthz'
_SILENT = logging.getLogger('faster_ros.policy_server.websockets')
_CLOSE_S = 1.0


class PolicyServer:
    """
    Answers any number of clients, one observation at a time.

    Every client has a thread; the policy, which may be used by one at a time, a lock. ``say``
    gets a line for each client that comes, goes or is refused. ``port``: which is listened on.
    """

    def __init__(self, policy: Policy, metadata: Metadata, address: tuple[str, int],
                 token: str = '', tls: ssl.SSLContext | None = None,
                 say: Callable[[str], None] = lambda _: None) -> None:
        """Listen on host and port; 0 takes a free one. An address in use is a ValueError."""
        stated = sorted(name for names in metadata.keys.state.values() for name in names)
        if stated != sorted(metadata.joints) or set(metadata.keys.images) != set(metadata.cameras):
            raise ValueError(
                f"the keys have joints {', '.join(stated)} and cameras "
                f"{', '.join(metadata.keys.images)}; the policy needs each of "
                f"{', '.join(metadata.joints)} once, and {', '.join(metadata.cameras)}")
        self._policy, self._metadata, self._token, self._say = policy, metadata, token, say
        self._greeting = pack(metadata.message())
        self._inference = Lock()
        self._clients: set[ServerConnection] = set()
        self._clients_lock = Lock()
        try:
            self._server = serve(
                self._serve_client, *address, ssl=tls, origins=[None], compression=None,
                process_request=self._admit, max_size=LARGEST_MESSAGE, close_timeout=_CLOSE_S,
                logger=_SILENT)
        except OSError as error:
            raise ValueError(f'cannot listen on {address[0]}:{address[1]}: {error}') from None
        self.port = int(self._server.socket.getsockname()[1])
        self._thread = Thread(target=self._server.serve_forever, name='policy server')
        self._thread.start()

    def wait(self) -> None:
        """Return when the server has ended."""
        self._thread.join()

    def stop(self) -> None:
        """Disconnect all clients and end."""
        with self._clients_lock:
            clients = list(self._clients)
        for client in clients:
            client.close(1001, 'the server ends')
        self._server.shutdown()
        self._thread.join()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return an answer for whoever gets no connection, or None."""
        if request.path == HEALTH:
            return connection.respond(HTTPStatus.OK, 'OK\n')
        given = request.headers.get('Authorization', '')
        if self._token and not hmac.compare_digest(given.encode(errors='replace'),
                                                   f'Api-Key {self._token}'.encode()):
            self._say(f'{_name(connection)} refused: the token is wrong or missing')
            return connection.respond(HTTPStatus.UNAUTHORIZED,
                                      'expected the header Authorization: Api-Key TOKEN\n')
        return None

    def _serve_client(self, connection: ServerConnection) -> None:
        with self._clients_lock:
            self._clients.add(connection)
        name = _name(connection)
        self._say(f'{name} connected')
        try:
            connection.send(self._greeting)
            told: str | bytes = ''
            for frame in connection:
                answer = self._answer(frame)
                if isinstance(answer, str) and answer != told:  # a lasting fault is one line
                    self._say(f'{name} gets no answer: {answer}')
                told = answer
                connection.send(answer)
        except ConnectionClosed:
            pass
        finally:
            with self._clients_lock:
                self._clients.discard(connection)
            self._say(f'{name} disconnected')

    def _answer(self, frame: str | bytes) -> str | bytes:
        """Return the answer to a message, or as a text why there is none."""
        try:
            if isinstance(frame, str):
                raise ValueError('expected a msgpack map in a binary message, got a text')
            observation = read_observation(unpack(frame), self._metadata.keys,
                                           self._metadata.joints)
            with self._inference:
                begin_s = time.monotonic()
                chunk = self._policy.infer(observation)
                timing: dict[str, Any] = {'infer_ms': (time.monotonic() - begin_s) * 1e3}
                decode_s = getattr(self._policy, 'decode_s', math.nan)
            if not math.isnan(decode_s):
                timing['decode_ms'] = decode_s * 1e3
            return pack({self._metadata.keys.actions: chunk.actions, 'server_timing': timing})
        except Exception as error:  # any failure of the policy must reach whoever asked
            name = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
            return f'{name}{error}'


def _name(connection: ServerConnection) -> str:
    try:
        host, port = connection.remote_address[:2]
    except OSError:  # the client is gone already
        return 'a client'
    return f'client {host}:{port}'


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return what encrypts connections; ``certificate``: PEM file with the chain."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f'certificate {certificate} with key {key} cannot be used: '
                         f'{error}') from None
    return context
