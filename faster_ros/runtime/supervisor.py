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
    joint_outside_limits     a measured position is far outside the range: other units, other arm
    deadman_released         the deadman button is released, or its topic is silent
    driver_not_ready         the driver says that motion would not reach the arm as commanded
    outside_workspace        the tool is outside its box, or could not stop inside it
    chunk_invalid            a chunk with NaN, wrong joints, wrong width or no rows
    chunk_jump               two rows of a chunk are too far from each other
    policy_problem           the policy cannot answer: a stale camera, a refused instruction ...
    images_stale             the policy's newest images are too old: a lost camera, a dead policy
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
from faster_ros.runtime.deadman import Deadman
from faster_ros.runtime.workspace import reach_of_one_period, stopping_path, Workspace
import numpy as np

_REST_RAD_S = 0.1  # an arm that moves faster than this is not armed
_LEAD_NS = 100_000_000  # tolerated lead of a camera's clock over ours
_FRESH = 'policy/fresh_until'


class Mode(str, Enum):
    """State of the supervisor."""

    DISARMED = 'disarmed'
    RUNNING = 'running'
    HOLDING = 'holding'


@dataclass(frozen=True)
class Gates:
    """
    Thresholds in rad and s.

    ``engage_distance``: between the first target and the arm. ``tracking_error``: between command
    and arm. ``starve_grace_s``: without actions. ``chunk_jump``: between two rows of a chunk.
    ``limit_tolerance``: of the arm beyond the vendor's range.
    """

    engage_distance: float = 0.1
    tracking_error: float = 0.3
    starve_grace_s: float = 0.5
    chunk_jump: float = 0.5
    limit_tolerance: float = 0.1


class Supervisor:
    """The state, the reason of a hold in one word and in one sentence; not thread-safe."""

    def __init__(self, spec: RobotSpec, gates: Gates, deadman: Deadman | None = None) -> None:
        """Begin disarmed; without ``deadman`` no button has to be held."""
        self._spec = spec
        self._gates = gates
        self._arm = spec.arm_mask
        self._max_age_ns = round(spec.state_max_age_s * 1e9)
        slack = np.where(self._arm, gates.limit_tolerance, np.inf)
        self._lowest = spec.limit_array('lower') - slack
        self._highest = spec.limit_array('upper') + slack
        self._workspaces = [(Workspace(arm), place) for arm, place in spec.parts.values()
                            if arm.workspace]
        self._longest_fresh_ns = _LEAD_NS + round(1e9 * max(
            (camera.max_age_s for camera in spec.cameras.values()), default=0.0))
        self.deadman = deadman
        self.mode = Mode.DISARMED
        self.reason = ''
        self.detail = ''
        self.engaged = False
        self.starved_ticks = 0
        self.faults = 0
        self.incomplete_state = ''
        self.driver_problem = ''
        self.fresh_until_ns: int | None = None  # None: the policy has not vouched since the arm
        self._starved_since_ns: int | None = None

    def arm(self, now_ns: int, state: RobotState | None) -> str:
        """Allow motion; returns '' or the sentence that says why not."""
        if self.mode is Mode.RUNNING:
            return ''
        problem = self._problem(now_ns, state)
        if problem is not None:
            return f'{problem[0]}: {problem[1]}'
        assert state is not None
        fast = self._arm & (np.abs(state.velocities) > _REST_RAD_S)
        if fast.any():
            index = int(np.argmax(fast))
            return (f'{self._spec.joint_names[index]} moves at {state.velocities[index]:.2f} '
                    f'rad/s; expected an arm at rest (below {_REST_RAD_S} rad/s)')
        outside = self._outside(state.positions)
        if outside:
            return f'outside_workspace: {outside}'
        self.mode, self.reason, self.detail = Mode.RUNNING, '', ''
        self.fresh_until_ns = None
        self.await_chunk()
        return ''

    def disarm(self, reason: str = '', detail: str = '') -> None:
        """Forbid motion until the next arm."""
        self.mode, self.reason, self.detail = Mode.DISARMED, reason, detail
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

    def explain(self, detail: str) -> None:
        """Let the policy say which of its images are too old, if that is why the arm holds."""
        if self.reason == 'images_stale' and self.detail.startswith(_FRESH):
            self.detail = detail

    def check_state(self, now_ns: int, state: RobotState | None, commanded: FloatArray) -> bool:
        """Check the measured state, and that it follows ``commanded`` (D,)."""
        problem = self._problem(now_ns, state) or self._images_problem(now_ns)
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

    def check_chunk(self, actions: FloatArray) -> str:
        """Return '' or where the rows of a chunk, (H, D), jump; closes the gate."""
        steps = np.abs(np.diff(actions, axis=0)) * self._arm
        if steps.max(initial=0.0) <= self._gates.chunk_jump:
            return ''
        row, column = np.unravel_index(int(np.argmax(steps)), steps.shape)
        detail = (f'chunk jumps from {actions[row, column]:.3f} to {actions[row + 1, column]:.3f} '
                  f'rad for {self._spec.joint_names[column]} in row {row + 1}; limit '
                  f'{self._gates.chunk_jump:g} rad')
        self.trip('chunk_jump', detail)
        return detail

    def check_stop(self, positions: FloatArray, velocities: FloatArray, acceleration: FloatArray,
                   period_s: float) -> None:
        """Check the way of an arm that brakes at ``acceleration`` now or after a period, (D,)."""
        if not self._workspaces:
            return
        path = positions + stopping_path(velocities, acceleration)
        reach = reach_of_one_period(velocities, acceleration, period_s)
        problem = next(filter(None, (self._outside(joints, reach) for joints in path)), '')
        if problem:
            self.trip('outside_workspace', f'a stop would still take {problem}')

    def _outside(self, positions: FloatArray, reach: FloatArray | None = None) -> str:
        """Return '' or which arm's tool is, or could get, behind which wall."""
        problems = (workspace.problem(positions[place], None if reach is None else reach[place])
                    for workspace, place in self._workspaces)
        return next(filter(None, problems), '')

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

    def _images_problem(self, now_ns: int) -> tuple[str, str] | None:
        """Return the gate and why the policy's images may not be acted on, or None."""
        # By the wall clock, however slowly the arm follows its actions: images grow old by it.
        if not self.engaged or self.fresh_until_ns is None:
            return None
        ahead_ns = self.fresh_until_ns - now_ns
        if ahead_ns < 0:
            return 'images_stale', (f'{_FRESH} has passed by {-ahead_ns * 1e-9:.3f} s: a camera '
                                    'is lost, or policy_node hangs or has died')
        if ahead_ns > self._longest_fresh_ns:
            return 'images_stale', (
                f'{_FRESH} is {ahead_ns * 1e-9:.2f} s ahead; expected at most '
                f'{self._longest_fresh_ns * 1e-9:g} s; synchronise the clocks')
        return None

    def _problem(self, now_ns: int, state: RobotState | None) -> tuple[str, str] | None:
        released = '' if self.deadman is None else self.deadman.problem(now_ns)
        if released:
            return 'deadman_released', released
        if self.driver_problem:
            return 'driver_not_ready', self.driver_problem
        return self.state_problem(now_ns, state)

    def state_problem(self, now_ns: int, state: RobotState | None) -> tuple[str, str] | None:
        """Return the gate and what is wrong with the measured state, or None."""
        topic = state.topic if state and state.topic else ', '.join(self._spec.state_topics)
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
        beyond = np.maximum(self._lowest - state.positions, state.positions - self._highest)
        if beyond.max() > 0:
            index = int(np.argmax(beyond))
            name = self._spec.joint_names[index]
            limits = self._spec.joints[name]
            return 'joint_outside_limits', (
                f'{name} measured at {state.positions[index]:.3f} on {topic}; expected '
                f'[{limits.lower:g}, {limits.upper:g}] rad, give or take '
                f'{self._gates.limit_tolerance:g}; are these degrees, or of another arm?')
        return None
