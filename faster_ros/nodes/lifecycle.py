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
"""Lifecycle base: transitions that cannot fail without a word; used by ``policy_node``."""

from __future__ import annotations

from collections.abc import Callable
import gc
import traceback

from faster_ros.runtime.scheduling import exempt_from_collection
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn


class SafeLifecycleNode(LifecycleNode):
    """
    Calls ``configure``, ``activate``, ``deactivate`` and ``cleanup`` of the class that inherits.

    rclpy swallows an exception in a transition. Here a user's mistake (ValueError, OSError) is
    one line in the log and the transition fails; anything else is logged with its trace and the
    node returns to unconfigured.
    """

    def configure(self) -> None:
        """Create what the node needs."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """Stop to work."""

    def cleanup(self) -> None:
        """Destroy what ``configure`` created."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``configure``; a failed one is cleaned up."""
        result = self._guard('configure', self.configure)
        if result is TransitionCallbackReturn.FAILURE:
            self._clean_up()
        exempt_from_collection()
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``activate`` after the publishers were opened."""
        result = super().on_activate(state)
        if result is TransitionCallbackReturn.SUCCESS:
            result = self._guard('activate', self.activate)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``deactivate``, then close the publishers."""
        result = self._guard('deactivate', self.deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run ``cleanup``."""
        return self._clean_up()

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and clean up from any state."""
        self._guard('deactivate', self.deactivate)
        return self._clean_up()

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured."""
        self._guard('deactivate', self.deactivate)
        return self._clean_up()

    def _clean_up(self) -> TransitionCallbackReturn:
        result = self._guard('cleanup', self.cleanup)
        gc.unfreeze()  # what ``configure`` loaded may go
        return result

    def _guard(self, name: str, transition: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            transition()
        except (ValueError, OSError) as error:
            self.get_logger().error(f'cannot {name}: {error}')
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it
            self.get_logger().error(f'{name} failed: {error!r}\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS
