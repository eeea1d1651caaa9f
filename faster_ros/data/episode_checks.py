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
Truth checks of one episode: whether what it says can have been, and whether all of it is there.

They look at the rows, and at what the recorder counted beside them and stored: rows are paired by
stamps, so that neither a clock that is wrong nor what never came can be seen in them alone. A
saved episode gives the same findings as when it was saved. A finding flags the episode, or refuses
it where a policy that learned from it would learn a lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
import json

from faster_ros.data.dataset_spec import ACTION, STAMP, STATE, TICK
from faster_ros.data.episode_evidence import (
    BAG,
    CLOCK_STEP,
    DROPPED,
    EpisodeEvidence,
    JointFacts,
)
from faster_ros.interfaces import FloatArray
import numpy as np
from numpy.typing import NDArray

_MOVED = 0.02  # rad or m that count as motion of an arm
_SEEN = 0.05  # rad or m: smaller motion may be in no image
_STILL = 1e-6
_SAME_IMAGE = 0.05  # grey levels: less than the noise of a camera, more than that of a codec
_STREAMS = ('state', 'action')


@dataclass(frozen=True)
class CheckLimits:
    """
    From where on a finding is one; times in s.

    ``gap`` and ``lost`` are pauses of a stream: flagged and refused. ``age`` is that of a value
    when its row was made, and the longest that its message may travel; ``future``: how much later
    than it is heard a value may be stamped. ``skew`` between cameras is compared with its 95th
    percentile. ``missed`` and ``too_many`` are shares of messages that did not come: flagged and
    refused; other shares are of rows. ``velocity_margin`` is on top of the joint's own limit.
    """

    shortest: float = 1.0
    gap: float = 0.2
    lost: float = 1.0
    age: float = 0.3
    future: float = 0.02
    skew: float = 0.05
    dropped: float = 0.001
    missed: float = 0.001
    too_many: float = 0.1
    frozen: float = 1.0
    velocity_margin: float = 1.5
    at_limit: float = 0.05
    chatter_hz: float = 3.0


@dataclass(frozen=True)
class Finding:
    """Something that is wrong; ``refuses``: the episode should not be used at all."""

    check: str
    message: str
    refuses: bool = False


@dataclass(frozen=True)
class EpisodeReport:
    """The findings, and ``figures`` for a page: rates, gaps, ages, skew."""

    findings: tuple[Finding, ...]
    figures: Mapping[str, float]

    @property
    def refused(self) -> bool:
        """Return whether the episode should not be used."""
        return any(finding.refuses for finding in self.findings)

    @property
    def verdict(self) -> str:
        """Return good, flagged or refused."""
        return 'refused' if self.refused else 'flagged' if self.findings else 'good'

    def to_json(self) -> str:
        """Return the report as one line."""
        return json.dumps({'findings': [asdict(finding) for finding in self.findings],
                           'figures': dict(self.figures)})


def check_episode(evidence: EpisodeEvidence, limits: CheckLimits | None = None) -> EpisodeReport:
    """Judge an episode."""
    limits = limits or CheckLimits()
    findings = [*_length(evidence, limits), *_motion(evidence, limits)]
    figures: dict[str, float] = {'seconds': evidence.rows / evidence.fps, **evidence.counted}
    if TICK in evidence.columns:
        findings += _ticks(evidence)
        for stream in evidence.streams:
            found, measured = _stream(evidence, stream, limits)
            findings += found
            figures |= measured
        findings += [*_skew(evidence, limits, figures), *_frozen_images(evidence, limits),
                     *_clocks(evidence, limits), *_losses(evidence, limits, figures)]
    findings += [
        Finding('dropped', f'{name.removesuffix(DROPPED)}: {count} of {evidence.rows} images were '
                'dropped while recording', count > 0.05 * evidence.rows)
        for name, count in evidence.counted.items()
        if name.endswith(DROPPED) and name != BAG and count > limits.dropped * evidence.rows]
    if lost := evidence.counted.get(BAG):
        findings.append(Finding('dropped', f'the raw bag had no room for {lost} messages'))
    return EpisodeReport(tuple(findings), figures)


def _length(evidence: EpisodeEvidence, limits: CheckLimits) -> Iterator[Finding]:
    seconds = evidence.rows / evidence.fps
    if seconds < limits.shortest:
        yield Finding('too_short', f'{seconds:.2f} s, shorter than {limits.shortest:g} s', True)


def _ticks(evidence: EpisodeEvidence) -> Iterator[Finding]:
    steps = np.diff(evidence.columns[TICK].reshape(-1)) / 1e9
    wrong = np.flatnonzero(np.abs(steps - 1 / evidence.fps) > 1e-3 / evidence.fps + 2e-9)
    if len(wrong):
        yield Finding('clock_step', f'row {wrong[0] + 1} comes {steps[wrong[0]]:.3f} s after the '
                      f'row before it, at {evidence.fps} rows per s', True)


def _stream(evidence: EpisodeEvidence, stream: str,
            limits: CheckLimits) -> tuple[list[Finding], dict[str, float]]:
    """Return what the stamps of one stream tell: rate, gaps, and its clock."""
    stamps = evidence.stamps(stream)
    ages = _ages(evidence, stamps)
    steps = np.diff(stamps[np.append(True, np.diff(stamps) != 0)])
    findings = []
    gap = max(float(steps.max(initial=0)), float(ages.max()) - float(np.median(ages)))
    if gap > limits.gap:
        findings.append(Finding('gap', f'{stream} pauses for {gap:.2f} s', gap > limits.lost))
    age = float(np.median(ages))
    if age > limits.age:
        findings.append(Finding('clock_offset', f'{stream} is {age:.3f} s old when its row is '
                                f'made: is its clock set?'))
    rate = 1 / float(np.median(steps)) if len(steps) else 0.0
    return findings, {f'{stream} rate_hz': rate, f'{stream} gap_s': gap, f'{stream} age_s': age}


def _ages(evidence: EpisodeEvidence, stamps: FloatArray) -> FloatArray:
    ticks = evidence.columns[TICK].reshape(-1)
    ages: FloatArray = (ticks - ticks[0]) / 1e9 - stamps
    return ages


def _clocks(evidence: EpisodeEvidence, limits: CheckLimits) -> Iterator[Finding]:
    """Compare the stamps of streams with the times at which they were heard."""
    counted = evidence.counted
    if step := counted.get(CLOCK_STEP, 0.0):
        yield Finding('clock_step', f'the clock was set by {step:+.3f} s', True)
    for stream in evidence.counted_streams:
        if count := counted.get(f'{stream} backwards', 0):
            yield Finding('backwards', f'the stamps of {stream} go back, {count} times', True)
        delay = counted.get(f'{stream} least_delay_s', 0.0)
        if delay < -limits.future:
            yield Finding('clock_offset', f'{stream} is stamped up to {-delay:.3f} s later than '
                          'it is heard: is its clock set?')
        elif delay > limits.age:
            yield Finding('clock_offset', f'{stream} is heard {delay:.3f} s after its stamp at '
                          'the soonest: is its clock set?')


def _losses(evidence: EpisodeEvidence, limits: CheckLimits,
            figures: Mapping[str, float]) -> Iterator[Finding]:
    """
    Judge what did not come, by what rows lack for it.

    Of a stream that is faster than the rows some may be lost without harm, and of one that is not
    quite in step with them a row repeats a value though none is lost: less of both counts. A
    stream that is slow all the time loses nothing.
    """
    for stream in evidence.counted_streams:
        rows = stream if f'{STAMP}{stream}' in evidence.columns else 'state'
        missed, received, slow, nominal = (evidence.counted[f'{stream} {key}'] for key in (
            'missed', 'received', 'slow', 'nominal_hz'))
        repeated = 1 - len(np.unique(evidence.stamps(rows))) / evidence.rows
        lost = min(missed / (missed + received), repeated)
        if slow > 0.5 * received:
            yield Finding('rate', f"{stream} comes at {figures[f'{rows} rate_hz']:.1f} Hz, the "
                          f'robot file says {nominal:g}')
        elif lost > limits.missed:
            yield Finding('missed', f'{missed} of {missed + received} messages of {stream} did '
                          f'not come, {repeated:.1%} of the rows repeat the one before',
                          lost > limits.too_many)


def _skew(evidence: EpisodeEvidence, limits: CheckLimits,
          figures: dict[str, float]) -> Iterator[Finding]:
    cameras = [name for name in evidence.streams if name not in _STREAMS]
    if len(cameras) < 2:
        return
    stamps = np.stack([evidence.stamps(name) for name in cameras])
    skew = figures['skew_p95_s'] = float(np.quantile(np.ptp(stamps, axis=0), 0.95))
    if skew > limits.skew:
        yield Finding('skew', f"{', '.join(cameras)} are {skew * 1e3:.0f} ms apart in 5 % of the "
                      'rows')


def _frozen_images(evidence: EpisodeEvidence, limits: CheckLimits) -> Iterator[Finding]:
    """Find runs of new images that are all the same while the arm moves."""
    state = np.delete(evidence.columns[STATE], evidence.grippers(STATE), axis=1)
    for camera, changes in evidence.changes.items():
        stream = camera.rpartition('.')[2]
        if f'{STAMP}{stream}' not in evidence.columns:
            continue
        new = 1 + np.flatnonzero(np.diff(evidence.stamps(stream)))  # with an image of its own
        same = np.asarray(changes)[new - 1] < _SAME_IMAGE
        for first, last in _runs(same):
            rows = slice(int(new[first]) - 1, int(new[last - 1]) + 1)
            seconds = (rows.stop - rows.start) / evidence.fps
            if seconds >= limits.frozen and np.ptp(state[rows], axis=0).max(initial=0.0) > _SEEN:
                yield Finding('frozen_image', f'{stream} shows the same image for {seconds:.1f} s '
                              f'from {rows.start / evidence.fps:.1f} s on while the arm moves',
                              True)


def _motion(evidence: EpisodeEvidence, limits: CheckLimits) -> Iterator[Finding]:
    """Judge state and action, whichever there are."""
    state, action = evidence.columns.get(STATE), evidence.columns.get(ACTION)
    moving = [values for values in (state, action) if values is not None]
    if moving and all(np.ptp(values, axis=0).max() < _MOVED / 2 for values in moving):
        yield Finding('idle', 'nothing moves in the whole episode', True)
    if state is not None and action is not None and state.shape == action.shape:
        yield from _frozen_joints(evidence, state, action, limits)
    for feature, values in ((STATE, state), (ACTION, action)):
        if values is not None and len(values) > 2:
            yield from _jumps(evidence, feature, values, limits)
    if state is not None and evidence.joints is not None:
        yield from _limit_hits(evidence, state, evidence.joints, limits)
    if action is not None:
        yield from _chatter(evidence, action, limits)


def _frozen_joints(evidence: EpisodeEvidence, state: FloatArray, action: FloatArray,
                   limits: CheckLimits) -> Iterator[Finding]:
    for column, name in enumerate(evidence.names.get(STATE, ())):
        for first, last in _runs(np.diff(state[:, column]) == 0):
            seconds = (last - first) / evidence.fps
            asked = float(np.ptp(action[first:last + 1, column]))
            gripper = column in evidence.grippers(STATE)
            if seconds >= limits.frozen and asked > _MOVED and not gripper:
                yield Finding('frozen_joint', f'{name} is measured as {state[first, column]:g} '
                              f'for {seconds:.1f} s from {first / evidence.fps:.1f} s on while '
                              f'its command moves by {asked:.3f}', True)


def _jumps(evidence: EpisodeEvidence, feature: str, values: FloatArray,
           limits: CheckLimits) -> Iterator[Finding]:
    steps = np.abs(np.diff(values, axis=0))
    if evidence.joints is not None and values.shape[1] == len(evidence.joints.velocity):
        most = evidence.joints.velocity * limits.velocity_margin / evidence.fps
    else:
        most = np.maximum(20 * np.quantile(steps, 0.95, axis=0), 0.1)
    beyond = steps > most
    for column in np.flatnonzero(beyond.any(0)).tolist():
        if column in evidence.grippers(feature):
            continue  # a gripper's command is open or shut
        row = int(beyond[:, column].argmax())
        what = f"{feature.rpartition('.')[2]} {evidence.name(feature, column)}"
        yield Finding('jump', f'{what} moves by {steps[row, column]:.3f} from row {row} to '
                      f'{row + 1}, {beyond[:, column].sum()} such steps')


def _limit_hits(evidence: EpisodeEvidence, state: FloatArray, joints: JointFacts,
                limits: CheckLimits) -> Iterator[Finding]:
    near = 0.005 * (joints.upper - joints.lower)
    share = ((state < joints.lower + near) | (state > joints.upper - near)).mean(0)
    for column in np.flatnonzero(share > limits.at_limit).tolist():
        if column not in joints.grippers:
            yield Finding('at_limit', f'{evidence.name(STATE, column)} is at its limit in '
                          f'{share[column]:.0%} of the rows')


def _chatter(evidence: EpisodeEvidence, action: FloatArray,
             limits: CheckLimits) -> Iterator[Finding]:
    for column in evidence.grippers(ACTION):
        reach = float(np.ptp(action[:, column]))
        directions = np.sign(np.diff(action[:, column])) * (
            np.abs(np.diff(action[:, column])) > 0.05 * reach)
        turns = np.count_nonzero(np.diff(directions[directions != 0]))
        rate = turns * evidence.fps / evidence.rows
        if reach > _STILL and rate > limits.chatter_hz:
            yield Finding('chatter', f'{evidence.name(ACTION, column)} turns {rate:.1f} times a '
                          'second')


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, end) of the runs of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2])]
