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
A thread that does the slow work of recording, behind a queue that never grows.

What does not fit is refused at once, so that the caller counts it and goes on: a recorder that
waits for a disk loses the messages it should have seen meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Full, Queue
import threading
from typing import Generic, TypeVar

T = TypeVar('T')


class BackgroundQueue(Generic[T]):
    """
    Hands items to ``work`` one by one, in order, in its own thread.

    The first exception ends the work; ``close`` raises it.
    """

    def __init__(self, name: str, work: Callable[[T], None], depth: int) -> None:
        """``depth``: how many items may wait."""
        self._work = work
        self._queue: Queue[T | None] = Queue(depth)
        self._cancelled = False
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: T, wait: bool = False) -> bool:
        """
        Queue an item, or say at once that there is no room or that the work has failed.

        ``wait``: for room, as only those may who lose nothing meanwhile.
        """
        if self.failure is not None:
            return False
        try:
            self._queue.put(item, block=wait)
        except Full:
            return False
        return True

    @property
    def waiting(self) -> int:
        """Return how many items wait."""
        return self._queue.qsize()

    def close(self) -> None:
        """Finish what is queued, end the thread, and raise what went wrong in it."""
        self._end()
        if self.failure is not None:
            raise self.failure

    def cancel(self) -> None:
        """End the thread without the work that is queued."""
        self._cancelled = True
        self._end()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self.failure is not None or self._cancelled:
                continue
            try:
                self._work(item)
            except Exception as error:  # handed to ``close``, and to the caller by ``failure``
                self.failure = error
