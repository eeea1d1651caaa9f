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
"""The arm moves only as long as the policy vouches for its images, if it does that at all."""

from faster_ros.runtime.observation_buffer import ObservationBuffer
import numpy as np
from perfect_arm import Arm, chunk, MS, running, SPEC, T0
import pytest


def vouched(until_ms: float) -> Arm:
    """Return an arm that follows chunks at 300 ms, of which the images count until then."""
    arm = running()
    arm.controller.note_fresh_until(T0 + round(until_ms * MS))
    return arm


@pytest.mark.parametrize('speed', [1.0, 0.3])
def test_the_first_command_after_the_time_brakes_however_slowly_the_driver_moves(speed):
    arm = vouched(500)
    arm.controller.note_driver_speed(speed, T0 + arm.ms * MS)
    arm.run(200)
    assert arm.status.mode == 'running'
    arm.run(10)
    assert (arm.status.mode, arm.status.reason) == ('holding', 'images_stale')
    assert 'policy/fresh_until has passed by 0.010 s: a camera is lost' in arm.status.detail
    speeds = np.diff(arm.commands, axis=0)[:, 0]
    assert speeds[-1] < speeds[-2]


def test_a_policy_that_goes_on_to_vouch_is_followed():
    arm = vouched(500)
    for _ in range(50):
        arm.controller.note_fresh_until(T0 + (arm.ms + 300) * MS)
        arm.run(10)
    assert arm.status.mode == 'running'


def test_a_policy_that_does_not_vouch_is_followed_after_one_that_did():
    arm = vouched(310)
    arm.run(600)
    assert arm.status.reason == 'images_stale'
    assert arm.arm() == ''
    assert arm.accept(chunk(arm.ms, offset=arm.positions[0] - arm.commands[0][0]))
    arm.run(500)
    assert (arm.status.mode, arm.status.waiting) == ('running', False)


def test_an_arm_that_waits_for_its_first_chunk_is_not_held():
    arm = Arm()
    assert arm.arm() == ''
    arm.controller.note_fresh_until(T0)
    arm.run(1000)
    assert (arm.status.mode, arm.status.waiting) == ('running', True)


@pytest.mark.parametrize('ahead_ms, mode', [(399, 'running'), (450, 'holding'), (1e9, 'holding')])
def test_a_time_too_far_ahead_to_come_from_an_image_holds(ahead_ms, mode):
    arm = vouched(300 + ahead_ms)
    arm.run(10)
    assert arm.status.mode == mode
    if mode == 'holding':
        assert arm.status.reason == 'images_stale'
        assert 's ahead; expected at most 0.4 s; synchronise the clocks' in arm.status.detail


def test_a_clock_that_is_set_back_holds():
    arm = vouched(600)
    arm.controller.tick(T0 - 5000 * MS, None)
    assert arm.status.mode == 'holding'


def test_the_policy_names_the_camera_once_for_the_hold_that_it_was_late_for():
    arm = vouched(310)
    arm.run(20)
    assert arm.status.reason == 'images_stale'
    for problem in ("camera 'front' is stale", '', 'the instruction is empty'):
        arm.controller.note_policy_problem(problem, T0 + arm.ms * MS)
        assert arm.status.detail == "camera 'front' is stale"
    assert arm.status.reason == 'images_stale'


def test_the_images_count_until_the_first_camera_is_too_old():
    buffer = ObservationBuffer(SPEC)
    image = np.zeros((1, 1, 3), np.uint8)
    buffer.add_image('front', T0, image)
    assert buffer.fresh_until_ns() is None
    buffer.add_image('wrist', T0 + 20 * MS, image)
    assert buffer.fresh_until_ns() == T0 + 300 * MS
    buffer.add_image('front', T0 + 30 * MS, image)
    assert buffer.fresh_until_ns() == T0 + 320 * MS
    assert buffer.lost_camera(T0 + 320 * MS) == ''
    assert "camera 'wrist'" in buffer.lost_camera(T0 + 320 * MS + 1)
    buffer.clear()
    assert buffer.fresh_until_ns() is None
