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

from collections.abc import Callable, Mapping
from contextlib import ExitStack
import logging
import ssl
import time
from typing import Any, TypeVar

from faster_ros.policy_server.settings import ServerSettings
from faster_ros.policy_server.wire import pack, unpack
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

T = TypeVar('T')
LARGEST_MESSAGE = 64 * 2**20  # bytes: eight uncompressed images of 1080 lines
_CLOSE_S = 0.5
_SILENT = logging.getLogger('faster_ros.policy_server.websockets')
_SILENT.setLevel(logging.CRITICAL)  # every failure is raised, none needs a line of the library


class ServerError(ValueError):
    """A policy server that is away, slow, closed to us, or says what it must not."""


class ServerRefusal(ServerError):
    """An observation that the server did not answer, in the server's words."""


class Connection:
    """Open until ``close`` or a failure that is no refusal; used by one thread."""

    def __init__(self, settings: ServerSettings) -> None:
        """Connect and take what the server says of itself (``metadata``)."""
        self._address = settings.address
        self._open = ExitStack()
        until_s = time.monotonic() + settings.connect_timeout_s
        try:
            self._socket = self._connected(settings)
            self.metadata = self._received(
                until_s - time.monotonic(), settings.connect_timeout_s,
                'a msgpack map that describes the policy')
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Return whether the server has not closed it in the meantime."""
        return self._socket.close_code is None

    def ask(self, message: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Return the answer to a message; a failure but a refusal closes the connection."""
        frame = pack(message)
        try:
            self._guarded(lambda: self._socket.send(frame))
            return self._received(timeout_s, timeout_s, 'a msgpack map with actions')
        except ServerRefusal:
            raise
        except BaseException:
            self.close()  # an answer that comes later must not pass for that to a later question
            raise

    def close(self) -> None:
        """Disconnect; may be called from any thread and twice."""
        self._open.close()

    def _connected(self, settings: ServerSettings) -> ClientConnection:
        token = settings.token
        headers = {'Authorization': f'Api-Key {token}'} if token else {}
        context = _tls(settings) if settings.encrypted else None
        return self._guarded(lambda: self._open.enter_context(connect(
            settings.address, ssl=context, additional_headers=headers, compression=None,
            max_size=LARGEST_MESSAGE, open_timeout=settings.connect_timeout_s,
            close_timeout=_CLOSE_S, proxy=None, logger=_SILENT)), settings.connect_timeout_s)

    def _received(self, timeout_s: float, meant_s: float, expected: str) -> dict[str, Any]:
        frame = self._guarded(lambda: self._socket.recv(timeout=max(timeout_s, 0.0)), meant_s,
                              expected)
        if isinstance(frame, str):  # how this protocol says that something failed
            raise ServerRefusal(f'policy server {self._address} failed: {_last_line(frame)}')
        try:
            return unpack(frame)
        except ValueError as error:
            raise ServerError(f'policy server {self._address}: {error}') from None

    def _guarded(self, action: Callable[[], T], timeout_s: float = 0.0,
                 expected: str = 'a connection') -> T:
        try:
            return action()
        except TimeoutError:
            raise ServerError(f'policy server {self._address}: expected {expected} within '
                              f'{timeout_s:g} s, got none') from None
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
