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
RecordingSession: from stamped messages to saved episodes, one after the other.

States::

    idle         nothing is kept
    recording    rows and the raw bag are written as they come
    stopped      the episode is whole; save it, or discard it

Nothing waits for the disk, no buffer grows, and what is lost is counted by stream: gaps in the
stamps of what arrived, images dropped for want of time, messages the bag had no room for. Used by
``recorder_node``; takes the time as an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from faster_ros.data.dataset_spec import (
    ACTION,
    EpisodeFacts,
    IMAGES,
    robot_dataset,
    Source,
    STATE,
)
from faster_ros.data.episode_evidence import BAG, CLOCK_STEP, joint_facts
from faster_ros.data.frame_sampler import FrameSampler
from faster_ros.data.lerobot_writer import DiskSpaceError, LeRobotWriter
from faster_ros.data.raw_bag import RawBag
from faster_ros.data.running_episode import RecordingFailed
from faster_ros.data.stream_meter import CLOCK_SET_NS, StreamMeter
from faster_ros.interfaces import FloatArray, ImageArray
from faster_ros.robot_spec import RobotSpec

IDLE, RECORDING, STOPPED = 'idle', 'recording', 'stopped'
_SLOW = 0.8  # of the rate in the robot file, or of that of the rows where it is lower


@dataclass(frozen=True)
class RecordingPlan:
    """
    What is recorded where.

    ``facts``: of every episode; ``gate``: the truth checks may refuse an episode; ``topics``: of
    the raw bag, name -> type, empty for none. ``policy_leads``: until
    ``set_source`` says another; an episode may then begin before the arm is armed, its first row
    is the first command.
    """

    folder: Path
    fps: int
    facts: Mapping[str, str]
    gate: bool
    topics: Mapping[str, str]
    policy_leads: bool = False


def state_stream(arm: str) -> str:
    """Return what the joint states of an arm are called, which has no name where it is alone."""
    return f'state_{arm}' if arm else 'state'


class RecordingSession:
    """The data set, the running episode and the meters of its streams; not thread-safe."""

    def __init__(self, spec: RobotSpec, plan: RecordingPlan) -> None:
        self._plan = plan
        self._dataset = robot_dataset(spec, plan.fps)
        self._writer = LeRobotWriter(plan.folder, self._dataset, joints=joint_facts(spec))
        rates = {**{state_stream(arm): spec.state_rate_hz for arm in spec.parts},
                 'action': spec.command_rate_hz,
                 **{name: camera.rate_hz for name, camera in spec.cameras.items()}}
        # control_node sends nothing while it is disarmed.
        self.meters = {name: StreamMeter(
            round(1e9 / rate), round(1e9 / _SLOW / min(rate, plan.fps)), pauses=name == 'action')
            for name, rate in rates.items()}
        self._counted: dict[str, float] = {}
        self._now_ns = 0
        self._clock_offset_ns: int | None = None
        # Of a faster camera some images stand in no row on purpose.
        self._even = [name for name, camera in spec.cameras.items() if camera.rate_hz <= plan.fps]
        self._sampler: FrameSampler | None = None
        self._bag: RawBag | None = None
        self._bag_dropped: Counter[str] = Counter()  # of the last bag, also when it is closed
        self._source = Source.POLICY if plan.policy_leads else Source.NOBODY
        self.state, self.outcome, self.reason = IDLE, '', '; '.join(self._writer.notes)

    @property
    def episodes(self) -> int:
        """Return how many episodes are saved."""
        return self._writer.episodes

    @property
    def source(self) -> Source:
        """Return who leads the arm."""
        return self._source

    def start(self, task: str, now_ns: int, facts: Mapping[str, str] | None = None,
              first: Mapping[str, bytes] | None = None) -> None:
        """
        Begin an episode; a stream that is silent, a full disk or no task is an error.

        ``facts``: of this episode, beside those of all. ``first``: messages with which the raw
        bag begins, by topic: what was told once and still holds. After an error no episode runs.
        """
        if self.state != IDLE:
            raise ValueError(f'an episode is {self.state}; save or discard it first')
        if silent := self.silent(now_ns):
            why = [f'; of {name} nothing can be used: {self.meters[name].refusal}'
                   for name in silent if self.meters[name].refusal]
            raise ValueError(f"nothing comes of {', '.join(silent)} (state: joint states, action: "
                             'what control_node sends while it is armed); expected all streams'
                             + ''.join(why))
        known = {**self._plan.facts, **(facts or {})}
        folder = self._writer.begin_episode(EpisodeFacts(task, facts=known))
        try:
            if self._plan.topics:
                self._bag = RawBag(folder / 'raw', self._plan.topics)
        except Exception:
            self._writer.discard_episode()
            raise
        self._bag_dropped = self._bag.dropped if self._bag else Counter()
        self._sampler = FrameSampler(self._dataset)
        self._sampler.set_source(0, self._source)
        for topic, serialised in (first or {}).items():
            self.keep_raw(topic, now_ns, serialised)
        for meter in self.meters.values():
            meter.restart()
        self._counted = {}
        self.state, self.outcome = RECORDING, ''
        self.reason = '; '.join(self._writer.notes)

    def silent(self, now_ns: int) -> list[str]:
        """Return the streams that were not heard for a second, though they should be."""
        return [name for name, meter in self.meters.items() if meter.is_silent(now_ns)
                and not (self._plan.policy_leads and name == 'action')]

    def stop(self, reason: str = '') -> None:
        """
        Take no more rows; ``reason``: why, if nobody asked for it.

        Raises RecordingFailed where the raw bag cannot be finished; the episode is lost then.
        """
        if self.state != RECORDING:
            why = f': {self.reason}' if self.reason else ''
            raise ValueError(f'no episode is recorded (the recorder is {self.state}{why})')
        self._count()
        bag, self._bag = self._bag, None
        try:
            if bag is not None:
                bag.close()
        except Exception as error:  # whatever the bag has failed with
            self._give_up(f'the raw bag cannot be written: {error}')
            raise RecordingFailed(self.reason) from error
        self.state, self.reason = STOPPED, reason

    def save(self, anyway: bool = False) -> int:
        """
        Keep the episode for good; returns its number.

        EpisodeRefused, by the truth checks, leaves it stopped: ``anyway`` keeps it nevertheless.
        """
        if self.state == RECORDING:
            self.stop()
        if self.state != STOPPED:
            raise ValueError(self.reason or 'there is no episode to save; start one')
        try:
            if not self._writer.status.rows:
                raise RecordingFailed('it has no rows, as a stream said nothing')
            number = self._writer.save_episode(
                self.outcome, self._plan.gate and not anyway, self._counted)
        except RecordingFailed as error:
            self._give_up(str(error))
            raise RecordingFailed(self.reason) from error
        self.state, self._sampler, self.reason = IDLE, None, '; '.join(self._writer.notes)
        return number

    def discard(self) -> None:
        """Forget the episode."""
        if self.state == IDLE:
            raise ValueError('there is no episode to discard')
        self._cancel_bag()
        self._writer.discard_episode()
        self.state, self._sampler, self.reason = IDLE, None, ''

    def mark(self, outcome: str) -> None:
        """Say whether the running or stopped episode is a success or a failure."""
        if self.state == IDLE:
            raise ValueError('there is no episode to mark; save comes after it')
        self.outcome = outcome

    def close(self) -> str:
        """
        End; an episode that is neither saved nor discarded becomes a data set of its own.

        Returns where it is, or why what there is of it is only set aside; '' without one.
        """
        told = ''
        try:
            if self.state == RECORDING:
                self.stop()
            if self.state == STOPPED:
                told = ('the episode is neither saved nor discarded; it is a data set of its own: '
                        f'{self._writer.save_aside(self.outcome, self._counted)}')
        except (OSError, ValueError) as error:
            told = f'the episode is set aside: {error}'
        self._writer.close()
        self.state, self._sampler = IDLE, None
        return told

    def add_image(self, camera: str, stamp_ns: int, image: ImageArray, now_ns: int) -> None:
        """Take an image, uint8 RGB (height, width, 3)."""
        self.meters[camera].add(stamp_ns, now_ns)
        if self._sampler is not None and self.state == RECORDING:
            self._sampler.add_image(camera, stamp_ns, image)

    def add_state(self, stamp_ns: int, positions: FloatArray, now_ns: int) -> None:
        """
        Take measured joints (D,); ValueError for others, or for what is not finite.

        Of several arms these are the joints of all; the meter of each is for the caller to feed.
        """
        self._dataset.numbers[STATE].check('state', positions)
        if 'state' in self.meters:
            self.meters['state'].add(stamp_ns, now_ns)
        if self._sampler is not None and self.state == RECORDING:
            self._sampler.add_state(stamp_ns, positions)

    def add_action(self, stamp_ns: int, action: FloatArray, now_ns: int) -> None:
        """Take what was sent, as a row of a chunk; ValueError for what is none, or not finite."""
        self._dataset.numbers[ACTION].check('action', action)
        self.meters['action'].add(stamp_ns, now_ns)
        if self._sampler is not None and self.state == RECORDING:
            self._sampler.add_action(stamp_ns, action)

    def set_source(self, stamp_ns: int, source: Source) -> None:
        """Tell who leads the arm from that time on."""
        self._source = source
        if self._sampler is not None:
            self._sampler.set_source(stamp_ns, source)

    def set_task(self, stamp_ns: int, task: str) -> None:
        """Tell what is to be done from that time on in the running episode."""
        if self._sampler is not None:
            self._sampler.set_task(stamp_ns, task)

    def keep_raw(self, topic: str, now_ns: int, serialised: bytes) -> None:
        """Put a message into the raw bag, if it belongs there."""
        if self._bag is not None and topic in self._plan.topics:
            self._bag.write(topic, now_ns, serialised)

    def advance(self, now_ns: int, steady_ns: int | None = None) -> None:
        """
        Write the rows that can be made.

        A full disk or a row that does not fit stops the episode, a lost encoder, bag or drive
        loses it; ``state`` and ``reason`` say so. ``steady_ns``: the same moment on a clock that
        nobody sets, where it is known: when that of ``now_ns`` is set, the episode stops.
        """
        self._now_ns = now_ns
        if steady_ns is not None:
            self._watch_clock(now_ns - steady_ns)
        if self.state != RECORDING or self._sampler is None:
            return
        try:
            for row in self._sampler.rows(now_ns):
                self._writer.add_frame(row)
            if self._bag is not None and self._bag.failure is not None:
                raise RecordingFailed(f'the raw bag cannot be written: {self._bag.failure}')
        except (DiskSpaceError, ValueError) as error:
            with suppress(RecordingFailed):  # then the reason says why it is lost
                self.stop(f'stopped: {error}')
        except (OSError, RuntimeError) as error:
            self._give_up(str(error))

    def figures(self) -> dict[str, float | int | str]:
        """Return what a person watches while recording, as of the last ``advance``."""
        found: dict[str, float | int | str] = {
            'recording': self.state, 'reason': self.reason, 'outcome': self.outcome,
            'episodes': self.episodes, 'source': self._source.name.lower(),
            'bag_dropped': self._bag_dropped.total()}
        for name, meter in self.meters.items():
            found |= {f'{name}_rate_hz': meter.rate_hz(self._now_ns),
                      f'{name}_delay_s': meter.delay_s, f'{name}_received': meter.received,
                      f'{name}_missed': meter.missed(self._now_ns),
                      f'{name}_refused': meter.refused}
        if self._sampler is not None:
            counts = self._sampler.counts
            found |= {f'{name}_unused': counts[name].unused + counts[name].out_of_order
                      for name in self._even}
        if self.state != IDLE:
            status = self._writer.status
            found |= {'rows': status.rows, 'seconds': status.seconds, 'waiting': status.waiting,
                      'disk_free_gb': status.free_bytes / 1e9}
            found |= {f'{name.removeprefix(IMAGES)}_dropped': count
                      for name, count in status.dropped.items()}
        return found

    def _watch_clock(self, offset_ns: int) -> None:
        """``offset_ns``: how far the clock of all stamps is ahead of one that nobody sets."""
        before_ns, self._clock_offset_ns = self._clock_offset_ns, offset_ns
        if before_ns is None or self.state != RECORDING:
            return
        step_ns = offset_ns - before_ns
        if abs(step_ns) > CLOCK_SET_NS:
            self._counted[CLOCK_STEP] = step_ns * 1e-9
            with suppress(RecordingFailed):  # then the reason says why it is lost
                self.stop(f'stopped: the clock was set by {step_ns * 1e-9:+.3f} s')

    def _count(self) -> None:
        """Keep what the truth checks of the episode want to know beside its rows."""
        for name, meter in self.meters.items():
            if meter.received:
                self._counted |= {f'{name} {key}': value
                                  for key, value in meter.counted(self._now_ns).items()}
        if self._bag is not None:
            self._counted[BAG] = self._bag_dropped.total()

    def _cancel_bag(self) -> None:
        bag, self._bag = self._bag, None
        if bag is not None:
            bag.cancel()

    def _give_up(self, reason: str) -> None:
        """Set the episode aside, which cannot be saved any more."""
        self.state, self._sampler, self.reason = IDLE, None, f'the episode is lost: {reason}'
        self._cancel_bag()
        self.reason += f'; what is there: {self._writer.discard_episode(keep=True)}'
