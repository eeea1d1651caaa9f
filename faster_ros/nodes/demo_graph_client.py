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
The demo's view of the other nodes: their topics as newest values, their services as calls.

Used by demo_node. A thread of its own reads messages, the thread of the trials makes calls.
"""

from __future__ import annotations

from collections.abc import Callable
import json
from threading import Event
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.evaluation.trial_record import TrialRecord
from faster_ros.nodes import conversions, qos, simulated_scene
from faster_ros.nodes.diagnostics import values_of
from faster_ros.nodes.polling import PolledSubscription, PollingThread
from faster_ros.nodes.service_calls import ServiceCalls
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.joint_states import JointStates
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool, Trigger

EXPERT_NODE = 'expert_node'  # leads without images and without a lifecycle
_POLLING_RATE_HZ = 50.0
_FIRST_FRAMES = 10  # of each camera until policy_node counts as running
_FIRST_CHUNKS = 2
_COUNTERS = ('late_steps', 'starved_ticks', 'clamped_ticks', 'chunks_merged', 'chunks_rejected')


class DemoGraphClient:
    """
    Newest values of sim_node, control_node and the leader, and calls to their services.

    ``record``: gets the samples of the running trial; None between trials. ``stopping``: ends a
    call that waits.
    """

    def __init__(
        self, node: Node, spec: RobotSpec, stopping: Event, leader: str, images: bool
    ) -> None:
        """``leader``: the node that publishes chunks; ``images``: take them for the video."""
        self._node = node
        self._spec = spec
        self._leader = leader
        self._has_eyes = leader != EXPERT_NODE
        self._images = images or self._has_eyes
        self.record: TrialRecord | None = None
        self.on_front_image: Callable[[], None] = lambda: None
        self.jpegs: dict[str, bytes] = {}
        self.task: dict[str, Any] = {}
        self.control: dict[str, str] = {}
        self.policy: dict[str, str] = {}
        self.policy_text = ''
        self._joints = JointStates(spec)
        self._period_ns = round(1e9 / spec.command_rate_hz)
        self._last_command_ns = 0
        self._instruction = node.create_publisher(String, 'instruction', qos.LATCHED)
        services: dict[str, tuple[type[Any], str]] = {
            **simulated_scene.SERVICES,
            'policy': (Trigger, f'{leader}/reset'),
            'control': (Trigger, 'control_node/reset'),
            'arm': (SetBool, 'control_node/arm'),
        }
        if self._has_eyes:
            services['lifecycle'] = (ChangeState, f'{leader}/change_state')
        self._calls = ServiceCalls(node, stopping, services)
        self._polling = self._subscribe()
        self._polling.start()

    def _subscribe(self) -> PollingThread:
        node, spec = self._node, self._spec
        topics: list[tuple[type[Any], str, Callable[[Any, dict[str, int]], None], QoSProfile]] = [
            (String, 'sim_node/task', self._on_task, qos.STATUS),
            (DiagnosticStatus, 'control_node/status', self._on_control, qos.STATUS),
            (DiagnosticStatus, f'{self._leader}/status', self._on_policy, qos.STATUS),
            (Float64MultiArray, f'{self._leader}/timing', self._on_timing, qos.STATUS),
            (JointState, 'control_node/command', self._on_command, qos.RECORD),
            *(
                (JointState, arm.state_topic, self._state_callback(name, arm), qos.RECORD)
                for name, (arm, _) in spec.parts.items()
            ),
            *(
                (
                    CompressedImage,
                    f'{camera.topic}/compressed',
                    self._image_callback(name),
                    qos.SENSOR,
                )
                for name, camera in spec.cameras.items()
                if self._images
            ),
        ]
        return PollingThread(
            [PolledSubscription(node, *topic) for topic in topics], _POLLING_RATE_HZ
        )

    def stop(self) -> None:
        """Take no more messages."""
        self._polling.stop()

    def missing(self) -> list[str]:
        """Return what the demo still waits for, in words."""
        waits = {
            'sim_node': bool(self.task),
            'joint states at control_node': bool(self.control.get('state_age_s')),
            f'{self._leader}{" (it loads torch and the checkpoint)" * self._has_eyes}':
            self.policy_text not in ('', 'not active'),
            f'camera images at {self._leader}': all(
                received >= _FIRST_FRAMES for received, _ in self.frames().values()
            ),
            'compressed images': len(self.jpegs) == len(self._spec.cameras) * self._images,
            'a first chunk': int(self.policy.get('chunks') or 0) >= _FIRST_CHUNKS,
            'services': not self._calls.missing(),
        }
        return [name for name, ready in waits.items() if not ready]

    def reset(self, seed: int) -> str:
        """Start the layout of ``seed`` everywhere; returns its instruction."""
        instruction = simulated_scene.lay_out(self._calls, seed)
        self._calls.call('control', Trigger.Request())
        self._instruction.publish(String(data=instruction))
        self._calls.call('policy', Trigger.Request())
        return instruction

    def retire_leader(self) -> None:
        """Free the processor of inference and rendering: policy_node becomes unconfigured."""
        if not self._has_eyes:
            return
        for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
            request = ChangeState.Request(transition=Transition(id=transition))
            self._calls.call('lifecycle', request)

    def arm(self, wanted: bool) -> str:
        """Arm or disarm; returns why it was refused, or an empty text."""
        response = self._calls.call('arm', SetBool.Request(data=wanted))
        return '' if response.success else str(response.message)

    def counters(self) -> dict[str, int]:
        """Return the running totals that a trial is the difference of."""
        totals = {name: int(self.control.get(name) or 0) for name in _COUNTERS}
        totals['physics_overruns'] = int(self.task.get('physics_overruns', 0))
        return totals

    def frames(self) -> dict[str, tuple[int, int]]:
        """Return the running totals of received and missed images at the policy."""
        return {
            name: (
                int(self.policy.get(f'{name}_received') or 0),
                int(self.policy.get(f'{name}_missed') or 0),
            )
            for name in self._spec.cameras
            if self._has_eyes
        }

    def _on_task(self, message: String, _: object) -> None:
        if not self.task:  # lets the policy warm up on the task that is there
            self._instruction.publish(String(data=json.loads(message.data)['instruction']))
        self.task = json.loads(message.data)

    def _on_control(self, message: DiagnosticStatus, _: object) -> None:
        self.control = values_of(message)

    def _on_policy(self, message: DiagnosticStatus, _: object) -> None:
        self.policy = values_of(message)
        self.policy_text = message.message

    def _on_timing(self, message: Float64MultiArray, _: object) -> None:
        record = self.record
        if record is not None and message.data[0] * 1e9 > record.start_ns:
            record.capture_to_chunk_ms.append(message.data[1])
            record.inference_ms.append(message.data[2])

    def _on_command(self, message: JointState, info: dict[str, int]) -> None:
        # The time of sending is in the message's DDS header: the demo's own delays do not count.
        sent_ns = info['source_timestamp']
        period_ns, self._last_command_ns = sent_ns - self._last_command_ns, sent_ns
        record = self.record
        if record is None:
            return
        if record.commanded.stamps_ns:
            record.period_deviation_ms.append(abs(period_ns - self._period_ns) / 1e6)
        record.commanded.add(conversions.to_ns(message.header.stamp), message.position.tolist())

    def _state_callback(self, name: str, arm: RobotSpec) -> Callable[[JointState, object], None]:
        last = name == list(self._spec.parts)[-1]  # one sample for one state of every arm

        def on_state(message: JointState, _: object) -> None:
            state = self._joints.add(name, conversions.state_from_message(message, arm))
            record = self.record
            if record is not None and state is not None and last:
                record.measured.add(state.stamp_ns, state.positions.tolist())

        return on_state

    def _image_callback(self, name: str) -> Callable[[CompressedImage, object], None]:
        first = name == next(iter(self._spec.cameras))

        def on_image(message: CompressedImage, _: object) -> None:
            self.jpegs[name] = message.data.tobytes()
            if first:
                self.on_front_image()

        return on_image
