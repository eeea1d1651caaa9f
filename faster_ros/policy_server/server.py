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

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
import hmac
from http import HTTPStatus
import math
import ssl
from threading import Thread
import time
from typing import Any

from faster_ros.interfaces import Policy
from faster_ros.policy_server.connection import LARGEST_MESSAGE, SILENT
from faster_ros.policy_server.handshake import Metadata
from faster_ros.policy_server.observation_map import read_observation
from faster_ros.policy_server.wire import pack, unpack
from websockets.asyncio.server import serve, ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

HEALTH = '/healthz'
_CLOSE_S = 1.0


class PolicyServer:
    """
    Answers any number of clients, one observation at a time.

    All connections share the event loop of one thread, the policy has another. ``say`` gets a line
    for each client that comes, goes or is refused. ``port``: which is listened on.
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
        self._tls = tls
        self._inference = ThreadPoolExecutor(1, thread_name_prefix='inference')
        self.port = 0
        listens: Future[None] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._live(address, listens)),
                              name='policy server', daemon=True)
        self._thread.start()
        listens.result()

    def wait(self) -> None:
        """Return when the server has ended."""
        self._thread.join()

    def stop(self) -> None:
        """Disconnect all clients and end, after the answer that is being made; may come twice."""
        try:
            self._loop.call_soon_threadsafe(self._ended.set)
        except RuntimeError:  # it has ended
            return
        self._thread.join()

    async def _live(self, address: tuple[str, int], listens: Future[None]) -> None:
        """Serve until the end; ``listens`` gets the moment it begins, or why it cannot."""
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await serve(
                self._serve_client, *address, ssl=self._tls, origins=[None], compression=None,
                process_request=self._admit, max_size=LARGEST_MESSAGE, close_timeout=_CLOSE_S,
                logger=SILENT)
        except OSError as error:
            listens.set_exception(
                ValueError(f'cannot listen on {address[0]}:{address[1]}: {error}'))
            return
        self.port = int(next(iter(server.sockets)).getsockname()[1])
        listens.set_result(None)
        async with server:
            await self._ended.wait()
        self._inference.shutdown(wait=False)

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

    async def _serve_client(self, connection: ServerConnection) -> None:
        name = _name(connection)
        self._say(f'{name} connected')
        told: str | bytes = ''
        try:
            await connection.send(self._greeting)
            async for frame in connection:
                answer = await self._loop.run_in_executor(self._inference, self._answer, frame)
                if isinstance(answer, str) and answer != told:  # a lasting fault is one line
                    self._say(f'{name} gets no answer: {answer}')
                told = answer
                await connection.send(answer)
        except ConnectionClosed:
            pass
        finally:
            self._say(f'{name} disconnected')

    def _answer(self, frame: str | bytes) -> str | bytes:
        """Return the answer to a message, or as a text why there is none."""
        try:
            if isinstance(frame, str):
                raise ValueError('expected a msgpack map in a binary message, got a text')
            observation = read_observation(unpack(frame), self._metadata.keys,
                                           self._metadata.joints)
            begin_s = time.monotonic()
            chunk = self._policy.infer(observation)
            timing: dict[str, Any] = {'infer_ms': (time.monotonic() - begin_s) * 1e3}
            decode_s = getattr(self._policy, 'decode_s', math.nan)
            if not math.isnan(decode_s):
                timing['decode_ms'] = decode_s * 1e3
            said = getattr(self._policy, 'said', '')  # of a policy with text mode
            return pack({self._metadata.keys.actions: chunk.actions, 'server_timing': timing,
                         **({'said': said} if said else {})})
        except Exception as error:  # any failure of the policy must reach whoever asked
            name = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
            return f'{name}{error}'


def _name(connection: ServerConnection) -> str:
    there = connection.remote_address
    return f'client {there[0]}:{there[1]}' if there else 'a client that is gone already'


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return what encrypts connections; ``certificate``: PEM file with the chain."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f'certificate {certificate} with key {key} cannot be used: '
                         f'{error}') from None
    return context
