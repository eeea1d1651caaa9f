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
FrameSampler: rows at an even rate from streams that speak when they like, live or from a bag.

A tick's row holds what was true at that time, and each value's own stamp::

    front    a     b     c        row at T: image b, the newest not newer than T
    state    . . . . . . .        row at T: linear between its neighbours
    action    1  2  3  4          row at T: 2, what the arm was told last
                   ^T

The row is made as soon as every stream has said something newer, or when ``patience`` has passed:
then a silent stream's last value stands there again, with its old stamp. The first tick lies in
the middle between two images: a camera of the same rate, which is never quite even, would else
have two images between two ticks now and then, and one of them in no row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from faster_ros.data.dataset_spec import (
    ACTION,
    DatasetFrame,
    DatasetSpec,
    IMAGES,
    SOURCE,
    Source,
    STAMP,
    STATE,
    TICK,
    whole,
)
from faster_ros.interfaces import FloatArray, ImageArray
import numpy as np
from numpy.typing import NDArray

_PATIENCE_NS = 250_000_000
_DEPTH = 512  # values of a stream that are kept at most; images fewer
_IMAGES = 32
_Told = TypeVar('_Told')


@dataclass
class StreamCount:
    """
    What came of a stream.

    ``late``: values older than a row that was made already. ``unused``: values that stand in no
    row, since a newer one was there when it was made.
    """

    received: int = 0
    out_of_order: int = 0
    late: int = 0
    unused: int = 0


class FrameSampler:
    """Collects one episode's messages and hands out its rows; not thread-safe."""

    def __init__(self, spec: DatasetSpec, patience_ns: int = _PATIENCE_NS) -> None:
        """``spec`` has the columns of ``robot_dataset``."""
        self._spec, self._patience_ns = spec, patience_ns
        names = ['state', 'action', *(name.removeprefix(IMAGES) for name in spec.cameras)]
        self._streams: dict[str, deque[tuple[int, NDArray[Any]]]] = {
            name: deque(maxlen=_DEPTH if name in ('state', 'action') else _IMAGES)
            for name in names}
        self.counts = {name: StreamCount() for name in names}
        self._sources: deque[tuple[int, Source]] = deque([(0, Source.HUMAN)], maxlen=_DEPTH)
        self._tasks: deque[tuple[int, str]] = deque([(0, '')], maxlen=_DEPTH)
        self._start_ns: int | None = None
        self._rows = 0

    def add_image(self, camera: str, stamp_ns: int, image: ImageArray) -> None:
        """Keep an image, uint8 RGB (height, width, 3), of the camera of that short name."""
        self._add(camera, stamp_ns, image)

    def add_state(self, stamp_ns: int, positions: FloatArray) -> None:
        """Keep measured joints, shape (D,)."""
        self._add('state', stamp_ns, positions)

    def add_action(self, stamp_ns: int, action: FloatArray) -> None:
        """Keep what was sent to the arm at that time."""
        self._add('action', stamp_ns, action)

    def set_source(self, stamp_ns: int, source: Source) -> None:
        """Tell who leads the arm from that time on."""
        self._sources.append((stamp_ns, source))

    def set_task(self, stamp_ns: int, task: str) -> None:
        """Tell what is to be done from that time on, where it is not the episode's task."""
        self._tasks.append((stamp_ns, task))

    @property
    def missing(self) -> list[str]:
        """Return the streams that have said nothing yet; there are no rows before they do."""
        return [name for name, values in self._streams.items() if not values]

    def rows(self, now_ns: int) -> Iterator[DatasetFrame]:
        """Hand out the rows that can be made at ``now_ns``, on the clock of the stamps."""
        if self.missing:
            return
        if self._start_ns is None:
            self._start_ns = self._first_tick()
        while True:
            tick_ns = self._tick_ns()
            newest_ns = min(values[-1][0] for values in self._streams.values())
            if newest_ns <= tick_ns and now_ns < tick_ns + self._patience_ns:
                return
            yield self._row(tick_ns)
            self._rows += 1

    def _add(self, stream: str, stamp_ns: int, values: NDArray[Any]) -> None:
        count, kept = self.counts[stream], self._streams[stream]
        count.received += 1
        if kept and stamp_ns <= kept[-1][0]:
            count.out_of_order += 1
            return
        count.late += self._rows > 0 and stamp_ns <= self._tick_ns(-1)
        kept.append((stamp_ns, values))

    def _first_tick(self) -> int:
        """Return the time of the first row, where the cameras' images are furthest from ticks."""
        begin = max(values[0][0] for values in self._streams.values())
        period = 10**9 // self._spec.fps
        phases = sorted((self._streams[name.removeprefix(IMAGES)][0][0] - begin) % period
                        for name in self._spec.cameras) or [0]
        gaps = [after - phase for phase, after in zip(phases, [*phases[1:], phases[0] + period])]
        widest = int(np.argmax(gaps))
        return begin + (phases[widest] + gaps[widest] // 2) % period

    def _tick_ns(self, offset: int = 0) -> int:
        assert self._start_ns is not None
        return self._start_ns + (self._rows + offset) * 10**9 // self._spec.fps

    def _row(self, tick_ns: int) -> DatasetFrame:
        for name, values in self._streams.items():  # all but the newest not newer than T
            gone = 0
            while len(values) > 1 and values[1][0] <= tick_ns:
                values.popleft()
                gone += 1
            self.counts[name].unused += max(0, gone - 1) if self._rows else 0
        newest = {name: values[0] for name, values in self._streams.items()}
        numbers = {STATE: self._state_at(tick_ns), ACTION: newest['action'][1],
                   TICK: whole(tick_ns), SOURCE: whole(_in_force(self._sources, tick_ns)),
                   **{f'{STAMP}{name}': whole(stamp) for name, (stamp, _) in newest.items()}}
        images = {name: newest[name.removeprefix(IMAGES)][1] for name in self._spec.cameras}
        return DatasetFrame(numbers, images, _in_force(self._tasks, tick_ns))

    def _state_at(self, tick_ns: int) -> NDArray[Any]:
        (before_ns, before), *rest = list(self._streams['state'])[:2]
        if not rest or tick_ns <= before_ns:
            return before
        after_ns, after = rest[0]
        share = (tick_ns - before_ns) / (after_ns - before_ns)
        return np.asarray((1 - share) * before + share * after)


def _in_force(told: deque[tuple[int, _Told]], tick_ns: int) -> _Told:
    """Return what was told last before a time; what was told before that is forgotten."""
    while len(told) > 1 and told[1][0] <= tick_ns:
        told.popleft()
    return told[0][1]
