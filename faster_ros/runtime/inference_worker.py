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
"""One thread that runs the policy beside the callbacks; used by ``policy_node``."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition, RLock, Thread

from faster_ros.interfaces import ActionChunk, Observation

Infer = Callable[[Observation], ActionChunk]
OnChunk = Callable[[Observation, ActionChunk], None]
OnFault = Callable[[Observation, Exception], None]


class InferenceWorker:
    """
    Runs ``infer`` in one thread, one request at a time.

    ``on_chunk`` and ``on_fault`` are called in that thread. A failed inference is always
    reported, never silent. ``reset`` starts a new epoch: what was asked before it is thrown
    away when it comes back, chunk or fault. All methods may be called from any thread; a
    callback that runs when ``reset`` is called finishes first.
    """

    def __init__(self, infer: Infer, on_chunk: OnChunk, on_fault: OnFault) -> None:
        """Start the thread; ``stop`` ends it."""
        self._infer = infer
        self._on_chunk = on_chunk
        self._on_fault = on_fault
        self._lock = RLock()
        self._wake = Condition(self._lock)
        self._request: tuple[Observation, int] | None = None  # with the epoch that asked
        self._busy = False
        self._stopping = False
        self._epoch = 0
        self.discarded = 0
        self._thread = Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Return whether a request is in flight."""
        with self._lock:
            return self._busy

    def submit(self, observation: Observation) -> bool:
        """Start one inference; returns False, and keeps nothing, while another one runs."""
        with self._lock:
            if self._busy or self._stopping:
                return False
            self._busy = True
            self._request = (observation, self._epoch)
            self._wake.notify()
            return True

    def reset(self) -> None:
        """Start a new epoch: the result of a request in flight will be thrown away."""
        with self._lock:
            self._epoch += 1

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End the thread after the request in flight; returns False if it does not end."""
        with self._lock:
            self._stopping = True
            self._epoch += 1
            self._wake.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._lock:
                while self._request is None and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    self._busy = False
                    return
                assert self._request is not None
                observation, epoch = self._request
                self._request = None
            self._answer(observation, epoch)

    def _answer(self, observation: Observation, epoch: int) -> None:
        chunk: ActionChunk | None = None
        fault: Exception | None = None
        try:
            chunk = self._infer(observation)
        except Exception as error:  # any failure of the policy must reach the operator
            fault = error
        with self._lock:
            self._busy = False
            if epoch != self._epoch:
                self.discarded += 1
                return
            try:
                if chunk is not None:
                    self._on_chunk(observation, chunk)
            except Exception as error:  # a chunk that cannot be delivered is a fault as well
                fault = error
            if fault is not None:
                self._on_fault(observation, fault)
