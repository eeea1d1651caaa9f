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
Decides whether the arm may move; the gates are listed in ``docs/safety.md``.

States: ``disarmed`` (at start; nothing is commanded), ``running`` (armed), ``holding`` (a gate
closed: the arm brakes at its acceleration limit and stays). A gate latches: motion comes back
only by an explicit arm, which is refused with a reason while its preconditions fail. Gates::

    joint_state_missing      no joint state has arrived
    joint_state_stale        the newest one is older than state_max_age_s, or from the future
    joint_state_not_finite   a measured position is NaN or infinite
    joint_missing            joint states come, but none of that age has all joints
    driver_not_ready         the driver says that motion would not reach the arm as commanded
    chunk_invalid            a chunk with NaN, wrong joints, wrong width or no rows
    policy_problem           the policy cannot answer: a stale camera, a refused instruction ...
    chunk_starved            the trajectory ran out, and for starve_grace_s nothing followed
    too_far_at_engage        a first target is too far from the measured pose
    tracking_error           the measured pose is too far from the commanded one
    internal_error           the control loop itself failed (reported by the node)

Running out of actions brakes the arm at once. For ``starve_grace_s`` a new chunk takes it up
again; after that the gate closes. Waiting for the first chunk after an arm or a reset is not
starvation and never latches.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from faster_ros.interfaces import FloatArray, RobotState
from faster_ros.robot_spec import RobotSpec
import numpy as np

_REST_RAD_S = 0.1  # an arm that moves faster than this is not armed


class Mode(str, Enum):
    """State of the supervisor."""

    DISARMED = 'disarmed'
    RUNNING = 'running'
    HOLDING = 'holding'


@dataclass(frozen=True)
class Gates:
    """Thresholds: rad between target and arm, rad between command and arm, s without actions."""

    engage_distance: float = 0.1
    tracking_error: float = 0.3
    starve_grace_s: float = 0.5


class Supervisor:
    """The state, the reason of a hold in one word and in one sentence; not thread-safe."""

    def __init__(self, spec: RobotSpec, gates: Gates) -> None:
        """Begin disarmed."""
        self._spec = spec
        self._gates = gates
        self._arm = spec.arm_mask
        self._max_age_ns = round(spec.state_max_age_s * 1e9)
        self.mode = Mode.DISARMED
        self.reason = ''
        self.detail = ''
        self.engaged = False
        self.starved_ticks = 0
        self.faults = 0
        self.incomplete_state = ''
        self.driver_problem = ''
        self._starved_since_ns: int | None = None

    def arm(self, now_ns: int, state: RobotState | None) -> str:
        """Allow motion; returns '' or the sentence that says why not."""
        if self.mode is Mode.RUNNING:
            return ''
        problem = self._state_problem(now_ns, state)
        if problem is not None:
            return f'{problem[0]}: {problem[1]}'
        assert state is not None
        fast = self._arm & (np.abs(state.velocities) > _REST_RAD_S)
        if fast.any():
            index = int(np.argmax(fast))
            return (f'{self._spec.joint_names[index]} moves at {state.velocities[index]:.2f} '
                    f'rad/s; expected an arm at rest (below {_REST_RAD_S} rad/s)')
        self.mode, self.reason, self.detail = Mode.RUNNING, '', ''
        self.await_chunk()
        return ''

    def disarm(self) -> None:
        """Forbid motion until the next arm."""
        self.mode, self.reason, self.detail = Mode.DISARMED, '', ''
        self.await_chunk()

    def await_chunk(self) -> None:
        """Wait for a first chunk as after an arm."""
        self.engaged = False
        self._starved_since_ns = None

    def trip(self, reason: str, detail: str) -> bool:
        """Close a gate: hold for this reason. Only a running arm can be held; first one wins."""
        if self.mode is not Mode.RUNNING:
            return False
        self.mode, self.reason, self.detail = Mode.HOLDING, reason, detail
        self.await_chunk()
        self.faults += 1
        return True

    def check_state(self, now_ns: int, state: RobotState | None, commanded: FloatArray) -> bool:
        """Check the measured state, and that it follows ``commanded`` (D,)."""
        problem = self._state_problem(now_ns, state)
        if problem is None:
            assert state is not None
            error = np.abs(commanded - state.positions) * self._arm
            if error.max() <= self._gates.tracking_error:
                return True
            index = int(np.argmax(error))
            problem = ('tracking_error', f'{self._spec.joint_names[index]} is at '
                       f'{state.positions[index]:.3f} rad, commanded {commanded[index]:.3f}; '
                       f'limit {self._gates.tracking_error:g} rad')
        self.trip(*problem)
        return False

    def check_target(self, target: FloatArray, state: RobotState) -> bool:
        """Check the first target after an arm or a reset against the measured pose."""
        self._starved_since_ns = None
        if self.engaged:
            return True
        distance = np.abs(target - state.positions) * self._arm
        if distance.max() > self._gates.engage_distance:
            index = int(np.argmax(distance))
            self.trip('too_far_at_engage', f'first target of {self._spec.joint_names[index]} is '
                      f'{target[index]:.3f} rad, measured {state.positions[index]:.3f}; limit '
                      f'{self._gates.engage_distance:g} rad apart')
            return False
        self.engaged = True
        return True

    def no_target(self, now_ns: int) -> None:
        """Note a tick without a target; closes the gate after the grace."""
        if not self.engaged:
            return
        self.starved_ticks += 1
        if self._starved_since_ns is None:
            self._starved_since_ns = now_ns
        elif now_ns - self._starved_since_ns > self._gates.starve_grace_s * 1e9:
            self.trip('chunk_starved', 'the actions ran out and no chunk came for '
                      f'{self._gates.starve_grace_s:g} s; is the policy running?')

    def _state_problem(self, now_ns: int, state: RobotState | None) -> tuple[str, str] | None:
        topic = state.topic if state and state.topic else ', '.join(self._spec.state_topics)
        if self.driver_problem:
            return 'driver_not_ready', self.driver_problem
        if self.incomplete_state and (
                state is None or now_ns - state.stamp_ns > self._max_age_ns):
            return 'joint_missing', self.incomplete_state
        if state is None:
            return 'joint_state_missing', f'no joint state received on {topic}'
        age_ns = now_ns - state.stamp_ns
        if abs(age_ns) > self._max_age_ns:
            when = f'{age_ns * 1e-9:.2f} s old' if age_ns > 0 else (
                f'stamped {-age_ns * 1e-9:.2f} s in the future')
            return 'joint_state_stale', (f'newest joint state on {topic} is {when}; limit '
                                         f'{self._spec.state_max_age_s:g} s')
        if not np.isfinite(state.positions).all():
            index = int(np.argmin(np.isfinite(state.positions)))
            return 'joint_state_not_finite', (f'{self._spec.joint_names[index]} measured as '
                                              f'{state.positions[index]} on {topic}')
        return None
