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
From a bag: what happened to each observation, from the camera to the last command it led to.

Needed are the topics policy_node/timing, policy/chunk and control_node/command, in any namespace;
images, raw or compressed, add their transport. The stamp of the observation is the trace id: it
is the chunk's stamp and the ``frame_id`` of a command.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
import struct
from typing import Any

from faster_ros.data.bag_reader import open_bag
from faster_ros.interfaces import FloatArray
import numpy as np

_TIMING, _CHUNK, _COMMAND = 'policy_node/timing', 'policy/chunk', 'control_node/command'
_IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_SAME_NS = 1_000  # a stamp in seconds as a float64 is exact to less than this
LANES = ('transport', 'waiting', 'inference', 'decode', 'delivery', 'execution')


@dataclass
class Trace:
    """
    One observation; times in ns on the ROS clock, None for what the bag does not hold.

    ``images_ns``: when the last of its images had arrived at the recorder; ``infer_ns`` and
    ``decode_ns``: when the policy began and when it began to decode; ``chunk_ns``: when the chunk
    was sent; ``command_ns``: of the first and the last command that followed it.
    """

    stamp_ns: int
    images_ns: int | None = None
    infer_ns: int | None = None
    decode_ns: int | None = None
    chunk_ns: int | None = None
    command_ns: tuple[int, int] | None = None

    def lanes(self) -> Iterator[tuple[str, int, int]]:
        """Yield the name, begin and end of each part that is known."""
        stamp, infer, decode, chunk = self.stamp_ns, self.infer_ns, self.decode_ns, self.chunk_ns
        arrived = self.images_ns
        if arrived is not None:
            yield 'transport', stamp, arrived
        if infer is not None:
            yield 'waiting', min(stamp if arrived is None else arrived, infer), infer
            end = chunk if decode is None else decode
            if end is not None:
                yield 'inference', infer, end
        if decode is not None and chunk is not None:
            yield 'decode', decode, chunk
        if self.command_ns is not None:
            if chunk is not None:
                yield 'delivery', chunk, self.command_ns[0]
            yield 'execution', *self.command_ns

    @property
    def to_command_ns(self) -> int | None:
        """Return the time from the observation to the first command that follows from it."""
        return None if self.command_ns is None else self.command_ns[0] - self.stamp_ns


@dataclass
class _Heard:
    timing: list[FloatArray] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    commands: dict[int, list[int]] = field(default_factory=dict)
    images: dict[str, list[tuple[int, int]]] = field(default_factory=dict)


def read_traces(path: Path) -> list[Trace]:
    """Return the traces of a bag in the order of their observations."""
    heard = _Heard()
    with open_bag(path) as reader:
        topics = {item.topic for item in reader.connections}
        for wanted in (_TIMING, _CHUNK, _COMMAND):
            found = [topic for topic in topics if topic.endswith(f'/{wanted}')]
            if len(found) != 1:
                raise ValueError(f'{path}: expected one topic .../{wanted}, got '
                                 f"{', '.join(sorted(found)) or 'none'}; record it with ros2 bag")
        for connection, arrival, raw in reader.messages():
            _hear(heard, connection, arrival, raw, reader)
    if not heard.timing:
        raise ValueError(f'{path}: no chunk was answered while it was recorded')
    return _traces(heard)


def _hear(heard: _Heard, connection: Any, arrival_ns: int, raw: bytes, reader: Any) -> None:
    topic = connection.topic
    if topic.endswith(f'/{_TIMING}'):
        heard.timing.append(np.array(reader.deserialize(raw, connection.msgtype).data))
    elif topic.endswith(f'/{_CHUNK}'):
        heard.chunks.append(_stamp_ns(raw))
    elif topic.endswith(f'/{_COMMAND}'):
        message = reader.deserialize(raw, connection.msgtype)
        seconds, _, rest = message.header.frame_id.partition('.')
        if rest:
            stamp = message.header.stamp
            heard.commands.setdefault(int(seconds) * 10**9 + int(rest), []).append(
                stamp.sec * 10**9 + stamp.nanosec)
    elif connection.msgtype in _IMAGES:
        heard.images.setdefault(topic, []).append((_stamp_ns(raw), arrival_ns))


def _stamp_ns(raw: bytes) -> int:
    """Return the stamp of a serialised message that begins with a header, without the rest."""
    order = '<' if raw[1] & 1 else '>'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', raw, 4)
    return int(seconds) * 10**9 + int(nanoseconds)


def _traces(heard: _Heard) -> list[Trace]:
    traces = []
    for timing in heard.timing:
        seconds, to_chunk_ms, inference_ms = timing[:3]
        stamp_ns = _exact(round(seconds * 1e9), heard.chunks)
        trace = Trace(stamp_ns, images_ns=_images_at(heard, stamp_ns))
        trace.chunk_ns = stamp_ns + round(to_chunk_ms * 1e6)
        trace.infer_ns = trace.chunk_ns - round(inference_ms * 1e6)
        if len(timing) > 3 and np.isfinite(timing[3]):
            trace.decode_ns = trace.chunk_ns - round(timing[3] * 1e6)
        commands = heard.commands.get(stamp_ns)
        if commands:
            trace.command_ns = commands[0], commands[-1]
        traces.append(trace)
    return sorted(traces, key=lambda trace: trace.stamp_ns)


def _exact(stamp_ns: int, chunks: list[int]) -> int:
    """Return the chunk's stamp that a stamp from seconds stands for."""
    nearest = min(chunks, key=lambda chunk_ns: abs(chunk_ns - stamp_ns), default=stamp_ns)
    return nearest if abs(nearest - stamp_ns) < _SAME_NS else stamp_ns


def _images_at(heard: _Heard, stamp_ns: int) -> int | None:
    """Return when the last camera's image nearest to a time had arrived, or None without any."""
    nearest = [min(frames, key=lambda frame: abs(frame[0] - stamp_ns))
               for frames in heard.images.values()]
    return max(arrival for _, arrival in nearest) if nearest else None
