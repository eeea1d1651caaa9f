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
One websocket connection to a policy server, from the client's side.

Whatever goes wrong is a ``ServerError`` that begins with the server's address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError
import logging
import ssl
from threading import Event, Thread
import time
from typing import Any, TypeVar

from faster_ros.policy_server.settings import ServerSettings
from faster_ros.policy_server.wire import pack, unpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

T = TypeVar('T')
LARGEST_MESSAGE = 64 * 2**20  # bytes: eight uncompressed images of 1080 lines
_CLOSE_S = 0.5
SILENT = logging.getLogger('faster_ros.policy_server.websockets')
SILENT.setLevel(logging.CRITICAL)  # every failure is raised, none needs a line of the library


class ServerError(ValueError):
    """A policy server that is away, slow, closed to us, or says what it must not."""


class ServerRefusal(ServerError):
    """An observation that the server did not answer, in the server's words."""


class Connection:
    """
    Open until ``close`` or a failure that is no refusal; asks one question at a time.

    The socket lives in the event loop of a thread of its own: one thread both reads and writes,
    as TLS needs it, and a server's pings are answered while nothing is asked.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Connect and take what the server says of itself (``metadata``)."""
        self._address = settings.address
        self._started = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._live()), name='policy server',
                              daemon=True)
        self._socket: ClientConnection | None = None
        token = settings.token
        headers = {'Authorization': f'Api-Key {token}'} if token else {}
        tls = _tls(settings) if settings.encrypted else None
        limit_s = settings.connect_timeout_s
        until_s = time.monotonic() + limit_s
        self._thread.start()
        self._started.wait()
        try:
            self._socket = self._wait(self._open(headers, tls, limit_s), limit_s, limit_s)
            self.metadata = self._received(until_s - time.monotonic(), limit_s,
                                           'a msgpack map that describes the policy')
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Return whether the server has not closed it in the meantime."""
        return self._socket is not None and self._socket.close_code is None

    def ask(self, message: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Return the answer to a message; a failure but a refusal closes the connection."""
        frame, until_s = pack(message), time.monotonic() + timeout_s
        try:
            assert self._socket is not None
            self._wait(self._socket.send(frame), timeout_s, timeout_s)
            return self._received(until_s - time.monotonic(), timeout_s,
                                  'a msgpack map with actions')
        except ServerRefusal:
            raise
        except BaseException:
            self.close()  # an answer that comes later must not pass for that to a later question
            raise

    def close(self) -> None:
        """Disconnect; may be called from any thread and twice."""
        try:
            self._loop.call_soon_threadsafe(self._ended.set)
        except RuntimeError:  # it has ended
            return
        self._thread.join()

    async def _live(self) -> None:
        """Keep the event loop running until the end, which wakes up whoever waits."""
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._started.set()
        await self._ended.wait()
        if self._socket is not None:
            await self._socket.close()

    async def _open(self, headers: Mapping[str, str], tls: ssl.SSLContext | None,
                    timeout_s: float) -> ClientConnection:
        # No pings: a server that compiles answers none, and every answer has its own time limit.
        return await connect(
            self._address, ssl=tls, additional_headers=headers, compression=None,
            ping_interval=None, max_size=LARGEST_MESSAGE, open_timeout=timeout_s,
            close_timeout=_CLOSE_S, proxy=None, logger=SILENT)

    def _received(self, timeout_s: float, meant_s: float, expected: str) -> dict[str, Any]:
        assert self._socket is not None
        frame = self._wait(self._socket.recv(), timeout_s, meant_s, expected)
        if isinstance(frame, str):  # how this protocol says that something failed
            raise ServerRefusal(f'policy server {self._address} failed: {_last_line(frame)}')
        try:
            return unpack(frame)
        except ValueError as error:
            raise ServerError(f'policy server {self._address}: {error}') from None

    def _wait(self, action: Coroutine[Any, Any, T], timeout_s: float, meant_s: float,
              expected: str = 'a connection') -> T:
        """Return what comes of an action in the event loop; ``meant_s``: the limit in words."""
        limited = asyncio.wait_for(action, max(timeout_s, 0.0))
        try:
            return asyncio.run_coroutine_threadsafe(limited, self._loop).result()
        except (TimeoutError, asyncio.TimeoutError):
            raise ServerError(f'policy server {self._address}: expected {expected} within '
                              f'{meant_s:g} s, got none') from None
        except InvalidStatus as error:
            raise ServerError(f'policy server {self._address} refused the connection: '
                              f'{_status(error.response.status_code)}') from None
        except ConnectionClosed as error:
            raise ServerError(f'policy server {self._address} closed the connection: '
                              f'{error}; expected {expected}') from None
        except ssl.SSLError as error:
            raise ServerError(f'policy server {self._address}: TLS failed: {error}; expected a '
                              'certificate for this name, signed by an authority of this machine '
                              "or of 'certificate_authority'") from None
        except (OSError, WebSocketException) as error:
            raise ServerError(f'policy server {self._address}: expected {expected}, got '
                              f'{error or type(error).__name__}; is it running there?') from None
        except (CancelledError, RuntimeError):
            limited.close()
            action.close()
            raise ServerError(f'policy server {self._address}: the connection was closed here; '
                              f'expected {expected}') from None


def _tls(settings: ServerSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.certificate_authority or None)
    except (OSError, ssl.SSLError) as error:
        raise ServerError(f'certificate_authority {settings.certificate_authority} cannot be '
                          f'read: {error}') from None


def _status(code: int) -> str:
    if code in (401, 403):
        return (f'HTTP {code}, the token is wrong or missing; expected the one of the server in '
                "the file that 'token_file' names")
    return f'HTTP {code}; expected a policy server at this address'


def _last_line(text: str) -> str:
    """Return the error at the end of a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else 'it does not say why'
