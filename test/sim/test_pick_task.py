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
"""The simulated arm, the task ``pick`` and its expert."""


from faster_ros.interfaces import ActionChunk
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.expert import PickExpert
from faster_ros.sim.pick_episodes import PickCollector, PickSettings
from faster_ros.sim.pick_trials import Execution, PickTrials
from faster_ros.sim.simulator import CameraRenderer, Simulator, TEST_SEED_START
from faster_ros.sim.tasks import CUBE_COLOURS
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')


@pytest.fixture(scope='module')
def simulator():
    """Return one simulator for all tests."""
    return Simulator(SPEC)


def test_the_simulated_arm_has_the_kinematics_of_the_urdf(simulator):
    kinematics, rng = Kinematics(SPEC), np.random.default_rng(0)
    for _ in range(10):
        joints = rng.uniform(SPEC.limit_array('lower'), SPEC.limit_array('upper'))
        simulator.place_arm(joints)
        position, rotation = kinematics.forward(joints[:-1])
        tool = simulator.data.body('fr3_hand_tcp')
        np.testing.assert_allclose(tool.xpos, position, atol=1e-6)
        np.testing.assert_allclose(tool.xmat.reshape(3, 3), rotation, atol=1e-6)


def test_the_same_seed_gives_the_same_layout_and_other_seeds_others(simulator):
    layouts = []
    for seed in (3, 4, 3):
        layout = simulator.reset(seed)
        layouts.append((layout, simulator.data.qpos.copy()))
    assert layouts[0][0] == layouts[2][0]
    assert np.array_equal(layouts[0][1], layouts[2][1])
    assert not np.array_equal(layouts[0][1], layouts[1][1])
    colours = {simulator.reset(seed).colours[0] for seed in range(30)}
    assert colours == set(CUBE_COLOURS)


def test_the_arm_follows_a_moving_set_point_and_holds_against_gravity(simulator):
    simulator.reset(0)
    start, _ = simulator.state()
    speed = np.array([0.4, -0.3, 0.2, 0.3, 0.2, -0.2, 0.5, 0.0])
    for step in range(1, 126):
        simulator.advance(start + speed * step * simulator.timestep_s, speed)
    positions, velocities = simulator.state()
    np.testing.assert_allclose(positions, start + speed * 0.5, atol=0.01)
    np.testing.assert_allclose(velocities[:-1], speed[:-1], atol=0.02)
    for _ in range(250):
        simulator.advance(positions, np.zeros(8))
    np.testing.assert_allclose(simulator.state()[0], positions, atol=0.003)


def test_the_cameras_see_the_cubes_in_their_colours(simulator):
    simulator.reset(5)
    renderer = CameraRenderer(simulator, 160, 120)
    for camera in SPEC.cameras:
        image = renderer.render(camera, simulator.data).astype(int)
        assert image.shape == (120, 160, 3)
        red, green, blue = np.moveaxis(image, 2, 0)
        assert ((red - green > 80) & (red - blue > 80)).sum() > 10
        assert ((blue - red > 60) & (blue - green > 60)).sum() > 10
    renderer.close()


def test_the_expert_picks_the_told_cube_through_the_motion_controller():
    trials = PickTrials(SPEC, None)
    expert = PickExpert(SPEC, 0.1)

    def infer(observation):
        actions = expert.plan(trials.simulator, 16)
        return ActionChunk(observation.stamp_ns, 100_000_000, actions, SPEC.joint_names)

    results = [trials.run(TEST_SEED_START + index, infer) for index in range(10)]
    assert [result.success for result in results] == [True] * 10
    assert not any(result.wrong_lifted or result.fault for result in results)


def test_synchronous_execution_moves_although_all_rows_are_past_when_a_chunk_arrives():
    trials = PickTrials(SPEC, None, Execution(delay_s=0.5, merge='synchronous', horizon=3))
    expert = PickExpert(SPEC, 0.1)
    trial = trials.run(TEST_SEED_START, lambda observation: ActionChunk(
        observation.stamp_ns, 100_000_000, expert.plan(trials.simulator, 16), SPEC.joint_names))
    assert trial.fault == ''
    assert trial.success


def test_a_trial_ends_with_the_reason_when_the_policy_answers_rubbish():
    trials = PickTrials(SPEC, None)

    def infer(observation):
        return ActionChunk(observation.stamp_ns, 100_000_000, np.full((16, 8), np.nan),
                           SPEC.joint_names)

    result = trials.run(TEST_SEED_START, infer)
    assert not result.success
    assert 'chunk_invalid' in result.fault


def test_disturbed_episodes_are_labelled_from_every_state_they_reach():
    collector = PickCollector(SPEC, PickSettings(image_width=32, image_height=24))
    ended_well = 0
    for seed in range(6):
        steps = list(collector.episode(seed))
        ended_well += steps[-1].success
        for step in steps:
            assert step.images.shape == (2, 24, 32, 3)
            assert step.actions.shape == (16, 8)
            assert np.isfinite(step.actions).all()
            np.testing.assert_array_equal(step.actions[0, :-1], step.positions[:-1])
            speed = np.abs(np.diff(step.actions[:, :-1], axis=0)) / 0.1
            assert speed.max() < 1.01
    assert ended_well >= 3
