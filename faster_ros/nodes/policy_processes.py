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
The policy of one trial: policy_node and control_node as processes of evaluation_node.

They start anew for each trial, whichever policy it is: nothing is left of the one before, every
parameter may differ, and how long it takes tells the operator nothing. What they say goes to
files, since it names the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
import signal
import subprocess
import time
from typing import Any

from faster_ros.evaluation.trial_plan import FROM_SIMULATOR, PolicyUnderTest, TrialPlan
from faster_ros.graph_parts import command, Process
from faster_ros.nodes.control_parameters import ControlParameters
from faster_ros.nodes.policy_node import PolicyParameters
from faster_ros.policy.compatibility import check_compatible, read_config
from faster_ros.robot_spec import load_robot_spec, RobotSpec

_PARAMETERS = {'policy_node': PolicyParameters, 'control_node': ControlParameters}
_NOT_THE_PLANS = ('robot', 'joint_prefix', 'driver_namespace', 'checkpoint', 'dry_run',
                  'require_doctor', 'autostart', 'deadman_topic', 'deadman_button',
                  'deadman_timeout')
# Whoever stands beside the arm does not know which policy runs: a plan makes these only stricter.
_GATES = ('engage_distance', 'tracking_error', 'starve_grace', 'chunk_jump', 'limit_tolerance')
_PATIENCE_S = ((signal.SIGINT, 8.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
_POLL_S = 0.02


def check_tasks(plan: TrialPlan, spec: RobotSpec, simulated: bool, attended: bool) -> None:
    """Raise a ValueError that says what of a plan does not fit the robot, or who stands by."""
    if load_robot_spec(plan.robot).robot != spec.robot:
        raise ValueError(f"the plan is for robot '{plan.robot}'; expected '{spec.robot}'")
    if not attended and not simulated:
        raise ValueError('unattended trials are for the simulator only; a person has to stand '
                         'beside a real arm')
    for name, task in plan.tasks.items():
        if task.camera not in spec.cameras:
            raise ValueError(f"task {name}: camera '{task.camera}' is unknown; robot "
                             f"{spec.robot} has {', '.join(spec.cameras)}")
        if (task.instruction == FROM_SIMULATOR) != simulated:
            raise ValueError(f"task {name}: instruction '{task.instruction}'; expected "
                             f"'{FROM_SIMULATOR}' in the simulator and nowhere else")


def graphs_of(plan: TrialPlan, spec: RobotSpec,
              graph: Callable[[Path], list[Process]]) -> dict[str, list[Process]]:
    """
    Return the processes of each policy of a plan; a ValueError names one that cannot run.

    ``graph``: makes the processes of a checkpoint.
    """
    graphs = {}
    for name, policy in plan.policies.items():
        try:
            check_compatible(read_config(policy.folder), spec)
            graphs[name] = with_parameters(graph(policy.folder), policy)
        except ValueError as error:
            raise ValueError(f'policy {name} of the plan: {error}') from None
    return graphs


def with_parameters(graph: Sequence[Process], policy: PolicyUnderTest) -> list[Process]:
    """Return policy_node and control_node of a graph with the parameters of the plan."""
    told: dict[str, dict[str, Any]] = {name: {} for name in _PARAMETERS}
    for key, value in policy.parameters.items():
        node, _, name = key.partition('.')
        told.setdefault(node, {})[name] = _checked(key, value)
    return [replace(process, parameters={**process.parameters, **told[process.name]})
            for process in graph if process.name in _PARAMETERS]


def _checked(key: str, value: Any) -> Any:
    """Return the value of a parameter as its node wants it, or raise a ValueError."""
    node, _, name = key.partition('.')
    known: Mapping[str, Any] = {
        entry.name: entry.default for entry in fields(_PARAMETERS[node])
        if entry.name not in _NOT_THE_PLANS} if node in _PARAMETERS else {}
    if name not in known:
        raise ValueError(f"parameter '{key}' of a policy is unknown; expected policy_node.NAME or "
                         f"control_node.NAME{', of ' + ', '.join(known) if known else ''}")
    wanted = type(known[name])
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if name in _GATES and isinstance(value, float) and value > known[name]:
        raise ValueError(f"parameter '{key}' of a policy: expected at most {known[name]:g}, the "
                         f'default of this gate, got {value:g}')
    if type(value) is not wanted:
        raise ValueError(f"parameter '{key}' of a policy: expected {wanted.__name__}, got "
                         f'{value!r}')
    return value


class PolicyProcesses:
    """Started processes; they end with this process, too, however it ends."""

    def __init__(self, graph: Sequence[Process], logs: Path) -> None:
        """Start all; ``logs``: folder of one file for each."""
        logs.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        for process in graph:
            with (logs / f'{process.name}.log').open('wb') as log:
                # control_node brakes the arm on SIGINT.
                self._running[process.name] = subprocess.Popen(
                    ['setpriv', '--pdeathsig', 'INT', *command(process)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    @property
    def pids(self) -> dict[str, int]:
        """Return the process id of each node."""
        return {name: process.pid for name, process in self._running.items()}

    def ended(self) -> str:
        """Return which process has ended by itself and how, or an empty text."""
        for name, process in self._running.items():
            if process.poll() is not None:
                return f'{name} ended with code {process.returncode}'
        return ''

    def stop(self) -> None:
        """End all, control_node after it has braked the arm."""
        for number, patience_s in _PATIENCE_S:
            for process in self._running.values():
                if process.poll() is None:
                    process.send_signal(number)
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline and not self._all_ended():
                time.sleep(_POLL_S)

    def _all_ended(self) -> bool:
        return all(process.poll() is not None for process in self._running.values())
