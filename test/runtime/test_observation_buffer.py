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
"""Observations are taken at one common time, or refused by the name of the stream."""

from faster_ros.interfaces import Observation, RobotState
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.observation_buffer import ObservationBuffer, Refusal
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')
MS = 1_000_000
T0 = 7_000_000_000_000
TASK = 'pick up the red cube'


def image(value: int) -> np.ndarray:
    return np.full((480, 640, 3), value, np.uint8)


def state(ms: float) -> RobotState:
    """Return the state of a robot whose joints read the time in seconds."""
    return RobotState(T0 + round(ms * MS), np.full(8, ms * 1e-3), np.zeros(8))


def filled(front=(0, 33, 67, 100), wrist=(10, 43, 77), joints_until=110) -> ObservationBuffer:
    buffer = ObservationBuffer(SPEC)
    for ms in front:
        buffer.add_image('front', T0 + ms * MS, image(ms % 250))
    for ms in wrist:
        buffer.add_image('wrist', T0 + ms * MS, image(ms % 250))
    for ms in range(0, joints_until + 1, 10):
        buffer.add_state(state(ms))
    return buffer


def take(buffer: ObservationBuffer, ms: float, task: str = TASK):
    return buffer.take(T0 + round(ms * MS), task)


def test_frames_and_joints_come_from_one_common_time():
    observation = take(filled(), 115)
    assert isinstance(observation, Observation)
    assert observation.stamp_ns == T0 + 77 * MS
    assert observation.images['wrist'][0, 0, 0] == 77
    assert observation.images['front'][0, 0, 0] == 67
    np.testing.assert_allclose(observation.positions, 0.077)
    assert observation.instruction == TASK


def test_joints_just_behind_the_images_are_used_as_they_are():
    observation = take(filled(wrist=(10, 43, 77, 101), front=(101,), joints_until=90), 115)
    np.testing.assert_allclose(observation.positions, 0.09)


@pytest.mark.parametrize('buffer, ms, stream, reason, words', [
    (filled(front=()), 115, 'front', 'missing', '/camera_front/color/image_raw: nothing'),
    (filled(wrist=()), 115, 'wrist', 'missing', 'nothing received yet'),
    (filled(joints_until=-10), 115, 'joints', 'missing', '/joint_states'),
    (filled(front=(1000,)), 1050, 'wrist', 'stale', '0.97 s old, limit 0.3 s'),
    (filled(front=(400,), wrist=(400,)), 410, 'joints', 'stale', '0.30 s old, limit 0.2 s'),
    (filled(front=(990,)), 115, 'front', 'future', 'synchronise the clocks'),
    (filled(front=(200,), wrist=(203,)), 205, 'joints', 'misaligned', 'around the time'),
    (filled(front=(-50,), wrist=(-50,)), 50, 'joints', 'misaligned', '/joint_states'),
    (filled(front=(0, 110), wrist=(60,)), 115, 'front', 'misaligned', '50 ms away'),
])
def test_a_refusal_names_the_stream_and_the_figure(buffer, ms, stream, reason, words):
    refusal = take(buffer, ms)
    assert isinstance(refusal, Refusal)
    assert (refusal.stream, refusal.reason) == (stream, reason)
    assert words in refusal.message


@pytest.mark.parametrize('task', ['', '  \n'])
def test_an_empty_instruction_is_refused(task):
    refusal = take(filled(), 115, task)
    assert (refusal.stream, refusal.reason) == ('instruction', 'empty')


def test_gaps_in_camera_stamps_are_counted():
    stream = filled(front=(0, 33, 67, 167, 200, 190)).cameras['front']
    assert (stream.received, stream.missed, stream.out_of_order) == (5, 2, 1)


def test_a_clock_set_back_starts_the_streams_anew():
    buffer = filled()
    for camera in ('front', 'wrist'):
        buffer.add_image(camera, T0 - 5000 * MS, image(1))
    buffer.add_state(state(-5000))
    observation = take(buffer, -4990)
    assert observation.stamp_ns == T0 - 5000 * MS


@pytest.mark.parametrize('front, wrist, ms, complete', [
    (100, 104, 110, True),
    (100, 67, 110, False),  # the wrist's frame of this time is still to come
    (100, 104, 200, False),
])
def test_newest_frames_of_one_time_are_complete(front, wrist, ms, complete):
    buffer = filled(front=(front,), wrist=(wrist,))
    assert buffer.is_complete(T0 + ms * MS) == complete
