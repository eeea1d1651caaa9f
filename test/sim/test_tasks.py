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
"""The tasks beside ``pick``, their expert and predicate, and the variants of the world."""

from faster_ros.bringup import DEMO_ARGUMENTS, demo_graph
from faster_ros.interfaces import ActionChunk
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.expert import PickExpert
from faster_ros.sim.pick_trials import PickTrials
from faster_ros.sim.scene import BIN_PLACE
from faster_ros.sim.simulator import Simulator, TEST_SEED_START
from faster_ros.sim.tasks import task_named, TASKS, VARIANTS
from faster_ros.sim.workspace import CUBE_AREA
import mujoco
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')


def put(simulator, colour, place):
    """Put a cube somewhere."""
    simulator.data.joint(f'cube_{colour}').qpos[:3] = place
    mujoco.mj_forward(simulator.model, simulator.data)


@pytest.fixture(scope='module')
def two():
    """Return the simulator of the long task."""
    return Simulator(SPEC, TASKS['bin_two'])


@pytest.mark.parametrize('task', TASKS)
def test_the_expert_does_the_task_through_the_motion_controller(task):
    trials = PickTrials(SPEC, None, None, TASKS[task])
    expert = PickExpert(SPEC, 0.1, TASKS[task])

    def infer(observation):
        actions = expert.plan(trials.simulator, 16)
        return ActionChunk(observation.stamp_ns, 100_000_000, actions, SPEC.joint_names)

    results = [trials.run(TEST_SEED_START + index, infer) for index in range(2)]
    assert [(result.success, result.wrong_lifted, result.fault) for result in results] == [
        (True, False, '')] * 2


@pytest.mark.parametrize('task', TASKS)
def test_the_layouts_of_a_seed_are_those_of_pick_but_for_what_is_told(task):
    pick, other = Simulator(SPEC), Simulator(SPEC, TASKS[task])
    for seed in (3, TEST_SEED_START):
        first, second = pick.reset(seed), other.reset(seed)
        np.testing.assert_array_equal(pick.data.qpos, other.data.qpos)
        assert second.colours[0] == first.colours[0]
        assert len(set(second.colours)) == TASKS[task].cubes


def test_a_task_is_told_in_words():
    assert TASKS['pick'].instruction(['red']) == 'pick up the red cube'
    assert TASKS['bin_two'].instruction(['blue', 'red']) == (
        'put the blue cube and then the red cube into the bin')
    with pytest.raises(ValueError, match="task 'fold' is unknown; expected one of pick, bin"):
        task_named('fold')


def test_success_is_every_told_cube_in_the_bin_and_the_next_one_is_due_until_then(two):
    first, second = two.reset(TEST_SEED_START).colours
    assert (two.target, two.succeeded()) == (first, False)
    put(two, first, (*BIN_PLACE, 0.02))
    assert (two.target, two.succeeded()) == (second, False)
    put(two, second, (*BIN_PLACE, 0.15))  # still held over it
    assert not two.succeeded()
    put(two, second, (*BIN_PLACE, 0.06))  # on top of the other
    assert two.succeeded()


def test_lifting_the_second_cube_before_the_first_is_in_the_bin_is_wrong(two):
    first, second = two.reset(TEST_SEED_START).colours
    put(two, second, (0.5, 0.0, 0.1))
    assert two.wrong_lifted()
    put(two, first, (*BIN_PLACE, 0.02))
    assert not two.wrong_lifted()


def test_the_expert_leaves_a_cube_alone_that_lies_in_the_bin():
    expert = PickExpert(SPEC, 0.1, TASKS['bin'])
    lying = np.array([[BIN_PLACE[0], BIN_PLACE[1] - 0.07, 0.02]])
    plan = expert.plan_from(SPEC.home_positions, lying, 16)
    assert (plan[1:, -1] == SPEC.gripper.open).all()


def test_a_bin_needs_a_robot_with_one_arm():
    with pytest.raises(ValueError, match='task bin needs a robot with one arm, got cobot_magic'):
        Simulator(load_robot_spec('cobot_magic'), TASKS['bin'])


@pytest.mark.parametrize('variant', VARIANTS)
def test_a_variant_keeps_the_layout_of_a_seed_or_moves_the_cubes_out_of_the_area(variant):
    trained, simulator = Simulator(SPEC), Simulator(SPEC, variant=VARIANTS[variant])
    low, high = CUBE_AREA[0]
    for seed in range(TEST_SEED_START, TEST_SEED_START + 5):
        layouts = trained.reset(seed), simulator.reset(seed)
        x, y, _ = simulator.cube_position(simulator.target)
        if variant == 'positions':
            assert low - 0.05 <= x < low or high < x <= high + 0.05
        else:
            assert layouts[0] == layouts[1]
            np.testing.assert_allclose((x, y), trained.cube_position(trained.target)[:2])


def test_what_a_variant_changes_is_in_the_scene():
    distractors = Simulator(SPEC, variant=VARIANTS['distractors'])
    distractors.reset(0)
    assert 0.38 < distractors.cube_position('yellow')[0] < 0.62
    camera = Simulator(SPEC, variant=VARIANTS['camera']).model.camera('front')
    np.testing.assert_allclose(camera.pos, [1.25, 0.08, 0.67])
    red = Simulator(SPEC, variant=VARIANTS['shades']).model.body('cube_red').geomadr[0]
    assert Simulator(SPEC).model.geom_rgba[red].tolist() != VARIANTS['shades'].colours['red']


def test_the_demo_takes_the_names_of_the_tasks_and_the_expert_leads_what_no_policy_knows(tmp_path):
    argument = next(argument for argument in DEMO_ARGUMENTS if argument.name == 'task')
    assert argument.choices == tuple(TASKS)
    graph = demo_graph(task='bin', out=str(tmp_path))
    assert [process.name for process in graph] == [
        'sim_node', 'expert_node', 'control_node', 'demo_node']
    assert [process.parameters['task'] for process in graph[:2]] == ['bin', 'bin']
    assert 'policy_node' in [process.name for process in demo_graph(out=str(tmp_path))]
