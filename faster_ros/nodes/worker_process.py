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
"""A function in a process of its own with a pipe each way; used by the drivers' nodes."""

from __future__ import annotations

from collections.abc import Callable
import multiprocessing
from multiprocessing.connection import Connection
import select
import signal
from threading import Thread
from typing import Any

from faster_ros.runtime.scheduling import request_real_time

_LONGEST_STOP_S = 3.0


class Worker:
    """
    Runs ``serve(inbox, outbox, *arguments)`` apart from this process's Python lock.

    What it sends goes to ``on_message``, in a thread of this process; an end that nobody asked
    for goes to ``on_end``.
    """

    def __init__(self, serve: Callable[..., None], arguments: tuple[Any, ...], priority: int,
                 on_message: Callable[[Any], None], on_end: Callable[[], None]) -> None:
        """Start it; ``arguments`` have to be picklable, ``priority`` is SCHED_FIFO's or 0."""
        context = multiprocessing.get_context('spawn')
        inbox, self._outbox = context.Pipe(duplex=False)
        self._inbox, outbox = context.Pipe(duplex=False)
        self._on_message, self._on_end = on_message, on_end
        self._stopping = False
        self._process = context.Process(
            target=_run, args=(serve, inbox, outbox, priority, *arguments), daemon=True)
        self._process.start()
        inbox.close()
        outbox.close()  # so that the end of the process is the end of the pipe
        self._thread = Thread(target=self._listen, name='worker', daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Return the number of the process."""
        return self._process.pid

    def send(self, message: Any) -> None:
        """Hand something over; ignored by a process that has ended."""
        try:
            self._outbox.send(message)
        except OSError:
            pass

    def stop(self) -> None:
        """Close the pipe, which tells it to end, and wait; kill it if it does not."""
        self._stopping = True
        self._outbox.close()
        self._process.join(_LONGEST_STOP_S)
        if self._process.is_alive():
            self._process.kill()
        self._thread.join(1.0)

    def _listen(self) -> None:
        try:
            while True:
                self._on_message(self._inbox.recv())
        except (EOFError, OSError):
            if not self._stopping:
                self._on_end()


def received(inbox: Connection) -> list[Any] | None:
    """Return what waits in the pipe, or None when the other side has closed it."""
    messages = []
    try:
        while inbox.poll():
            messages.append(inbox.recv())
    except (EOFError, OSError):
        return None
    return messages


def offer(outbox: Connection, message: Any) -> None:
    """Send unless the reader is so late that it would block."""
    if select.select([], [outbox], [], 0)[1]:
        try:
            outbox.send(message)
        except OSError:
            pass


def _run(serve: Callable[..., None], inbox: Connection, outbox: Connection, priority: int,
         *arguments: Any) -> None:
    """Run in the new process: signals are for the parent, which closes the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if priority:
        request_real_time(priority)
    serve(inbox, outbox, *arguments)
