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
"""The tool stays inside its box: the arm stops in front of the wall, not behind it."""

from faster_ros.interfaces import ActionChunk, RobotState
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.runtime.controller import MotionController
from faster_ros.runtime.workspace import Workspace
from hypothesis import example, given, settings, strategies
import numpy as np
import pytest

FR3 = load_robot_spec('fr3')
HOME = FR3.home_positions
MS = 1_000_000
PLACE = Kinematics(FR3).forward(HOME[:7])[0]


def with_walls(**walls: float) -> RobotSpec:
    return RobotSpec.from_dict(FR3.to_dict() | {'workspace': walls}, 'walls.yaml')


def state(now: int, positions) -> RobotState:
    return RobotState(now, np.array(positions), np.zeros(8))


@pytest.mark.parametrize('axis, place', list(zip('xyz', PLACE)))
def test_a_wall_is_named_with_the_place_of_the_tool(axis, place):
    beyond = Workspace(with_walls(**{f'{axis}_max': place - 0.01})).problem(HOME)
    assert f'fr3_hand_tcp in fr3_link0 at {axis} = {place:.3f} m' in beyond
    assert f'workspace.{axis}_max' in beyond
    assert f'workspace.{axis}_min' in Workspace(
        with_walls(**{f'{axis}_min': place + 0.01})).problem(HOME)
    assert Workspace(with_walls(**{f'{axis}_min': place - 0.01})).problem(HOME) == ''


def test_arming_outside_the_box_is_refused_with_the_reason():
    controller = MotionController(with_walls(z_min=PLACE[2] + 0.1))
    assert controller.arm(10**9, state(10**9, HOME)).startswith('outside_workspace: fr3_hand_tcp')
    assert controller.status(10**9).mode == 'disarmed'


@example(202)  # joints that stop at different times: the tool's path bulges
@example(127)  # one joint brakes while the others speed up
@example(755)  # a step beyond the gate chunk_jump is drawn
@settings(max_examples=20, deadline=None)
@given(strategies.integers(0, 2**32 - 1))
def test_the_tool_stays_in_its_box_whatever_the_chunks_say(seed):
    rng, size = np.random.default_rng(seed), 0.08
    walls = {f'{axis}_{end}': float(place + sign * size) for axis, place in zip('xyz', PLACE)
             for end, sign in (('min', -1), ('max', 1))}
    spec, kinematics = with_walls(**walls), Kinematics(FR3)
    controller, positions, now = MotionController(spec), HOME, 10**9
    assert controller.arm(now, state(now, positions)) == ''
    steps = np.clip(rng.normal(0.0, 0.15, 8), -0.45, 0.45)  # gate chunk_jump: 0.5
    rows = HOME + np.arange(16)[:, None] * steps * (np.arange(8) < 7)
    assert controller.accept(ActionChunk(now, 100 * MS, rows, FR3.joint_names), now)
    for _ in range(200):
        now += 10 * MS
        command = controller.tick(now, state(now, positions))
        positions = command.positions
        place = kinematics.forward(positions[:7])[0]
        assert np.all(np.abs(place - PLACE) <= size + 0.001), place - PLACE
    assert controller.status(now).mode == 'holding'


@pytest.mark.parametrize('walls, message', [
    ({'z_mim': 0.0}, r"'workspace' must be of x_min, .* got 'z_mim'"),
    ({'z_min': 0.5, 'z_max': 0.1}, "'workspace.z_min' must be below 'workspace.z_max', got 0.5"),
    ({'z_min': 'low'}, "'workspace.z_min' must be a plain number"),
])
def test_a_mistake_in_the_walls_is_named(walls, message):
    with pytest.raises(ValueError, match=f'walls.yaml: {message}'):
        with_walls(**walls)
