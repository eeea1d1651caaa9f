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
Replays a motion through the executor with a slow, uneven and lossy policy; no robot, no clock.

The policy is the motion itself plus what a real one adds: each chunk is off by a constant of its
own, which grows over the first rows, so that neighbouring chunks contradict each other. The same
seed gives the same numbers. Used by ``faster_ros lab``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.action_timeline import ActionTimeline
from faster_ros.runtime.blending import make_rule
from faster_ros.runtime.limiter import Limiter
import numpy as np

Motion = Callable[[FloatArray], FloatArray]  # seconds (T,) -> all joints (T, D)

_SETTLED_S = 1.0  # what comes before is the cold start
_RAMP_ROWS = 6  # over which the offset of a chunk grows
_FASTEST_S = 0.01  # no chunk comes sooner
_START_NS = 1_000_000_000


@dataclass(frozen=True)
class Scenario:
    """
    What the policy does: times in s, ``offset`` in rad (standard deviations).

    The next chunk is asked for when ``request_share`` of a chunk's time is left.
    """

    seconds: float = 60.0
    row_rate_hz: float = 30.0
    rows: int = 30
    latency: float = 0.3
    jitter: float = 0.05
    loss: float = 0.0
    offset: float = 0.02
    request_share: float = 0.5
    command_rate_hz: float = 250.0
    blend: float = 0.25


@dataclass(frozen=True)
class Replay:
    """
    What was commanded: the rule's targets at both rates, and what the limiter made of them.

    ``row_times`` (N,), ``rows`` and ``row_motion`` (N, A) of the A arm joints; ``times`` (T,),
    ``targets``, ``commands`` and ``motion`` (T, A). ``stalled``: share of the rows without a
    target, of all and of those after the first target.
    """

    row_times: FloatArray
    rows: FloatArray
    row_motion: FloatArray
    times: FloatArray
    targets: FloatArray
    commands: FloatArray
    motion: FloatArray
    stalled: float
    stalled_later: float


@dataclass(frozen=True)
class Smoothness:
    """Largest step per row in rad, acceleration in rad/s^2; error against the motion in rad."""

    step: float
    acceleration: float
    rmse: float


def replay(motion: Motion, spec: RobotSpec, rule: str, scenario: Scenario, seed: int) -> Replay:
    """Run one motion through one rule."""
    return _Lab(motion, spec, rule, scenario, seed).run()


class _Lab:
    """The executor and the policy of one replay."""

    def __init__(self, motion: Motion, spec: RobotSpec, rule: str, scenario: Scenario,
                 seed: int) -> None:
        self._motion, self._spec, self._scenario = motion, spec, scenario
        self._rule = make_rule(rule, scenario.blend)
        self._timeline = ActionTimeline(spec, self._rule)
        self._limiter = Limiter(spec, 1.0 / scenario.command_rate_hz)
        self._random = np.random.default_rng(seed)
        self._row_ns = round(1e9 / scenario.row_rate_hz)
        self._arriving: tuple[int, ActionChunk, bool] | None = None
        self._last = motion(np.zeros(1))[0]
        self._limiter.start(self._last)

    def run(self) -> Replay:
        rows: list[FloatArray] = []
        targets: list[FloatArray] = []
        commands: list[FloatArray] = []
        row_times, times, missing = [], [], []
        for now_ns, is_row in self._ticks():
            self._deliver(now_ns)
            if is_row:
                self._request(now_ns)
            target = self._timeline.sample(now_ns)
            if target is not None:
                self._last = target
            if is_row:
                row_times.append(now_ns)
                rows.append(self._last)
                missing.append(target is None)
                continue
            times.append(now_ns)
            targets.append(self._last)
            commands.append(self._limiter.hold() if target is None else
                            self._limiter.step(target))
        arm = self._spec.arm_mask
        first = int(np.argmin(missing))
        row_s, command_s = _seconds(row_times), _seconds(times)
        return Replay(
            row_s, np.array(rows)[:, arm], self._motion(row_s)[:, arm], command_s,
            np.array(targets)[:, arm], np.array(commands)[:, arm],
            self._motion(command_s)[:, arm], float(np.mean(missing)),
            float(np.mean(missing[first:])))

    def _ticks(self) -> Iterator[tuple[int, bool]]:
        """Return the times of commands and of rows, in order; the second is True for a row."""
        end_ns = round(self._scenario.seconds * 1e9)
        command_ns = round(1e9 / self._scenario.command_rate_hz)
        rows = ((_START_NS + time, True) for time in range(0, end_ns, self._row_ns))
        commands = ((_START_NS + time, False) for time in range(0, end_ns, command_ns))
        return iter(sorted([*rows, *commands]))

    def _deliver(self, now_ns: int) -> None:
        if self._arriving is None or now_ns < self._arriving[0]:
            return
        _, chunk, lost = self._arriving
        self._arriving = None
        if not lost:
            self._timeline.merge(chunk, now_ns, self._last)

    def _request(self, now_ns: int) -> None:
        scenario = self._scenario
        left_s = self._timeline.remaining_s(now_ns)
        share = 0.0 if self._rule.waits else scenario.request_share
        if self._arriving is not None or left_s > share * scenario.rows / scenario.row_rate_hz:
            return
        offset = self._random.normal(0.0, scenario.offset, len(self._last))
        latency = max(_FASTEST_S, self._random.normal(scenario.latency, scenario.jitter))
        lost = bool(self._random.random() < scenario.loss)
        count = np.arange(scenario.rows)
        actions = self._motion((now_ns - _START_NS) * 1e-9 + count / scenario.row_rate_hz)
        arm = self._spec.arm_mask
        grown = np.minimum(1.0, (count + 1) / _RAMP_ROWS)[:, None]
        actions += grown * offset * arm
        chunk = ActionChunk(now_ns, self._row_ns, actions, self._spec.joint_names)
        self._arriving = now_ns + round(latency * 1e9), chunk, lost


def _seconds(times_ns: list[int]) -> FloatArray:
    return (np.array(times_ns) - _START_NS) * 1e-9


def smoothness(values: FloatArray, motion: FloatArray, times: FloatArray, row_s: float,
               cold: bool = False) -> Smoothness:
    """
    Return the figures of ``values`` against ``motion``, both (T, A), at even ``times`` (T,).

    What comes in the first second is left out; if ``cold``, nothing else counts.
    """
    keep = times < _SETTLED_S if cold else times >= _SETTLED_S
    values, error, times = values[keep], (values - motion)[keep], times[keep]
    period = float(times[1] - times[0])
    speed = np.diff(values, axis=0) / period
    bend = np.diff(speed, axis=0) / period
    return Smoothness(float(np.abs(speed).max()) * row_s, float(np.abs(bend).max()),
                      float(np.sqrt(np.mean(error**2))))


def figures(replays: list[Replay], scenario: Scenario) -> dict[str, float]:
    """
    Return the means over seeds: stall in percent, steps and errors in rad, rad/s^2.

    ``rows``: the rule's targets at the rate of the rows; ``fine``: at the command rate; ``sent``:
    the limiter's commands; ``cold``: largest acceleration of the rows in the first second.
    """
    row_s = 1.0 / scenario.row_rate_hz
    values: dict[str, list[float]] = {}
    for run in replays:
        parts = {'rows': smoothness(run.rows, run.row_motion, run.row_times, row_s),
                 'fine': smoothness(run.targets, run.motion, run.times, row_s),
                 'sent': smoothness(run.commands, run.motion, run.times, row_s)}
        cold = smoothness(run.rows, run.row_motion, run.row_times, row_s, cold=True)
        found = {'stall': 100 * run.stalled, 'stall_later': 100 * run.stalled_later,
                 'cold_acceleration': cold.acceleration}
        for name, part in parts.items():
            found |= {f'{name}_{key}': value for key, value in asdict(part).items()}
        for key, value in found.items():
            values.setdefault(key, []).append(value)
    return {key: float(np.mean(each)) for key, each in values.items()}


def sines() -> Motion:
    """Return the regression motion: two sines in the first joint, all else at rest at 0."""
    def motion(seconds: FloatArray) -> FloatArray:
        joints = np.zeros((len(seconds), 2))
        joints[:, 0] = (0.6 * np.sin(2 * np.pi * 0.25 * seconds)
                        + 0.2 * np.sin(2 * np.pi * 0.7 * seconds + 1.0))
        return joints
    return motion


def sines_robot(spec: RobotSpec) -> RobotSpec:
    """Return an arm for the motion of ``sines``: the first joint of ``spec`` at full limits."""
    names = spec.joint_names[0], spec.gripper.joint
    return replace(spec, joints={name: spec.joints[name] for name in names},
                   home=dict.fromkeys(names, 0.0), velocity_scale=1.0,
                   acceleration_scale=1.0)
