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
Subscriptions that a thread reads when it wants to, past the executor.

A message costs rclpy's executor about 1 ms of Python; read here it costs a tenth. For topics of
high rate in nodes that share a machine with a policy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

# Each event of a topic, such as an unfit quality of service, is one more thing to wait for. The
# peers of these nodes report them too.
NO_SUBSCRIPTION_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)
NO_PUBLISHER_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)


class PolledGroup(CallbackGroup):
    """A callback group that no executor serves."""

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Do nothing."""


class PolledSubscription:
    """A subscription of which ``poll`` hands all waiting messages to the callback."""

    def __init__(
        self,
        node: Node,
        message_type: type[Any],
        topic: str,
        callback: Callable[[Any, dict[str, int]], None],
        quality: QoSProfile,
        raw: bool = False,
    ) -> None:
        """
        Connect; ``callback`` gets a message and a mapping with its ``source_timestamp``.

        ``raw``: the message comes as the bytes that travelled.
        """
        self._callback, self._raw = callback, raw
        self._subscription: Subscription[Any] = node.create_subscription(
            message_type,
            topic,
            lambda _: None,
            quality,
            callback_group=PolledGroup(),
            event_callbacks=NO_SUBSCRIPTION_EVENTS,
        )

    def poll(self) -> None:
        """Take what has arrived; belongs to one thread."""
        while (taken := self._take()) is not None:
            self._callback(*taken)

    def destroy(self) -> None:
        """Disconnect; no ``poll`` may run or follow."""
        self._subscription.destroy()

    def _take(self) -> tuple[Any, Any] | None:
        # What rclpy's executors call, too.
        handle: Any = self._subscription.handle
        with handle:
            taken: tuple[Any, Any] | None = handle.take_message(
                self._subscription.msg_type, self._raw)
        return taken


class PollingThread:
    """Polls subscriptions at a fixed rate."""

    def __init__(self, subscriptions: Sequence[PolledSubscription], rate_hz: float) -> None:
        """Call ``start`` to begin."""
        self._subscriptions = subscriptions
        self._period_s = 1.0 / rate_hz
        self._stopping = Event()
        self._thread = Thread(target=self._run, name='polling', daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End and wait for the thread."""
        self._stopping.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._period_s):
            for subscription in self._subscriptions:
                subscription.poll()
