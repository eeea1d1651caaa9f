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
"""A lost camera is a problem at its age, also while the policy is busy with an older image."""

from faster_ros.interfaces import RobotState
from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.policy_session import PolicySession
import numpy as np

SPEC = load_robot_spec('fr3')
MS = 1_000_000
T0 = 9_000_000_000_000
IMAGE = np.zeros((1, 1, 3), np.uint8)


def session_with_images() -> PolicySession:
    session = PolicySession(SPEC, 3)
    session.instruction = 'pick up the red cube'
    session.buffer.add_state(RobotState(T0, SPEC.home_positions, np.zeros(8)))
    for camera in SPEC.cameras:
        session.buffer.add_image(camera, T0, IMAGE)
    return session


def test_a_lost_camera_is_told_once_and_at_its_age():
    session = session_with_images()
    assert not session.watch(T0 + 300 * MS)
    assert session.watch(T0 + 301 * MS)
    assert "camera 'front' on /camera_front/color/image_raw: newest is 0.30 s" in session.problem
    assert not session.watch(T0 + 306 * MS)


def test_a_camera_that_is_back_ends_the_problem_with_the_next_request():
    session = session_with_images()
    session.watch(T0 + 400 * MS)
    for camera in SPEC.cameras:
        session.buffer.add_image(camera, T0 + 410 * MS, IMAGE)
    session.buffer.add_state(RobotState(T0 + 410 * MS, SPEC.home_positions, np.zeros(8)))
    session.request(T0 + 415 * MS)
    assert session.problem == ''


def test_a_camera_that_has_not_come_yet_is_no_loss():
    session = session_with_images()
    session.buffer.clear()
    assert not session.watch(T0 + 1000 * MS)
    assert session.problem == ''
