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
"""What keeps the threads with a period on time: priority, no garbage collection, kept memory."""

from __future__ import annotations

import ctypes
import gc
import os
import threading

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt
_LARGEST_KEPT = 32 << 20  # bytes, the most that glibc takes
_KEPT_AT_END = 256 << 20  # bytes of a heap


def request_real_time(priority: int) -> bool:
    """
    Put the calling thread, and threads it starts later, under SCHED_FIFO; return success.

    Without the right to it (``rtprio`` in limits.conf, or root) nothing changes.
    """
    thread = threading.get_native_id()
    try:
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, AttributeError):
        return False
    return True


def exempt_from_collection() -> None:
    """
    Let the garbage collector look no more through what exists now: modules, a loaded network.

    Looking through them stops all threads for several periods of a control loop.
    """
    gc.collect()  # what is garbage now would stay for ever
    gc.freeze()


def keep_freed_memory() -> bool:
    """
    Let this process use freed memory again, instead of giving it back; return success.

    An image is so large that glibc takes new memory for each, and the first write to each of its
    pages costs more than to copy it. Another C library may lack the call; then nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # Not `and`: each helps without the other.
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT) & mallopt(_TRIM_THRESHOLD, _KEPT_AT_END))
