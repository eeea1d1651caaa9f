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
"""What a lifecycle node loads is not looked through for garbage, and goes at its cleanup."""

import gc
import weakref

from faster_ros.nodes.lifecycle import SafeLifecycleNode
import pytest
import rclpy
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn


class Network:
    """Refers to itself, as a network with hooks does: only the collector frees it."""

    def __init__(self):
        self.itself = self


class LoadingNode(SafeLifecycleNode):

    def configure(self):
        self.network = Network()

    def cleanup(self):
        self.network = None


@pytest.fixture
def node():
    context = Context()
    rclpy.init(context=context)
    made = LoadingNode('loading_node', context=context)
    yield made
    made.destroy_node()
    context.try_shutdown()
    gc.unfreeze()


def test_a_loaded_network_is_not_looked_through_and_goes_at_cleanup(node):
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    network = weakref.ref(node.network)
    assert not any(thing is network() for thing in gc.get_objects())
    assert node.trigger_cleanup() is TransitionCallbackReturn.SUCCESS
    gc.collect()
    assert network() is None
