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
The joint states of all arms as one state; an arm that is silent or incomplete is named.

Each arm reports on a topic of its own. The state has the stamp and the topic of the arm that was
heard longest ago, so it is as old as its oldest part. Speeds that a driver does not report are
the way since its message before, over the time. Called by the nodes.
"""

from __future__ import annotations

from dataclasses import replace

from faster_ros.interfaces import RobotState
from faster_ros.robot_spec import RobotSpec
import numpy as np

# Between two messages whose difference is a speed; less would make one of a position's last digit.
_SHORTEST_NS, _LONGEST_NS = 2_000_000, 500_000_000


class JointStates:
    """The newest state of each arm; not thread-safe."""

    def __init__(self, spec: RobotSpec) -> None:
        self._topics = {name: arm.state_topic for name, (arm, _) in spec.parts.items()}
        self._states: dict[str, RobotState] = {}
        self._faults: dict[str, str] = {}

    def add(self, arm: str, state: RobotState) -> RobotState | None:
        """Take an arm's state; returns that of all joints, or None while an arm is missing."""
        self._states[arm] = _with_speeds(state, self._states.get(arm))
        self._faults.pop(arm, None)
        if len(self._states) < len(self._topics):
            return None
        oldest = min(self._states, key=lambda name: self._states[name].stamp_ns)
        states = [self._states[name] for name in self._topics]
        return RobotState(self._states[oldest].stamp_ns,
                          np.concatenate([state.positions for state in states]),
                          np.concatenate([state.velocities for state in states]),
                          self._topics[oldest])

    def has(self, arm: str) -> bool:
        """Return whether an arm was heard; what names none of its joints is of others then."""
        return arm in self._states

    def refuse(self, arm: str, problem: str) -> None:
        """Note that an arm's message cannot be used; holds until it sends a good one."""
        self._faults[arm] = problem

    @property
    def problem(self) -> str:
        """Return '' or why the last message of an arm cannot be used."""
        return next(iter(self._faults.values()), '')

    @property
    def missing(self) -> str:
        """Return '' or the arms that have not been heard while others have."""
        missing = [name for name in self._topics if name not in self._states]
        if not missing or not self._states:
            return ''
        return ' and '.join(f'no joint state of arm {name} received on {self._topics[name]}'
                            for name in missing)


def _with_speeds(state: RobotState, before: RobotState | None) -> RobotState:
    """Return the state of an arm with the speeds (D,) that it lacks, where they can be told."""
    unknown = np.isnan(state.velocities)
    if before is None or not unknown.any():
        return state
    passed_ns = state.stamp_ns - before.stamp_ns
    if not _SHORTEST_NS <= passed_ns <= _LONGEST_NS:
        return state
    speeds = (state.positions - before.positions) / (passed_ns * 1e-9)
    return replace(state, velocities=np.where(unknown, speeds, state.velocities))
