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
recorder_node as evaluation_node drives it: an episode for each attempt of a trial.

An episode begins before the arm is armed, so that a recorder which cannot record stops no arm, and
is saved as soon as the arm stands: what happens to the trial after that cannot take it away.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from threading import Event
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from faster_ros.data.recording_session import IDLE, RECORDING
from faster_ros.nodes import qos
from faster_ros.nodes.diagnostics import values_of
from faster_ros.nodes.service_calls import ServiceCalls
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from std_srvs.srv import Trigger

_JOBS = ('start', 'stop', 'save')
_PATIENCE_S = 300.0  # what waits is encoded and put on disk, on a busy machine slowly


class TrialRecorder:
    """Calls recorder_node from the thread of the trials; another spins the node."""

    def __init__(self, node: Node, stopping: Event) -> None:
        services: dict[str, tuple[type[Any], str]] = {
            job: (Trigger, f'recorder_node/{job}') for job in _JOBS}
        services['facts'] = (SetParameters, 'recorder_node/set_parameters')
        self._calls = ServiceCalls(node, stopping, services)
        self._status: dict[str, str] = {}
        self._lost: set[str] = set()  # streams that fell silent while an episode was recorded
        node.create_subscription(DiagnosticStatus, 'recorder_node/status', self._on_status,
                                 qos.STATUS)

    def missing(self) -> list[str]:
        """Return what of the recorder is not there yet."""
        return self._calls.missing() or ([] if self._status else ['recorder_node'])

    def begin(self, facts: Mapping[str, str]) -> str:
        """Begin an episode; returns why that is not possible, or an empty text."""
        if self._status['recording'] != IDLE:  # of an evaluation_node that was killed
            self.keep()
        value = ParameterValue(type=ParameterType.PARAMETER_STRING,
                               string_value=json.dumps(dict(facts)))
        told = self._calls.call('facts', SetParameters.Request(
            parameters=[Parameter(name='facts', value=value)]), repeatable=True).results[0]
        self._lost = set()
        return self._ask('start') if told.successful else str(told.reason)

    def keep(self) -> str:
        """
        End the episode and save it; returns what is wrong with it, or an empty text.

        One without a row, as nothing was sent to the arm, is no episode; its files are kept.
        """
        lost = f"nothing came of {', '.join(sorted(self._lost))} for a time" if self._lost else ''
        found = self._ask('stop'), self._ask('save'), lost
        return '; '.join(dict.fromkeys(filter(None, found)))

    @staticmethod
    def label(folder: Path) -> str:
        """Write into the recordings how the trials ended; returns why not, or an empty text."""
        from faster_ros.evaluation.trial_recordings import label_recordings  # pyarrow is slow

        try:
            label_recordings(folder, {})
        except (OSError, ValueError) as error:  # the journal has it; the report tries again
            return f'the recordings do not say how trials ended: {error}'
        return ''

    @property
    def state(self) -> tuple[str, bool]:
        """Return in words how it records, and whether that is well."""
        status = self._status
        if status.get('reason'):
            return f'{status["recording"]}: {status["reason"]}', False
        if status.get('silent'):
            return f'nothing comes of {status["silent"]}', False
        if status.get('recording') != RECORDING:
            return 'ready', True
        dropped = sum(int(value) for name, value in status.items() if name.endswith('_dropped'))
        text = f'{float(status["seconds"]):.0f} s recorded'
        return text + (f', {dropped} images and messages lost' if dropped else ''), not dropped

    def _ask(self, job: str) -> str:
        """Return why the recorder refused, or an empty text."""
        response = self._calls.call(job, Trigger.Request(), patience_s=_PATIENCE_S)
        return '' if response.success else str(response.message)

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._status = values_of(message)
        if self._status['recording'] == RECORDING and self._status['silent']:
            self._lost |= set(self._status['silent'].split(', '))
