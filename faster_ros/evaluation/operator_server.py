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
The operator's page over HTTP, for this machine only.

Serves ``operator_page.html``, the state of the trial, the live picture and the reference; takes
what the operator does. It may start an arm, so it listens on 127.0.0.1, answers only to that name
and takes only JSON, which a foreign web page cannot send here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
from pathlib import Path
from threading import Thread
from typing import Any

_PAGE = Path(__file__).with_name('operator_page.html')
_LONGEST_BODY = 100_000
_NAMES = ('127.0.0.1', 'localhost')


class OperatorServer:
    """
    Runs in threads of its own until ``stop``.

    ``view`` returns the state, ``act`` takes a body or raises ValueError, ``picture`` returns the
    JPEG or PNG of ``live`` or ``reference`` or None.
    """

    def __init__(self, port: int, view: Callable[[], dict[str, Any]],
                 act: Callable[[Mapping[str, Any]], None],
                 picture: Callable[[str], bytes | None]) -> None:
        """Listen on ``port``; 0 takes a free one."""
        handler = type('Handler', (_Handler,), {
            'view': staticmethod(view), 'act': staticmethod(act),
            'picture': staticmethod(picture)})
        try:
            self._server = ThreadingHTTPServer(('127.0.0.1', port), handler)
        except OSError as error:
            raise ValueError(f'the page cannot listen on port {port} of 127.0.0.1: {error}; '
                             "choose another with parameter 'port', or 0 for a free one"
                             ) from error
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, name='page', daemon=True).start()

    @property
    def url(self) -> str:
        """Return the address to open."""
        return f'http://127.0.0.1:{self._server.server_port}/'

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One request; the functions come from OperatorServer."""

    view: Callable[[], dict[str, Any]]
    act: Callable[[Mapping[str, Any]], None]
    picture: Callable[[str], bytes | None]

    def do_GET(self) -> None:  # noqa: N802  the name is http.server's
        """Answer the page, the state or a picture."""
        path = self.path.partition('?')[0]
        if not self._for_us():
            return
        if path == '/':
            self._answer(200, 'text/html; charset=utf-8', _PAGE.read_bytes())
        elif path == '/state':
            self._answer(200, 'application/json', json.dumps(self.view()).encode())
        elif path in ('/live', '/reference'):
            self._answer_picture(self.picture(path[1:]))
        else:
            self._answer(404, 'text/plain', b'no such page')

    def do_POST(self) -> None:  # noqa: N802
        """Do what the body says, or answer why not."""
        if not self._for_us():
            return
        length = int(self.headers.get('Content-Length') or 0)
        kind = self.headers.get('Content-Type', '')
        if self.path != '/act' or kind != 'application/json' or not 0 < length < _LONGEST_BODY:
            self._answer(400, 'text/plain', b'expected JSON for /act')
            return
        try:
            body = json.loads(self.rfile.read(length))
            if not isinstance(body, dict):
                raise ValueError('expected an object')
            self.act(body)
        except ValueError as error:
            self._answer(409, 'text/plain; charset=utf-8', str(error).encode())
        else:
            self._answer(200, 'application/json', json.dumps(self.view()).encode())

    def _for_us(self) -> bool:
        """Refuse what was sent to another name that leads to this machine."""
        if self.headers.get('Host', '').partition(':')[0] in _NAMES:
            return True
        self._answer(403, 'text/plain', b'open the page as http://127.0.0.1')
        return False

    def _answer_picture(self, data: bytes | None) -> None:
        if data is None:
            self._answer(404, 'text/plain', b'no picture yet')
        else:
            self._answer(200, 'image/png' if data.startswith(b'\x89PNG') else 'image/jpeg', data)

    def _answer(self, code: int, kind: str, data: bytes) -> None:
        self.send_response(code)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        self.send_header('Cache-Control', 'no-store')
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""
