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
Records episodes: what was sent, what was measured and what the cameras saw, with their stamps.

It writes a LeRobotDataset and beside it a raw bag of each episode; see docs/datasets.md.
Services begin and end episodes, ``~/status`` says how it goes. What is kept and when is decided in
``data/recording_session.py``.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
from dataclasses import dataclass
import json
from pathlib import Path
import sys
from threading import Lock
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.data.lerobot_writer import EpisodeRefused
from faster_ros.data.provenance import provenance
from faster_ros.data.recording_session import (
    IDLE,
    RECORDING,
    RecordingPlan,
    RecordingSession,
    STOPPED,
)
from faster_ros.data.running_episode import RecordingFailed
from faster_ros.nodes import diagnostics, qos
from faster_ros.nodes.paced_thread import PacedThread
from faster_ros.nodes.parameters import declare, parameter, RobotParameters
from faster_ros.nodes.recorder_inputs import bag_topics, RecorderInputs
from faster_ros.nodes.spinning import run_node
from faster_ros.policy_server.settings import is_server, server_settings
from faster_ros.teleop.device import PressedButton
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

_POLL_RATE_HZ = 200.0
_STATUS_RATE_HZ = 5.0
_AT_ONCE_NS = 2_000_000
_M_ARENA_MAX, _ARENAS = -8, 2  # of glibc's malloc.h; an arena is what threads allocate from


@dataclass(frozen=True)
class RecorderParameters(RobotParameters):
    """Parameters of recorder_node, beside ``facts``, which may change while it runs."""

    folder: str = parameter('', 'folder of the data set, which is made or gets more episodes')
    task: str = parameter('', 'what is done, in words, until a message on instruction says '
                          'another')
    fps: int = parameter(30, 'rows per second', 1, 200)
    operator: str = parameter('', 'who leads the arm, for the record')
    checkpoint: str = parameter('', 'folder of the policy that drives, for the record')
    compressed: bool = parameter(False, 'take the images from <camera topic>/compressed')
    bag: str = parameter('without_images', 'what the raw bag of each episode holds: all, '
                         'without_images or none')
    gate: bool = parameter(True, 'refuse to save an episode that the truth checks refuse')
    policy_leads: bool = parameter(False, 'a policy leads the arm, no person: an episode may '
                                   'begin before the arm is armed; its first row is the first '
                                   'command')
    button_topic: str = parameter('', 'joystick (sensor_msgs/Joy) with a button that begins an '
                                  'episode and saves it; empty for none')
    button: int = parameter(0, 'which button, counted from 0', 0, 63)


class RecorderNode(Node):
    """Subscribes all streams of a robot, writes episodes; see docs/interfaces.md."""

    def __init__(self) -> None:
        super().__init__('recorder_node')
        self._lock = Lock()  # of the session: the polling thread and the executor use it
        self._facts: dict[str, str] = {}
        self._failure = ''  # why nothing is heard any more
        self._declare_facts()
        config = self._config = declare(self, RecorderParameters)
        if not config.folder:
            raise ValueError("parameter 'folder' is empty; expected a folder for the data set")
        self._spec = spec = config.load()
        checkpoint = config.checkpoint
        folder = Path(checkpoint) if checkpoint and not is_server(checkpoint) else None
        facts = provenance(spec, folder) | {'operator': config.operator}
        if checkpoint and folder is None:
            facts['checkpoint'] = server_settings(checkpoint).address
        topics = bag_topics(self, spec, config.bag, config.compressed)
        self._session = RecordingSession(spec, RecordingPlan(
            Path(config.folder), config.fps, facts, config.gate, topics, config.policy_leads))
        self._task = config.task
        self._simulated_time = bool(self.get_parameter('use_sim_time').value)
        self._log = diagnostics.EdgeLog(self.get_logger())
        self._inputs = RecorderInputs(self, spec, self._session, config.compressed, self._log)
        self._status_topic = self.create_publisher(DiagnosticStatus, '~/status', qos.STATUS)
        self.create_subscription(String, 'instruction', self._on_instruction, qos.LATCHED)
        self._connect_services()
        if config.button_topic:
            self._button = PressedButton(config.button_topic, config.button)
            self.create_subscription(Joy, config.button_topic, self._on_joy, qos.HISTORY)
        self.create_timer(1.0 / _STATUS_RATE_HZ, self._publish_status)
        self._thread = PacedThread(_POLL_RATE_HZ, self._poll, self._polling_failed)
        self._log_table()
        self._thread.start()

    def _declare_facts(self) -> None:
        # Declared by hand, as they may change at run time, unlike the parameters of ``declare``.
        self.add_on_set_parameters_callback(self._on_parameters)
        self.declare_parameter('facts', '{}', ParameterDescriptor(
            description='what is known of the next episodes: a JSON object of texts'))
        self._parameter_overrides.pop('facts', None)

    def _on_parameters(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        for text in (told.value for told in parameters if told.name == 'facts'):
            try:
                facts = json.loads(text)
                if not isinstance(facts, dict) or not all(
                        isinstance(value, str) for value in facts.values()):
                    raise ValueError('no object of texts')
            except ValueError as error:
                return SetParametersResult(successful=False, reason=(
                    f"parameter 'facts': expected a JSON object of texts, got {text!r}: {error}"))
            with self._lock:
                self._facts = facts
        return SetParametersResult(successful=True)

    def _connect_services(self) -> None:
        jobs: dict[str, Callable[[], str]] = {
            'start': self._start, 'stop': self._stop, 'save': self._save,
            'save_anyway': lambda: self._save(anyway=True),
            'discard': self._discard, 're_record': self._re_record,
            'mark_success': lambda: self._mark('success'),
            'mark_failure': lambda: self._mark('failure')}
        for name, job in jobs.items():
            self.create_service(Trigger, f'~/{name}', self._answer(job))

    def _answer(self, job: Callable[[], str]
                ) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.success, response.message = self._do(job)
            return response

        return answer

    def _do(self, job: Callable[[], str]) -> tuple[bool, str]:
        """Do what a person asks for; returns whether it was done, and what is to be said."""
        try:
            with self._lock:
                text = job()
        except (ValueError, OSError) as error:
            self.get_logger().error(str(error))
            return False, str(error)
        self.get_logger().info(text)
        return True, text

    def _log_table(self) -> None:
        config, spec = self._config, self._spec
        self.get_logger().info('\n'.join([
            'recorder_node',
            f'  robot     {spec.robot}: {", ".join(spec.action_names)}',
            f'  data set  {config.folder}: {self._session.episodes} episodes, '
            f'{config.fps} rows per second',
            f'  cameras   {", ".join(spec.cameras) or "none"}',
            f'  raw bag   {config.bag}',
            f"  task      {self._task or 'none yet; an episode needs one'}",
            *([f'  note      {self._session.reason}'] if self._session.reason else [])]))

    def stop(self) -> None:
        """End the thread; an episode about which nobody decided is kept beside the data set."""
        self._thread.stop()
        with self._lock:
            if told := self._session.close():
                self.get_logger().warning(told)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _both_clocks(self) -> tuple[int, int | None]:
        """Return the time, and that of the steady clock unless both were not read at once."""
        steady_ns, now_ns = time.monotonic_ns(), self._now_ns()
        late_ns = time.monotonic_ns() - steady_ns
        at_once = late_ns < _AT_ONCE_NS and not self._simulated_time
        return now_ns, steady_ns if at_once else None

    def _poll(self, _: int) -> None:
        with self._lock:
            before = self._session.state
            self._inputs.poll()
            self._session.advance(*self._both_clocks())
            if self._session.state != before:
                self.get_logger().error(self._session.reason)

    def _polling_failed(self, error: Exception) -> None:
        if not self.context.ok():
            return
        self._failure = f'recording failed: {error!r}; start recorder_node again'
        self.get_logger().fatal(self._failure)
        with self._lock:
            try:
                if self._session.state == RECORDING:
                    self._session.stop(self._failure)
            except RecordingFailed as lost:
                self._failure += f'; {lost}'
            self._session.reason = self._failure

    def _start(self) -> str:
        if self._failure:
            raise ValueError(self._failure)
        self._session.start(self._task, self._now_ns(), self._facts, self._inputs.first)
        return f"episode {self._session.episodes} begins: '{self._task}'"

    def _stop(self) -> str:
        self._session.stop()
        return 'the episode is stopped: save or discard it'

    def _save(self, anyway: bool = False) -> str:
        try:
            number = self._session.save(anyway)
        except EpisodeRefused as error:
            raise ValueError(f'{error}; discard it, or keep it with ~/save_anyway') from None
        return f'episode {number} is saved'

    def _discard(self) -> str:
        self._session.discard()
        return 'the episode is discarded'

    def _re_record(self) -> str:
        if self._session.state != IDLE:
            self._session.discard()
        return self._start()

    def _mark(self, outcome: str) -> str:
        self._session.mark(outcome)
        return f'the episode is marked as a {outcome}'

    def _on_joy(self, message: Joy) -> None:
        try:
            pressed = self._button.hear(message.buttons, self._now_ns())
        except ValueError as error:
            self._log.problem('button', str(error))
            return
        if pressed:
            self._do(self._start if self._session.state == IDLE else self._save)

    def _on_instruction(self, message: String) -> None:
        with self._lock:
            self._task = message.data
            self._session.set_task(self._now_ns(), message.data)

    def _publish_status(self) -> None:
        with self._lock:
            values = self._session.figures() | {
                'task': self._task, 'folder': self._config.folder,
                'silent': ', '.join(self._session.silent(self._now_ns()))}
        wrong = values['reason'] and values['recording'] in (IDLE, STOPPED)
        self._status_topic.publish(diagnostics.status_message(
            'recorder_node', self._spec.robot, diagnostics.WARN if wrong else diagnostics.OK,
            f"{values['recording']} {values['reason']}".strip(), values))


def _keep_memory_flat() -> None:
    """
    Let all threads allocate from few arenas.

    Each episode has encoders of its own, with threads of their own. glibc gives new threads an
    arena by turns, of eight for each core, and what an encoder frees stays in its arena: the
    process would grow with each episode until every arena has held one. Other C libraries have
    no arenas.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    _keep_memory_flat()
    sys.exit(run_node('recorder_node', RecorderNode, args))


if __name__ == '__main__':
    main()
