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
What the doctor says to control_node: its report as one latched message.

``doctor_node`` publishes it; ``VerdictGate`` lets ``~/arm`` refuse while a line is critical.
"""

from __future__ import annotations

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from faster_ros.doctor.report import Line, Report, State
from faster_ros.nodes import diagnostics, qos
from rclpy.node import Node

TOPIC = 'doctor/verdict'
_LEVELS = {State.OK: diagnostics.OK, State.WARNING: diagnostics.WARN,
           State.CRITICAL: diagnostics.ERROR}


def verdict_message(report: Report, stamp: Time) -> DiagnosticArray:
    """Return a report as a message: one status per line, with its remedy as a value."""
    message = DiagnosticArray()
    message.header.stamp = stamp
    message.header.frame_id = report.robot
    message.status = [_status(report.robot, line) for line in report.lines]
    return message


def _status(robot: str, line: Line) -> DiagnosticStatus:
    return diagnostics.status_message(line.check, robot, _LEVELS[line.state], line.found,
                                      {'remedy': line.remedy})


class VerdictGate:
    """Remembers the newest verdict; ``refusal`` is '' or why arming has to wait."""

    def __init__(self, node: Node, robot: str, required: bool) -> None:
        self._node = node
        self._robot = robot
        self._required = required
        self._verdict: DiagnosticArray | None = None
        if required:
            node.create_subscription(DiagnosticArray, TOPIC, self._note, qos.LATCHED)

    def refusal(self) -> str:
        """Return '' if the doctor found nothing critical on this robot, or need not be asked."""
        if not self._required:
            return ''
        if not self._node.count_publishers(TOPIC):
            topic = self._node.resolve_topic_name(TOPIC)
            return f'nobody publishes {topic}; expected doctor_node, which has to check the robot'
        if self._verdict is None:
            return 'the doctor has not finished its first examination; try again in some seconds'
        if self._verdict.header.frame_id != self._robot:
            return (f'the doctor examines robot {self._verdict.header.frame_id}; expected '
                    f'{self._robot}')
        lines = [f'{status.name}: {status.message}' for status in self._verdict.status
                 if status.level == diagnostics.ERROR]
        return f"the doctor says {'; '.join(lines)}; its table has the remedies" if lines else ''

    def _note(self, message: DiagnosticArray) -> None:
        self._verdict = message
