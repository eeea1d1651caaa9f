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
What evaluation_node sees of the other nodes, and how it starts, stops and lays out.

Used by evaluation_node: the executor's thread reads messages, the thread of the trials calls.
"""

from __future__ import annotations

from collections.abc import Callable
import json
from threading import Event, Lock
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.nodes import qos, simulated_scene
from faster_ros.nodes.diagnostics import values_of
from faster_ros.nodes.images import image_to_rgb
from faster_ros.nodes.polling import PolledSubscription
from faster_ros.nodes.service_calls import ServiceCalls
from faster_ros.robot_spec import RobotSpec
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

_FIRST_FRAMES = 10  # of each camera until policy_node counts as running
_FIRST_CHUNKS = 2
_PAGE_WIDTH = 640  # of pictures on the page, px


class EvaluationClient:
    """
    Newest values of control_node, policy_node and sim_node, and calls to their services.

    ``task``: what sim_node tells; ``control``: the status of control_node.
    """

    def __init__(self, node: Node, spec: RobotSpec, stopping: Event, simulated: bool) -> None:
        self._spec = spec
        self.task: dict[str, Any] = {}
        self.control: dict[str, str] = {}
        self._policy: dict[str, str] = {}
        self._policy_text = ''
        self._instruction = node.create_publisher(String, 'instruction', qos.LATCHED)
        services: dict[str, tuple[type[Any], str]] = {'arm': (SetBool, 'control_node/arm')}
        self._calls = ServiceCalls(node, stopping, services)
        self._simulator: ServiceCalls | None = None
        node.create_subscription(DiagnosticStatus, 'control_node/status', self._on_control,
                                 qos.STATUS)
        node.create_subscription(DiagnosticStatus, 'policy_node/status', self._on_policy,
                                 qos.STATUS)
        if simulated:
            self._simulator = ServiceCalls(node, stopping, simulated_scene.SERVICES)
            node.create_subscription(String, 'sim_node/task', self._on_task, qos.STATUS)

    def scene_missing(self) -> list[str]:
        """Return what of the simulator is not there yet."""
        if self._simulator is None:
            return []
        return self._simulator.missing() or ([] if self.task else ['sim_node'])

    def lay_out(self, seed: int) -> str:
        """Start a layout in the simulator; returns its instruction."""
        assert self._simulator is not None
        return simulated_scene.lay_out(self._simulator, seed)

    def tell(self, instruction: str) -> None:
        """Publish the instruction, also for a policy_node that comes later."""
        self._instruction.publish(String(data=instruction))

    def forget(self) -> None:
        """Forget what the nodes of the trial before said."""
        self.control, self._policy, self._policy_text = {}, {}, ''

    def missing(self) -> list[str]:
        """Return what has to come before the arm may be armed."""
        waits = {
            'joint states at control_node': bool(self.control.get('state_age_s')),
            'policy_node, which loads the checkpoint':
            self._policy_text not in ('', 'not active'),
            'camera images at policy_node': all(
                int(self._policy.get(f'{name}_received') or 0) >= _FIRST_FRAMES
                for name in self._spec.cameras),
            'a first chunk': int(self._policy.get('chunks') or 0) >= _FIRST_CHUNKS,
            'service control_node/arm': not self._calls.missing(),
        }
        return [name for name, there in waits.items() if not there]

    @property
    def policy_problem(self) -> str:
        """Return why policy_node gives no chunk, in its words, or an empty text."""
        return '' if self._policy_text in ('active', 'not active') else self._policy_text

    def arm(self) -> str:
        """Arm; returns why it was refused, or an empty text."""
        # Disarming first is harmless and makes sure that an answer finds its way: the request
        # that moves the arm is sent once.
        self.disarm()
        response = self._calls.call('arm', SetBool.Request(data=True))
        return '' if response.success else str(response.message)

    def disarm(self) -> None:
        """Brake and disarm."""
        self._calls.call('arm', SetBool.Request(data=False), repeatable=True)

    def _on_task(self, message: String) -> None:
        self.task = json.loads(message.data)

    def _on_control(self, message: DiagnosticStatus) -> None:
        self.control = values_of(message)

    def _on_policy(self, message: DiagnosticStatus) -> None:
        self._policy, self._policy_text = values_of(message), message.message


class LiveView:
    """The newest picture of one camera, read only when somebody looks."""

    def __init__(self, node: Node, spec: RobotSpec, camera: str, compressed: bool) -> None:
        self._camera = spec.cameras[camera]
        self._lock = Lock()
        self._jpeg: bytes | None = None
        kind, topic, keep = (
            (CompressedImage, f'{self._camera.topic}/compressed', self._keep_compressed)
            if compressed else (Image, self._camera.topic, self._keep_raw))
        callback: Callable[[Any, object], None] = keep
        self._images = PolledSubscription(node, kind, topic, callback, qos.SENSOR)

    def jpeg(self) -> bytes | None:
        """Return the newest picture, or None before the first."""
        with self._lock:
            self._images.poll()
            return self._jpeg

    def _keep_compressed(self, message: CompressedImage, _: object) -> None:
        self._jpeg = message.data.tobytes()

    def _keep_raw(self, message: Image, _: object) -> None:
        picture = image_to_rgb(message, self._camera.width, self._camera.height)
        height = round(picture.shape[0] * _PAGE_WIDTH / picture.shape[1])
        small = cv2.resize(picture, (_PAGE_WIDTH, height), interpolation=cv2.INTER_AREA)
        self._jpeg = cv2.imencode('.jpg', small[..., ::-1])[1].tobytes()
