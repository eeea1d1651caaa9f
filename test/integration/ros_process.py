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
"""Processes and a robot for tests over real ROS 2, in a domain of their own."""

import os
from pathlib import Path
import signal
import subprocess
import sys
from threading import Thread
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

ROOT = Path(__file__).resolve().parents[2]
# Deadlines are stated for a quiet machine; a busy one gets this many times as long.
_PATIENCE = 8.0
_RESEND_S = 5.0


class Process:
    """A Python process of which the output is kept."""

    def __init__(self, arguments: list[str], domain: int, log: Path) -> None:
        self.log = log
        environment = os.environ | {
            'ROS_DOMAIN_ID': str(domain), 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'PYTHONPATH': f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            'PYTHONUNBUFFERED': '1'}
        with log.open('w') as output:
            self._popen = subprocess.Popen([sys.executable, *arguments], env=environment,
                                           stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str, seconds: float = 20.0) -> None:
        wait_until(lambda: text in self.output or self._popen.poll() is not None, seconds,
                   f"'{text}' in the output")
        assert text in self.output, self.output

    def wait(self, seconds: float = 20.0) -> int:
        return self._popen.wait(seconds * _PATIENCE)

    def send_signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code; kills the process if it does not end."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)
        try:
            return self._popen.wait(10.0 * _PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(5.0)
            raise AssertionError(f'the process did not end:\n{self.output}') from None


class Peer:
    """A node in this process, spun in a thread."""

    def __init__(self, domain: int) -> None:
        os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = Node('test_peer', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._closing = False
        self._thread = Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._closing:
            self._executor.spin_once(timeout_sec=0.05)

    def now_ns(self) -> int:
        return self.node.get_clock().now().nanoseconds

    def call(self, client, request, seconds: float = 10.0):
        """
        Return the answer of a service that may be called twice.

        An answer is lost if it is sent before the server has discovered where answers go.
        """
        assert client.wait_for_service(seconds * _PATIENCE), client.srv_name
        calls = []
        while len(calls) * _RESEND_S < seconds * _PATIENCE:
            calls.append(client.call_async(request))
            again = time.monotonic() + _RESEND_S
            while time.monotonic() < again:
                for call in calls:
                    if call.done():
                        return call.result()
                time.sleep(0.01)
        raise AssertionError(f'no answer of {client.srv_name} to {len(calls)} calls')

    def close(self) -> None:
        self._closing = True
        self._thread.join(5.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


def wait_until(condition, seconds: float = 5.0, what='the condition') -> None:
    """Wait for a condition; ``what`` is a text, or a function that makes it at the end."""
    deadline = time.monotonic() + seconds * _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f'{text} did not come in {seconds * _PATIENCE} s')
        time.sleep(0.01)


def own_domain() -> int:
    """Return a ROS domain that other runs on this machine hardly use."""
    return 1 + (os.getpid() * 7 + time.monotonic_ns() // 1000) % 100
