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
MotionController: from chunks to limited commands, one call per control period.

The timeline says what is due, the supervisor whether it may be done, the limiter how fast; the
timeline lives in the time of the dilated clock, which a slowed arm slows. The same object runs in
``control_node`` and, without ROS, in the simulator's evaluation. It reads no clock: the same
calls give the same commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from faster_ros.interfaces import (
    ActionChunk,
    FloatArray,
    JointCommand,
    RobotState,
    StopPath,
)
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.action_timeline import ActionTimeline, OutOfOrderError
from faster_ros.runtime.base_motion import BaseMotion
from faster_ros.runtime.blending import make_rule
from faster_ros.runtime.coasting import Coasting
from faster_ros.runtime.committed_plan import PLAN_PAST_ROWS, PLAN_ROWS, PLAN_STEP_NS
from faster_ros.runtime.deadman import Deadman
from faster_ros.runtime.dilated_clock import DilatedClock
from faster_ros.runtime.limiter import Limiter
from faster_ros.runtime.supervisor import Gates, Mode, Supervisor
import numpy as np

_STAY_RAD = 0.01  # a smaller distance is the arm's own error, which a hold must not follow
_UNTOUCHED = 0.05  # of a gripper's stroke: it moved less since its last command


@dataclass(frozen=True)
class MotionConfig:
    """
    How commands are made.

    ``merge``: rule of ``blending.RULES``; ``blend_s``: length of a seam; ``actuation_latency_s``:
    time from a command to its effect; ``command_lead_s``: from a command to its due time, after
    which an arm with a braking tail begins to brake by itself; ``gates``: the supervisor's.
    """

    merge: str = 'smooth'
    blend_s: float = 0.12
    actuation_latency_s: float = 0.0
    command_lead_s: float = 0.02
    gates: Gates = field(default_factory=Gates)


@dataclass(frozen=True)
class MotionStatus:
    """
    What the controller does and has counted.

    ``reason`` and ``detail`` name the closed gate. ``waiting``: armed, no first chunk yet;
    ``detail`` is then what the policy says about it.
    ``problem``: the last chunk in words if it was rejected. Counters run from the start.
    """

    mode: str
    reason: str
    detail: str
    waiting: bool
    problem: str
    remaining_s: float
    chunks_merged: int
    chunks_rejected: int
    chunks_discarded: int
    late_steps: int
    starved_ticks: int
    clamped_ticks: int
    faults: int


class MotionController:
    """Timeline, supervisor and limiter of one robot; not thread-safe."""

    def __init__(self, spec: RobotSpec, config: MotionConfig | None = None,
                 rate_hz: float | None = None, deadman: Deadman | None = None) -> None:
        """``rate_hz``: how often ``tick`` is called; by default the robot's command rate."""
        config = config or MotionConfig()
        self._arm, self._joint_names = spec.arm_mask, spec.joint_names
        self._period_s = 1.0 / (rate_hz or spec.command_rate_hz)
        self._far = config.gates.tracking_error
        self._coasting = Coasting(spec, self._period_s, config.command_lead_s)
        self._limiter = Limiter(spec, self._period_s)
        self._timeline = ActionTimeline(
            spec, make_rule(config.merge, config.blend_s),
            config.actuation_latency_s, self._limiter.delay_s)
        self._supervisor = Supervisor(spec, config.gates, deadman)
        self._strokes = spec.limit_array('upper') - spec.limit_array('lower')
        self._clock = DilatedClock()
        self._stop_told = False
        self._hold_at: FloatArray | None = None
        self._stay_at: FloatArray | None = None  # in a hold: where the arm has gone
        self._let_go = False  # after that: it is told nothing more
        self._seen: FloatArray | None = None  # measured at the last command
        self._failure = ''
        self._last_due_ns = 0  # on the wall clock, of the newest chunk at full speed
        self._base = None if spec.base is None else BaseMotion(spec, self._period_s)
        self._observation_ns = 0
        self._problem = ''
        self._policy_problem = ''

    @property
    def moving(self) -> bool:
        """Return whether an arm or a base is commanded to move."""
        return self._limiter.moving or (self._base is not None and self._base.moving)

    @property
    def follows(self) -> bool:
        """Return whether there is a trajectory that the arm follows or is about to."""
        return self._supervisor.mode is Mode.RUNNING and self._timeline.has_trajectory

    def arm(self, now_ns: int, state: RobotState | None) -> str:
        """
        Allow motion from the measured pose; returns '' or why it is refused.

        Only chunks observed from now on are followed: an older one is ahead of an arm that stood.
        """
        if self._failure:
            return self._failure
        if self._supervisor.mode is Mode.RUNNING:
            return ''
        if self.moving:
            return 'the arm is still braking; arm again when it stands'
        refusal = self._supervisor.arm(now_ns, state)
        if not refusal:
            assert state is not None
            self._limiter.start(self._pose(state))
            self._stay_at, self._let_go = None, False
            self._clock.restart(now_ns)
            self._flush(now_ns)
        return refusal

    def _pose(self, state: RobotState) -> FloatArray:
        """
        Return the pose (D,) to hold an arm in that stands.

        A gripper that nobody has moved since its last command keeps it: what it holds stops it
        before its target, and where it was stopped would be a looser grip.
        """
        if self._seen is None:
            return state.positions
        moved = np.abs(state.positions - self._seen) > _UNTOUCHED * self._strokes
        return np.where(self._arm | moved, state.positions, self._limiter.positions)

    def disarm(self, now_ns: int) -> None:
        """Brake to a stop, then command nothing."""
        self._supervisor.disarm()
        self._flush(now_ns)

    def stop(self, detail: str, now_ns: int) -> None:
        """Disarm, and state who wanted it."""
        self._supervisor.disarm('stopped', detail)
        self._flush(now_ns)

    def hold_measured(self, now_ns: int, state: RobotState | None) -> str:
        """Command the measured pose in the next period; returns '' or why that cannot be."""
        problem = self._supervisor.state_problem(now_ns, state)
        if self._failure:
            return self._failure
        if self._supervisor.mode is Mode.RUNNING or self.moving:
            return 'the arm is armed or moves; expected one that stands'
        if problem is not None:
            return f'{problem[0]}: {problem[1]}'
        assert state is not None
        self._hold_at = self._pose(state)
        return ''

    def reset(self, now_ns: int) -> None:
        """Forget the trajectory, brake and wait for a chunk observed from now on."""
        self._flush(now_ns)
        self._supervisor.await_chunk()

    def trip(self, reason: str, detail: str, now_ns: int) -> None:
        """Hold for a reason that was found outside, such as a failure of the control loop."""
        if self._supervisor.trip(reason, detail):
            self._flush(now_ns)

    def fail(self, detail: str, now_ns: int) -> None:
        """Tell that no command is sent any more, for ever; nothing arms after that."""
        self._failure = f'{detail}; restart the node'
        self.trip('internal_error', self._failure, now_ns)
        if self._supervisor.mode is Mode.DISARMED:
            self._supervisor.disarm('internal_error', self._failure)

    def _flush(self, now_ns: int) -> None:
        self._timeline.reset(self._clock.at(now_ns))
        self._observation_ns = 0

    def note_incomplete_state(self, detail: str) -> None:
        """Tell that joint states lack a joint, or with '' that they are complete again."""
        self._supervisor.incomplete_state = detail

    def note_policy_problem(self, problem: str, now_ns: int) -> None:
        """Hold a moving arm because the policy cannot answer; '' tells that it can again."""
        self._policy_problem = problem
        if problem and self._supervisor.engaged:
            self.trip('policy_problem', problem, now_ns)
        elif problem:
            self._supervisor.explain(problem)

    def note_fresh_until(self, until_ns: int) -> None:
        """Tell how long the policy's images may be acted on; a moving arm is held after that."""
        self._supervisor.fresh_until_ns = until_ns

    def note_buttons(self, buttons: Sequence[int], now_ns: int) -> None:
        """Tell which buttons are held, 1 each; only a deadman cares."""
        if self._supervisor.deadman is not None:
            self._supervisor.deadman.hear(buttons, now_ns)

    def note_driver(self, problem: str) -> None:
        """Tell why the driver cannot follow commands, or with '' that it can."""
        self._supervisor.driver_problem = problem

    def note_driver_speed(self, share: float, now_ns: int) -> None:
        """Tell at which share of its speed the driver moves the arm, 0 to 1."""
        self._clock.set_speed(share, now_ns)
        self._timeline.slow_down(share)
        self._limiter.slow_down(share)  # also what catches up with the actions goes no faster

    def accept(self, chunk: ActionChunk, now_ns: int) -> bool:
        """
        Merge a chunk; returns whether any of it is used.

        One that is late, out of order or older than the last reset is dropped and counted; a
        malformed one holds a running arm.
        """
        supervisor = self._supervisor
        from_rest = supervisor.mode is Mode.RUNNING and not supervisor.engaged
        # A stamp from the future stays as far from now, however slowly the time passes.
        seen_ns = min(chunk.start_ns, now_ns)
        dilated = replace(chunk, start_ns=self._clock.at(seen_ns) + chunk.start_ns - seen_ns)
        try:
            joints = dilated if self._base is None else self._base.joints_of(dilated)
            merged = self._timeline.merge(joints, self._clock.at(now_ns),
                                          self._limiter.positions, from_rest)
        except OutOfOrderError as error:
            self._problem = str(error)
            return False
        except ValueError as error:
            self.refuse_chunk(str(error), now_ns)
            return False
        if merged:
            self._problem = supervisor.check_chunk(joints.actions)
            if self._problem:
                self._flush(now_ns)
                return False
            self._observation_ns = chunk.start_ns
            begin_ns = now_ns if from_rest or self._timeline.restarts else chunk.start_ns
            self._last_due_ns = begin_ns + (len(chunk.actions) - 1) * chunk.step_ns
            if self._base is not None:
                self._base.take(dilated, self._clock.at(now_ns) if from_rest else None)
        return merged

    def plan(self, now_ns: int) -> ActionChunk | None:
        """Return the joint targets that are followed if no chunk comes, or None without any."""
        if not self.follows:
            return None
        start_ns = now_ns - PLAN_PAST_ROWS * PLAN_STEP_NS
        times = [self._clock.at(start_ns + row * PLAN_STEP_NS) for row in range(PLAN_ROWS)]
        rows = self._timeline.plan(times)
        return ActionChunk(start_ns, PLAN_STEP_NS, rows, self._joint_names) if len(rows) else None

    def refuse_chunk(self, problem: str, now_ns: int) -> None:
        """Hold a running arm because of a chunk that cannot be read."""
        self._problem = problem
        self.trip('chunk_invalid', problem, now_ns)

    def tick(self, now_ns: int, state: RobotState | None) -> JointCommand | None:
        """Return the command of this period, or None when nothing is to be sent."""
        supervisor, limiter = self._supervisor, self._limiter
        held, self._hold_at = self._hold_at, None
        if held is not None and supervisor.mode is Mode.DISARMED:
            return JointCommand(now_ns, held, 0.0 * held, base=self._drive(None))
        if supervisor.mode is Mode.DISARMED and not self.moving:
            return None
        if supervisor.mode is Mode.HOLDING and self._lets_go(now_ns, state):
            return None
        if state is not None:
            self._seen = state.positions
        target, stop = None, self._stop()
        if supervisor.mode is Mode.HOLDING:
            target = self._stay_at
        if supervisor.mode is Mode.RUNNING:
            faults = supervisor.faults
            target = self._target(now_ns, state)
            if supervisor.faults != faults:
                self._flush(now_ns)
        positions = limiter.hold() if target is None else limiter.step(target)
        acts = target is not None and supervisor.mode is Mode.RUNNING
        return JointCommand(now_ns, positions, limiter.velocities, limiter.accelerations,
                            self._drive(self._clock.at(now_ns) if acts else None),
                            self._observation_ns if acts else 0, stop)

    def _stop(self) -> StopPath | None:
        """Return a stop that its driver follows alone, or None where every period is told."""
        stops = self._supervisor.mode is Mode.DISARMED and self._follows_alone
        told, self._stop_told = self._stop_told, stops
        if not stops:
            return None
        rows = np.zeros((0, 3, len(self._arm))) if told else self._limiter.stop_path()
        return StopPath(round(self._period_s * 1e9), rows)

    @property
    def _follows_alone(self) -> bool:
        # A driver that is slowed stretches a path, and a base has none.
        return self._coasting.has_tail and self._base is None and self._clock.at_full_speed

    def _drive(self, due_ns: int | None) -> FloatArray | None:
        return None if self._base is None else self._base.step(due_ns)

    def goes_on_from(self, state: RobotState | None) -> FloatArray | None:
        """Return the joints (D,) that a new chunk goes on from: the last command, or the arm."""
        if self._supervisor.engaged:
            return self._limiter.positions
        return None if state is None else state.positions

    def coast(self, periods: int, now_ns: int, state: RobotState | None) -> None:
        """Take up what the arm did in ``periods`` without a command, before the next ``tick``."""
        if not self._stop_told:  # a stop that has been told is followed whatever this side does
            self._coasting.take_up(self._limiter, periods, now_ns, state)

    def _lets_go(self, now_ns: int, state: RobotState | None) -> bool:
        """
        Return whether a hold commands nothing more, as the arm is not where it is held.

        Its driver has stopped it, or it has been moved far away: to go on with the pose would
        throw it back as soon as the driver follows again. It is told once to stay where it
        stands, at the limits of motion, as its driver may follow after all; only the next arm
        takes it up again.
        """
        if self._let_go or self.moving:
            return self._let_go
        if self._stay_at is None:
            self._stay_at = self._place_to_stay(now_ns, state)
        else:
            self._let_go = not self._limiter.gripping
        return self._let_go

    def _place_to_stay(self, now_ns: int, state: RobotState | None) -> FloatArray | None:
        """Return where an arm stands, (D,), that is not where it is held; None for one that is."""
        limiter, supervisor = self._limiter, self._supervisor
        place, away = limiter.positions, 0.0
        if state is not None and supervisor.state_problem(now_ns, state) is None:
            away = np.abs(place - state.positions)[self._arm].max()
            place = state.positions if away > _STAY_RAD else place
        if not supervisor.driver_problem and away <= self._far:
            return None
        return np.where(self._arm, place, limiter.gripper_targets)

    def _target(self, now_ns: int, state: RobotState | None) -> FloatArray | None:
        """Return what the arm should go to, if anything is due and no gate is closed."""
        supervisor = self._supervisor
        limiter = self._limiter
        if not supervisor.check_state(now_ns, state, limiter.positions):
            return None
        assert state is not None
        target = self._timeline.sample(self._clock.at(now_ns))
        # However slowly the arm follows them, actions are not followed past their end: by then
        # a policy that works has sent newer ones.
        if target is None or now_ns > self._last_due_ns:
            supervisor.no_target(now_ns)
            return None
        supervisor.check_stop(limiter.point, limiter.speed, limiter.acceleration_limit,
                              self._period_s)
        # A chunk is joined to where the arm is; at the gate its own distance has to show.
        asked = target if supervisor.engaged else self._timeline.aim(self._clock.at(now_ns))
        assert asked is not None
        may_move = supervisor.mode is Mode.RUNNING and supervisor.check_target(asked, state)
        return target if may_move else None

    def status(self, now_ns: int) -> MotionStatus:
        """Return the state, the reason of a hold and the counters."""
        supervisor, counters = self._supervisor, self._timeline.counters
        waiting = supervisor.mode is Mode.RUNNING and not supervisor.engaged
        return MotionStatus(
            mode=supervisor.mode.value, reason=supervisor.reason,
            detail=supervisor.detail or (self._policy_problem if waiting else ''),
            waiting=waiting,
            problem=self._problem, remaining_s=self._timeline.remaining_s(self._clock.at(now_ns)),
            chunks_merged=counters.merged, chunks_rejected=counters.rejected,
            chunks_discarded=counters.discarded, late_steps=counters.late_steps,
            starved_ticks=supervisor.starved_ticks, clamped_ticks=self._limiter.clamped_ticks,
            faults=supervisor.faults)
