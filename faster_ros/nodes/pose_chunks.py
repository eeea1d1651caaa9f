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
PoseChunks: chunks of tool poses, heard and made chunks of joints for ``control_node``.

Inverse kinematics takes many periods, so it runs in a thread of its own: neither the control loop
nor ``~/stop`` waits for it. Of chunks that wait the newest is solved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
import time

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.nodes import conversions, qos
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.pose_solver import PoseSolver
from rclpy.node import Node
from trajectory_msgs.msg import MultiDOFJointTrajectory

TakeChunk = Callable[[Callable[[], ActionChunk], float], None]


class PoseChunks:
    """
    Subscribes ``policy/chunk_ee``.

    ``start``: the joints (D,) to go on from, if any are known. ``take``: takes what makes the
    chunk of joints, or raises ValueError, and the steady time in s at which its message came.
    ``failed``: told an error that is no ValueError.
    """

    def __init__(self, node: Node, spec: RobotSpec, start: Callable[[], FloatArray | None],
                 take: TakeChunk, failed: Callable[[BaseException], None]) -> None:
        self._spec, self._start, self._take, self._failed = spec, start, take, failed
        self._solver = PoseSolver(spec)
        self._thread = ThreadPoolExecutor(1, 'poses')
        self._waiting: deque[tuple[MultiDOFJointTrajectory, float]] = deque(maxlen=1)
        node.create_subscription(MultiDOFJointTrajectory, 'policy/chunk_ee', self._on_chunk,
                                 qos.COMMAND)

    def _on_chunk(self, message: MultiDOFJointTrajectory) -> None:
        self._waiting.append((message, time.monotonic()))
        self._thread.submit(self._solve).add_done_callback(self._on_done)

    def _solve(self) -> None:
        try:
            message, came_s = self._waiting.pop()
        except IndexError:  # a newer one took its place and has been solved
            return
        start = self._start()
        self._take(lambda: self._solver.to_joints(
            conversions.pose_chunk_from_message(message, self._spec), start), came_s)

    def _on_done(self, done: Future[None]) -> None:
        if error := done.exception():
            self._failed(error)
