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
"""A thread that calls a function at a fixed rate on the steady clock; used by ``control_node``."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
import time

from faster_ros.runtime.period_monitor import PeriodMonitor


class PacedThread:
    """
    Calls ``tick(due_ns)`` on a grid of steady times, ``due_ns`` being the grid point.

    A late call is made at once for the newest point that has passed; the others are skipped,
    never made up for in a burst. ``between`` is called half a period after a point, or as soon as
    its ``tick`` is over. An exception ends the thread and goes to ``on_failure``.
    """

    def __init__(self, rate_hz: float, tick: Callable[[int], None],
                 on_failure: Callable[[Exception], None],
                 between: Callable[[], None] | None = None) -> None:
        """``start`` begins the calls, ``stop`` ends them."""
        self.period_ns = round(1e9 / rate_hz)
        self.monitor = PeriodMonitor(self.period_ns)
        self._tick = tick
        self._between = between
        self._on_failure = on_failure
        self._stopping = False
        self._thread = Thread(target=self._run, name='control', daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the running call and wait for it."""
        self._stopping = True
        self._thread.join(2.0)

    def _run(self) -> None:
        due_ns = time.monotonic_ns()
        try:
            while not self._stopping:
                _sleep_until(due_ns)
                now_ns = time.monotonic_ns()
                self.monitor.add(now_ns)
                due_ns += (now_ns - due_ns) // self.period_ns * self.period_ns
                self._tick(due_ns)
                if self._between is not None:
                    _sleep_until(due_ns + self.period_ns // 2)
                    self._between()
                due_ns += self.period_ns
        except Exception as error:  # the loop must not die in silence
            self._on_failure(error)


def _sleep_until(due_ns: int) -> None:
    wait_ns = due_ns - time.monotonic_ns()
    if wait_ns > 0:
        time.sleep(wait_ns * 1e-9)
