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
"""What keeps the threads with a period on time: their priority, and no garbage collection."""

from __future__ import annotations

import gc
import os
import threading


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
