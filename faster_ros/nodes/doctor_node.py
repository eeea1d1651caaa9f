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
Examines the robot at the start and again until the arm runs; says whether it may be armed.

Publishes ``doctor/verdict`` (latched), which ``control_node`` heeds if ``require_doctor`` is set,
and logs the table. While the arm runs it watches nothing: images cost a part of a core.
"""

from __future__ import annotations

from dataclasses import dataclass
import sys

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from faster_ros.doctor.report import Line, Report
from faster_ros.nodes import diagnostics, qos
from faster_ros.nodes.doctor_examination import Examination, Settings
from faster_ros.nodes.doctor_verdict import TOPIC, verdict_message
from faster_ros.nodes.parameters import declare, parameter, RobotParameters
from faster_ros.nodes.spinning import run_node
import rclpy
from rclpy.node import Node
from std_srvs.srv import Trigger


@dataclass(frozen=True)
class DoctorParameters(RobotParameters):
    """Parameters of doctor_node."""

    checkpoint: str = parameter('', 'folder of the trained policy; empty leaves it out')
    compressed: bool = parameter(False, 'take the images from <camera topic>/compressed')
    dry_run: bool = parameter(False, 'only topics under /dry_run will be commanded')
    seconds: float = parameter(3.0, 'how long the topics are watched in s', 0.5, 60.0)
    period: float = parameter(10.0, 'time between two examinations in s, while the arm does not '
                              'run', 1.0, 3600.0)

    def settings(self) -> Settings:
        """Return what to examine."""
        return Settings(self.load(), self.checkpoint, self.compressed, self.dry_run, self.seconds)


class DoctorNode(Node):
    """Publishes the verdict; ``~/check`` asks for a new one at once."""

    def __init__(self) -> None:
        super().__init__('doctor_node')
        parameters = declare(self, DoctorParameters)
        self._settings = parameters.settings()
        self._running = False
        self._examination: Examination | None = None
        self._last: Report | None = None
        self._verdict = self.create_publisher(DiagnosticArray, TOPIC, qos.LATCHED)
        self.create_subscription(DiagnosticStatus, 'control_node/status', self._on_status,
                                 qos.STATUS)
        self.create_service(Trigger, '~/check', self._on_check)
        self.create_timer(parameters.period, self._again)
        self._examine()

    def stop(self) -> None:
        """End a running examination."""
        if self._examination is not None:
            self._examination.close()

    def _again(self) -> None:
        if self._examination is None and not self._running:
            self._examine()

    def _on_check(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._examine()
        response.success = True
        response.message = (f'watching for {self._settings.seconds:g} s; the verdict comes on '
                            f'{self.resolve_topic_name(TOPIC)}')
        return response

    def _examine(self) -> None:
        """Begin an examination; one that goes on would mix what was with what is."""
        if self._examination is not None:
            self._examination.close()
        self._examination = Examination(self, self._settings, self._on_report)

    def _on_report(self, report: Report) -> None:
        self._examination = None
        stamp = self.get_clock().now().to_msg()
        self._verdict.publish(verdict_message(report, stamp))
        self._log(report)
        self._last = report

    def _log(self, report: Report) -> None:
        """Log the first table as a whole, later the lines that are critical, or mended."""
        if self._last is None:
            lines: tuple[Line, ...] = report.lines
        else:
            before = {line.check for line in self._last.critical}
            if before == {line.check for line in report.critical}:
                return
            lines = tuple(line for line in report.lines
                          if line.check in before or line in report.critical)
        if report.critical:
            self.get_logger().error(report.table(lines))
        else:
            self.get_logger().info(report.table(lines))

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._running = diagnostics.values_of(message).get('mode') == 'running'


def examine(settings: Settings) -> Report:
    """Examine once, with a node of its own that publishes nothing; for the command line."""
    reports: list[Report] = []
    rclpy.init(args=[])
    node = Node('doctor')
    try:
        Examination(node, settings, reports.append)
        while not reports and rclpy.ok():
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    if not reports:
        raise KeyboardInterrupt
    return reports[0]


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    sys.exit(run_node('doctor_node', DoctorNode, args))


if __name__ == '__main__':
    main()
