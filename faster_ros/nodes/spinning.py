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
``run_node``: the ``main`` of every node, with one way to start, to be interrupted and to end.

SIGINT and SIGTERM are caught here and not by rclpy, so that the node can still send while it
stops (a controller brakes the arm). The exit code is 0 after a signal and 1 after an error.
"""

from __future__ import annotations

from collections.abc import Callable
import signal
from typing import Protocol

from faster_ros.runtime.scheduling import exempt_from_collection, keep_freed_memory
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


class Stoppable(Protocol):
    """A node that has something to end before it is destroyed."""

    def stop(self) -> None:
        """End threads; may still publish."""
        ...


def run_node(name: str, make: Callable[[], Node], args: list[str] | None = None) -> int:
    """Make a node, spin it until a signal or a shutdown, stop it; returns the exit code."""
    received: list[int] = []  # not an Event: a second signal would wait for the first one's lock
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: received.append(number))
    keep_freed_memory()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node: Node | None = None
    code = 0
    try:
        node = make()
        exempt_from_collection()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not received and rclpy.ok():
            executor.spin_once(timeout_sec=0.1)
    except ExternalShutdownException:
        pass
    except (ValueError, OSError) as error:  # a user's mistake: one line, no trace
        get_logger(name).fatal(str(error))
        code = 1
    finally:
        if node is not None:
            stop = getattr(node, 'stop', None)
            if stop is not None:
                stop()
            node.destroy_node()
        rclpy.try_shutdown()
    return code
