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
RawBag: every message of an episode as it came, in a rosbag2 folder (MCAP), written as it comes.

The bag is the truth that everything else is made from. It is append-only: after a crash all but
the last second is in the file, and ``salvage`` gives it the end that readers look for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
import os
from pathlib import Path
import struct
from typing import Any, BinaryIO

from faster_ros.data.background import BackgroundQueue

_DEPTH = 2048  # messages that may wait for the disk, four seconds of 500 each second
_ROOM = 2**27  # bytes that these may have, a second and a half of three raw VGA cameras
_FLUSH_NS = 1_000_000_000  # of messages, after which a chunk is closed and on its way to the disk
_MAGIC = b'\x89MCAP0\r\n'
_END = struct.pack('<BQI', 0x0F, 4, 0) + struct.pack('<BQQQI', 0x02, 20, 0, 0, 0) + _MAGIC
_Message = tuple[Any, int, bytes]


class RawBag:
    """Writes serialised messages in a thread of its own; drops are counted by topic."""

    def __init__(self, folder: Path, topics: Mapping[str, str]) -> None:
        """``folder`` must not exist; ``topics``: name -> type such as sensor_msgs/msg/Image."""
        make_writer, types = _rosbags()
        unknown = [f'{topic} ({kind})' for topic, kind in topics.items()
                   if kind not in types.types]
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no message type that a bag can hold without "
                             'its package')
        self._writer = make_writer(folder)
        self._writer.open()
        self._connections = {topic: self._writer.add_connection(topic, kind, typestore=types)
                             for topic, kind in topics.items()}
        self._flushed_ns = 0
        self.written: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._taken = self._stored = 0  # bytes; each is counted by one thread alone
        self._queue: BackgroundQueue[_Message] = BackgroundQueue('bag', self._write, _DEPTH)

    def write(self, topic: str, stamp_ns: int, serialised: bytes) -> bool:
        """
        Queue one message, as CDR, with the time at which it was received.

        Return False where it had to be dropped.
        """
        kept = (self._taken + len(serialised) - self._stored <= _ROOM
                and self._queue.offer((self._connections[topic], stamp_ns, serialised)))
        self._taken += len(serialised) if kept else 0
        (self.written if kept else self.dropped)[topic] += 1
        return kept

    @property
    def failure(self) -> Exception | None:
        """Return why nothing is written any more, or None."""
        return self._queue.failure

    def close(self) -> None:
        """Write what is queued and finish the bag; after an error it is without its end."""
        try:
            self._queue.close()
            self._writer.close()
        except Exception:
            self._abort()
            raise

    def cancel(self) -> None:
        """Stop at once; the folder holds a bag without its end."""
        self._queue.cancel()
        self._abort()

    def _abort(self) -> None:
        # The file still has what the disk did not take and tries once more, in vain; it is closed
        # nevertheless.
        with suppress(OSError):
            self._writer.abort()

    def _write(self, message: _Message) -> None:
        connection, stamp_ns, serialised = message
        self._stored += len(serialised)
        self._writer.write(connection, stamp_ns, serialised)
        if stamp_ns - self._flushed_ns >= _FLUSH_NS:
            self._flushed_ns = stamp_ns
            storage = self._writer.storage
            storage.close_chunk()
            storage.bio.flush()
            os.fdatasync(storage.bio.fileno())


def salvage(path: Path) -> int:
    """
    Cut an .mcap file after its last whole record and end it; return the bytes that were cut off.

    A file that ends as it should stays as it is.
    """
    with path.open('r+b') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f'{path}: expected an MCAP file, it begins otherwise')
        file.seek(max(size - len(_MAGIC), 0))
        if size > len(_MAGIC) and file.read() == _MAGIC:
            return 0
        end = _last_whole_record(file, size)
        file.truncate(end)
        file.seek(end)
        file.write(_END)
        file.flush()
        os.fsync(file.fileno())
    return size - end


def _last_whole_record(file: BinaryIO, size: int) -> int:
    """Return where the last record ends that is whole; a record: opcode, length, content."""
    end = len(_MAGIC)
    while end + 9 <= size:
        file.seek(end)
        _, length = struct.unpack('<BQ', file.read(9))
        if end + 9 + length > size:
            break
        end += 9 + length
    return end


def _rosbags() -> tuple[Callable[[Path], Any], Any]:
    try:
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import get_typestore, Stores
    except ImportError as error:
        raise ValueError('writing a bag needs rosbags: pip install "faster_ros[data]"') from error
    return (partial(Writer, version=9, storage_plugin=StoragePlugin.MCAP),
            get_typestore(Stores.ROS2_HUMBLE))
