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
Who leads the arm, a person or the policy, and what a person's leaders ask of it.

States::

    idle     nobody: no person has engaged yet, or control_node stopped while one led or held, or
             does not run while one takes over
    policy   the policy's chunks are passed on
    human    the leaders' targets are sent
    hold     the arm is kept where it is: a person released it, paused it or lost a leader

A person takes over where an arm in motion comes to rest, so nothing jumps or swings back. Who
takes over stops the policy, even if the leader cannot lead yet. Only ``hand_back`` lets the policy
go on: it sends the pose once more, for as long as a policy may take for its first answer to what
it sees from then on; older answers are left out. Used by ``teleop_node``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.robot_spec import RobotSpec
from faster_ros.teleop.leaders import Leader
import numpy as np

_STEP_NS = 50_000_000
_ROWS = 5  # a chunk lasts 0.2 s: without a next one the arm brakes
_HANDING_ROWS = 41  # 2 s
_LAG_S = 0.09  # from a target to the command that follows it, at control_node's usual seam
_BRAKE_SHARE = 0.5  # of the acceleration limit, by which an arm in motion is brought to rest
_SHORTEST_BRAKE_S = 0.15
PAUSED = 'paused'  # the reason of a hold that a person asked for


class Lead(str, Enum):
    """Who leads."""

    IDLE = 'idle'
    POLICY = 'policy'
    HUMAN = 'human'
    HOLD = 'hold'


class TeleopSession:
    """The state, the target of all joints and the leaders of some arms; not thread-safe."""

    def __init__(self, spec: RobotSpec, leaders: Mapping[str, Leader], rate_hz: float,
                 with_policy: bool = False) -> None:
        """``leaders``: by the arm's name in ``spec.parts``; others are held."""
        self._spec = spec
        self._leaders = {name: (leader, spec.parts[name][1]) for name, leader in leaders.items()}
        self._grippers = {name: spec.parts[name][0].gripper for name in leaders}
        self._period_s = 1.0 / rate_hz
        self._reach = spec.limit_array('velocity') * spec.velocity_scale * self._period_s
        self._brake = spec.limit_array('acceleration') * spec.acceleration_scale * _BRAKE_SHARE
        self._lowest = spec.limit_array('lower') + spec.position_margin * spec.arm_mask
        self._highest = spec.limit_array('upper') - spec.position_margin * spec.arm_mask
        self._arm = spec.arm_mask
        self._policy_since_ns = 0
        self.lead = Lead.POLICY if with_policy else Lead.IDLE
        self.reason = ''
        self.target = spec.home_positions
        self._braking = 0.0 * self.target  # from where the arm is at first to where it stops
        self._brake_s = self._braked_s = _SHORTEST_BRAKE_S

    def engage(self, now_ns: int, positions: FloatArray, velocities: FloatArray) -> str:
        """
        Let the leaders lead from the last command on; returns '' or why they cannot.

        ``positions``, ``velocities``: shape (D,), of the last command. A policy's lead ends also
        where they cannot: then the arm is held.
        """
        if self.lead is Lead.HUMAN:
            return ''
        start = self.target if self.lead is Lead.HOLD else self._stop_of(positions, velocities)
        for name, (leader, place) in self._leaders.items():
            grip = self._grip(name, start[place][-1])
            problem = leader.engage(start[place][:-1], grip) or leader.problem(now_ns)
            if problem:
                if self.lead is Lead.POLICY:
                    self.hold(positions, velocities, problem)
                return problem
        self.target = start
        self.lead, self.reason = Lead.HUMAN, ''
        return ''

    def release(self, reason: str = '') -> None:
        """End a person's lead: the arm is held; ``reason``: why it could not go on."""
        if self.lead is Lead.HUMAN:
            self.lead, self.reason = Lead.HOLD, reason

    def take_from_policy(self, reason: str) -> None:
        """End the policy's lead of an arm that stands; ``reason``: why nobody leads instead."""
        if self.lead is Lead.POLICY:
            self.lead, self.reason = Lead.IDLE, reason

    def hand_back(self, now_ns: int) -> ActionChunk | None:
        """Let the policy lead; returns what is to be sent so that the arm waits for it."""
        before, self.lead, self.reason = self.lead, Lead.POLICY, ''
        if before is Lead.POLICY:
            return None
        self._policy_since_ns = now_ns
        # An idle arm waits of itself, and need not be where this session last sent it.
        return None if before is Lead.IDLE else self._chunk(now_ns, _HANDING_ROWS)

    def hold(self, positions: FloatArray, velocities: FloatArray, reason: str) -> None:
        """Bring the arm to rest, whoever leads it; first arguments as of ``engage``."""
        if self.lead not in (Lead.HUMAN, Lead.HOLD):
            self.target = self._stop_of(positions, velocities)
        self.lead, self.reason = Lead.HOLD, reason

    def stop(self, reason: str) -> None:
        """Note that control_node does not follow chunks; a person's lead or hold is over."""
        if self.lead in (Lead.HUMAN, Lead.HOLD):
            self.lead, self.reason = Lead.IDLE, reason

    def passes(self, start_ns: int) -> bool:
        """Return whether a policy's chunk that answers an observation of then is passed on."""
        return self.lead is Lead.POLICY and start_ns > self._policy_since_ns

    def tick(self, now_ns: int) -> ActionChunk | None:
        """Return the chunk of this period, or None when a person does not lead."""
        if self.lead is Lead.HUMAN:
            problems = (leader.problem(now_ns) for leader, _ in self._leaders.values())
            problem = next(filter(None, problems), '')
            if problem:
                self.release(problem)
            else:
                self._advance()
        if self.lead not in (Lead.HUMAN, Lead.HOLD):
            return None
        chunk = self._chunk(now_ns, _ROWS)
        self._braked_s += self._period_s
        return chunk

    @property
    def note(self) -> str:
        """Return '' or why a part of what a leader wants is not done."""
        notes = (leader.note for leader, _ in self._leaders.values())
        return next(filter(None, notes), '') if self.lead is Lead.HUMAN else ''

    def _stop_of(self, positions: FloatArray, velocities: FloatArray) -> FloatArray:
        """Return where an arm in motion comes to rest, and begin to brake it."""
        speeds = np.where(self._arm, velocities, 0.0)
        begin = positions + speeds * _LAG_S
        self._brake_s = max(_SHORTEST_BRAKE_S, float((np.abs(speeds) / self._brake).max()))
        stop = begin + speeds * 0.5 * self._brake_s
        stop = np.clip(stop, np.minimum(self._lowest, positions),
                       np.maximum(self._highest, positions))
        self._braking, self._braked_s = stop - begin, 0.0
        return stop

    def _advance(self) -> None:
        wanted = self.target.copy()
        for name, (leader, place) in self._leaders.items():
            *joints, finger = self.target[place]
            sent = self._grip(name, finger)
            grip = leader.grip(sent)
            if grip != sent:
                gripper = self._grippers[name]
                finger = gripper.closed + grip * (gripper.open - gripper.closed)
            wanted[place] = [*leader.step(np.array(joints), self._period_s), finger]
        step = np.clip(wanted - self.target, -self._reach, self._reach)
        self.target = np.where(self._arm, self.target + step, wanted)

    def _grip(self, name: str, position: float) -> float:
        gripper = self._grippers[name]
        return float((position - gripper.closed) / (gripper.open - gripper.closed))

    def _chunk(self, now_ns: int, rows: int) -> ActionChunk:
        columns = len(self._spec.action_names)
        row = np.zeros(columns)  # a base is not driven by hand: it stands
        left = max(0.0, 1.0 - self._braked_s / self._brake_s) ** 2
        row[:len(self.target)] = self.target - left * self._braking
        return ActionChunk(now_ns, _STEP_NS, np.tile(row, (rows, 1)), self._spec.action_names)
