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
"""How every node ends: on one signal, and on a second one that arrives while it ends."""

import signal

from ros_process import own_domain, Process

NODE = """
import sys
from faster_ros.nodes.spinning import run_node
from rclpy.node import Node

class Quiet(Node):
    def stop(self):
        print('stopped', flush=True)

def make():
    print('made', flush=True)
    return Quiet('quiet')

sys.exit(run_node('quiet', make))
"""


def test_signals_that_interrupt_each_others_handlers_end_a_node_once(tmp_path):
    node = Process(['-c', NODE], own_domain(), tmp_path / 'log')
    node.wait_for('made')
    for _ in range(5000):  # Ctrl-C, and what the runner's end sends, at one moment
        node.send_signal(signal.SIGINT)
        node.send_signal(signal.SIGTERM)
    assert node.wait(10.0) == 0, node.output
    assert node.output.count('stopped') == 1
