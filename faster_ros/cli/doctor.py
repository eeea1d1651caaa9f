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
``faster_ros doctor robot:=ur5e``: what would go wrong, before the arm moves for the first time.

Watches the robot's topics for some seconds and prints a table with a remedy per line. Exit code:
0 all is well, 1 there are warnings, 2 a line is critical and the arm must not be armed, 3 the
robot could not be examined (a wrong argument).
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path

from faster_ros.bringup import environment
from faster_ros.graph_parts import Value
from faster_ros.robot_spec import load_robot_spec

NOT_EXAMINED = 3
_SECONDS = (0.5, 60.0)


def doctor(values: Mapping[str, Value], seconds: float, json_file: Path | None) -> int:
    """Examine the robot, print the table, write the JSON file if one is named."""
    if not _SECONDS[0] <= seconds <= _SECONDS[1]:
        raise ValueError(f'--seconds: expected {_SECONDS[0]:g} to {_SECONDS[1]:g}, got {seconds}')
    spec = load_robot_spec(str(values.get('robot', 'fr3')), str(values.get('joint_prefix', '')),
                           str(values.get('driver_namespace', '')))
    shell = dict(os.environ)
    os.environ.update(environment())  # before rclpy: Fast DDS reads it when it is loaded
    from faster_ros.nodes.doctor_examination import Settings
    from faster_ros.nodes.doctor_node import examine

    print(f'Watching {spec.robot} for {seconds:g} s', flush=True)
    report = examine(Settings(
        spec, str(values.get('checkpoint', '')), bool(values.get('compressed')),
        bool(values.get('dry_run')), seconds, shell))
    print(report.table())
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report.to_dict(), indent=2) + '\n')
    return report.exit_code
