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
Stamped camera frames and joint states, taken as one observation at one common time.

The common time ``T`` is the oldest of the cameras' newest stamps, the newest time at which every
camera has something to say. Each camera gives its frame nearest to ``T`` (at most one period
away), the joints are interpolated linearly to ``T``::

    front   |     |     |     |     |           newest of front
    wrist     |     |     |     |   ^
                                ^   x = too new by more than half a period: the older one is used
    joints  .........................
                                T = newest of wrist, the oldest of the two

Nothing is made up: a stream that is absent, too old or from the future gives a ``Refusal`` that
names it. Used by ``policy_node`` in one thread.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from faster_ros.interfaces import FloatArray, ImageArray, Observation, RobotState
from faster_ros.robot_spec import RobotSpec
import numpy as np

_CLOCK_STEP_NS = 1_000_000_000  # a stamp this far before the last one: the clock was set back
_FUTURE_NS = 100_000_000        # tolerated lead of a sender's clock over ours


@dataclass(frozen=True)
class Refusal:
    """Why there is no observation; ``reason``: missing, stale, future, misaligned or empty."""

    stream: str
    reason: str
    message: str


class CameraStream:
    """The last frames of one camera and the count of its gaps."""

    def __init__(self, rate_hz: float, depth: int = 8) -> None:
        """``rate_hz`` is the nominal rate."""
        self.period_ns = round(1e9 / rate_hz)
        self.frames: deque[tuple[int, ImageArray]] = deque(maxlen=depth)
        self.received = 0
        self.missed = 0
        self.out_of_order = 0

    def add(self, stamp_ns: int, image: ImageArray) -> None:
        """Keep a frame; stamps that jump a period or more count as missed frames."""
        if self.frames:
            step_ns = stamp_ns - self.frames[-1][0]
            if step_ns < -_CLOCK_STEP_NS:
                self.frames.clear()
            elif step_ns <= 0:
                self.out_of_order += 1
                return
            elif step_ns > 1.5 * self.period_ns:
                self.missed += round(step_ns / self.period_ns) - 1
        self.received += 1
        self.frames.append((stamp_ns, image))

    def nearest(self, stamp_ns: int) -> tuple[int, ImageArray]:
        """Return the frame nearest to a time."""
        return min(self.frames, key=lambda frame: abs(frame[0] - stamp_ns))


class ObservationBuffer:
    """Keeps each stream of one robot and takes observations from them; not thread-safe."""

    def __init__(self, spec: RobotSpec) -> None:
        """Make one empty stream per camera of ``spec`` and one for the joints."""
        self._spec = spec
        self._state_topics = ' and '.join(spec.state_topics)
        self.cameras = {name: CameraStream(camera.rate_hz)
                        for name, camera in spec.cameras.items()}
        seconds = max(1.0, 2 * max(camera.max_age_s for camera in spec.cameras.values()))
        self._joints: deque[RobotState] = deque(maxlen=int(seconds * spec.state_rate_hz) + 2)

    def add_image(self, camera: str, stamp_ns: int, image: ImageArray) -> None:
        """Keep one frame, uint8 RGB of shape (height, width, 3)."""
        self.cameras[camera].add(stamp_ns, image)

    def add_state(self, state: RobotState) -> None:
        """Keep one measured state; one that is not newer than the last is ignored."""
        if self._joints:
            step_ns = state.stamp_ns - self._joints[-1].stamp_ns
            if step_ns < -_CLOCK_STEP_NS:
                self._joints.clear()
            elif step_ns <= 0:
                return
        self._joints.append(state)

    def clear(self) -> None:
        """Forget all frames and states; the counters stay."""
        self._joints.clear()
        for stream in self.cameras.values():
            stream.frames.clear()

    def newest_ns(self, stream: str) -> int | None:
        """Return the newest stamp of a camera, or of ``'joints'``, or None."""
        if stream == 'joints':
            return self._joints[-1].stamp_ns if self._joints else None
        frames = self.cameras[stream].frames
        return frames[-1][0] if frames else None

    def is_complete(self, now_ns: int) -> bool:
        """Tell whether the newest frames belong together and are new: a good time to take."""
        newest = [self.newest_ns(name) for name in self.cameras]
        stamps = [stamp for stamp in newest if stamp is not None]
        period_ns = max(stream.period_ns for stream in self.cameras.values())
        return (len(stamps) == len(newest) and max(stamps) - min(stamps) <= period_ns // 2
                and now_ns - min(stamps) <= 2 * period_ns)

    def take(self, now_ns: int, instruction: str) -> Observation | Refusal:
        """Return the observation at the newest common time, or the reason why there is none."""
        if not instruction.strip():
            return Refusal('instruction', 'empty', 'the instruction is empty; expected the task '
                           'in words, such as "pick up the red cube"')
        for name, camera in self._spec.cameras.items():
            refusal = self._check_age(now_ns, name, camera.max_age_s, camera.topic)
            if refusal:
                return refusal
        refusal = self._check_age(now_ns, 'joints', self._spec.state_max_age_s,
                                  (self._joints[-1].topic if self._joints else '')
                                  or self._state_topics)
        if refusal:
            return refusal
        common_ns = min(stream.frames[-1][0] for stream in self.cameras.values())
        images = {}
        for name, stream in self.cameras.items():
            stamp_ns, image = stream.nearest(common_ns)
            if abs(stamp_ns - common_ns) > stream.period_ns:
                return Refusal(name, 'misaligned', f"camera '{name}' has no frame within "
                               f'{stream.period_ns * 1e-6:.0f} ms of the other cameras; nearest '
                               f'is {abs(stamp_ns - common_ns) * 1e-6:.0f} ms away')
            images[name] = image
        positions = self._positions_at(common_ns)
        if positions is None:
            return Refusal('joints', 'misaligned', f'{self._state_topics} has no joint '
                           'states around the time of the images; synchronise the clocks')
        return Observation(common_ns, images, positions, instruction)

    def fresh_until_ns(self) -> int | None:
        """Return when the first camera becomes too old if no image follows, or None."""
        limits = []
        for name, camera in self._spec.cameras.items():
            newest_ns = self.newest_ns(name)
            if newest_ns is None:
                return None
            limits.append(newest_ns + round(camera.max_age_s * 1e9))
        return min(limits)

    def lost_camera(self, now_ns: int) -> str:
        """Return '' or which camera has become older than it may be."""
        for name, camera in self._spec.cameras.items():
            refusal = self._check_age(now_ns, name, camera.max_age_s, camera.topic)
            if refusal is not None and refusal.reason == 'stale':
                return refusal.message
        return ''

    def _check_age(self, now_ns: int, name: str, limit_s: float, topic: str) -> Refusal | None:
        newest_ns = self.newest_ns(name)
        what = f'joint states on {topic}' if name == 'joints' else f"camera '{name}' on {topic}"
        if newest_ns is None:
            return Refusal(name, 'missing', f'{what}: nothing received yet')
        age_ns = now_ns - newest_ns
        if age_ns > limit_s * 1e9:
            return Refusal(name, 'stale', f'{what}: newest is {age_ns * 1e-9:.2f} s old, '
                           f'limit {limit_s:g} s')
        if age_ns < -_FUTURE_NS:
            return Refusal(name, 'future', f'{what}: stamp is {-age_ns * 1e-9:.2f} s in the '
                           'future; synchronise the clocks')
        return None

    def _positions_at(self, stamp_ns: int) -> FloatArray | None:
        """Interpolate; up to two periods past the newest state that state itself is used."""
        states = self._joints
        if stamp_ns >= states[-1].stamp_ns:
            late_s = (stamp_ns - states[-1].stamp_ns) * 1e-9
            return states[-1].positions if late_s <= 2 / self._spec.state_rate_hz else None
        for after, before in zip(reversed(states), list(reversed(states))[1:]):
            if before.stamp_ns <= stamp_ns:
                share = (stamp_ns - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
                return np.asarray((1 - share) * before.positions + share * after.positions)
        return None
