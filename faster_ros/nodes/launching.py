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
Translates the node graphs of ``bringup`` into launch actions, one to one.

Called by ``launch/*.launch.py`` only: launch and launch_ros come with ROS, not from PyPI.
"""

from __future__ import annotations

from typing import Any

from faster_ros.bringup import environment, GRAPHS
from faster_ros.graph_parts import as_text, Process
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription  # type: ignore[attr-defined]  # noqa: I100


def launch_description(graph_name: str) -> Any:
    """Return a LaunchDescription of a graph."""
    graph = GRAPHS[graph_name]

    def start(context: Any) -> list[Any]:
        texts = {
            argument.name: LaunchConfiguration(argument.name).perform(context)
            for argument in graph.arguments
        }
        return [launch_node(process) for process in graph.processes(texts)]

    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(
                    argument.name,
                    default_value=as_text(argument.default),
                    description=argument.description,
                    choices=list(argument.choices) or None,
                )
                for argument in graph.arguments
            ),
            *(SetEnvironmentVariable(name, value) for name, value in environment().items()),
            OpaqueFunction(function=start),
        ]
    )


def launch_node(process: Process) -> Any:
    """Return the launch_ros action that starts a process."""
    options: dict[str, Any] = {}
    if process.required:
        options['on_exit'] = Shutdown(reason=f'{process.name} ended')
    if process.nice:
        options['prefix'] = f'nice -n {process.nice}'
    # A text is marked as text: launch would read 'true' or '5' as YAML.
    return Node(
        package='faster_ros',
        executable=process.executable,
        name=process.name,
        namespace=process.namespace,
        remappings=list(process.remappings),
        output='screen',
        parameters=[
            {
                name: ParameterValue(value, value_type=type(value))
                for name, value in process.parameters.items()
            }
        ],
        **options,
    )
