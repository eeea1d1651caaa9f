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
"""Each arm in simulation: its scene, its reach, its gripper, and the expert that picks with it."""

from faster_ros.interfaces import ActionChunk
from faster_ros.kinematics import Kinematics
from faster_ros.robot_spec import config_path, load_robot_spec
from faster_ros.sim.expert import PickExpert
from faster_ros.sim.hand import hand_of
from faster_ros.sim.pick_trials import PickTrials
from faster_ros.sim.simulator import Simulator, TEST_SEED_START
import numpy as np
import pytest

ARMS = ('panda', 'ur3e', 'ur5e', 'ur10e', 'ur16e', 'ur20', 'piper', 'cobot_magic_mobile')


@pytest.fixture(scope='module')
def fr3():
    """Return the FR3's simulator."""
    return Simulator(load_robot_spec('fr3'))


@pytest.mark.parametrize('robot', ARMS)
def test_the_simulated_arm_has_the_kinematics_of_the_urdf(robot):
    spec = load_robot_spec(robot)
    simulator = Simulator(spec)
    arms = [(arm, Kinematics(arm.spec)) for arm in simulator.arms]
    rng = np.random.default_rng(0)
    for _ in range(5):
        joints = rng.uniform(spec.limit_array('lower'), spec.limit_array('upper'))
        simulator.place_arm(joints)
        np.testing.assert_allclose(simulator.state()[0], joints, atol=1e-9)
        for arm, kinematics in arms:
            position, rotation = kinematics.forward(joints[arm.part][:-1])
            tool = simulator.data.body(arm.spec.tool_frame)
            np.testing.assert_allclose(arm.from_world(tool.xpos), position, atol=1e-5)
            np.testing.assert_allclose(arm.axes.T @ tool.xmat.reshape(3, 3), rotation, atol=1e-5)


@pytest.mark.parametrize('robot', ARMS)
def test_the_expert_picks_the_told_cube_through_the_motion_controller(robot):
    spec = load_robot_spec(robot)
    trials, expert = PickTrials(spec, None), PickExpert(spec, 0.1)

    def infer(observation):
        actions = expert.plan(trials.simulator, 16)
        return ActionChunk(observation.stamp_ns, 100_000_000, actions, spec.action_names)

    result = trials.run(TEST_SEED_START, infer)
    assert (result.success, result.wrong_lifted, result.fault) == (True, False, '')


@pytest.mark.parametrize(('robot', 'half_width', 'stroke'), [
    ('fr3', 0.04, ''), ('panda', 0.04, ''), ('ur5e', 0.0425, ''), ('piper', 0.035, 'gripper')])
def test_both_fingers_follow_the_one_gripper_joint(robot, half_width, stroke):
    spec = load_robot_spec(robot)
    hand, simulator = hand_of(spec), Simulator(spec)
    assert hand.stroke == stroke
    for position, opening in ((spec.gripper.closed, 0.0), (spec.gripper.open, half_width)):
        assert hand.half_opening(position) == pytest.approx(opening)
        target = spec.home_positions
        target[-1] = position
        for _ in range(500):
            simulator.advance(target, np.zeros_like(target))
        fingers = [simulator.data.joint(finger.joint).qpos[0] for finger in hand.fingers]
        assert fingers == pytest.approx([opening, opening], abs=2e-3)


def test_joint_states_are_those_of_the_driver():
    ur = Simulator(load_robot_spec('ur5e')).shown_joints
    assert list(ur['/joint_states']) == sorted(load_robot_spec('ur5e').joint_names)
    piper = load_robot_spec('piper_2024')
    assert Simulator(piper).shown_joints == {'/joint_states_single': (
        'joint0', 'joint1', 'joint2', 'joint3', 'joint4', 'joint5', 'joint6')}
    told = load_robot_spec('piper').joint_names
    assert Simulator(load_robot_spec('cobot_magic')).shown_joints == {
        '/joint_states_single_l': told, '/joint_states_single_r': told}


def test_a_gripper_that_does_not_slide_is_refused(monkeypatch, tmp_path):
    urdf = tmp_path / 'turning.urdf'
    urdf.write_text(config_path('urdf/fr3.urdf').read_text().replace(
        'type="prismatic"', 'type="revolute"'))
    monkeypatch.setattr('faster_ros.sim.hand.config_path', lambda _: urdf)
    with pytest.raises(ValueError, match='expects two prismatic fingers'):
        hand_of(load_robot_spec('fr3'))


def test_the_scene_that_the_shipped_policy_was_trained_in_is_as_it_was(fr3):
    model = fr3.model
    assert model.actuator_gainprm[:, 0].tolist() == [
        4500, 4500, 3500, 3500, 2000, 2000, 2000, 1500, 1500]
    assert model.actuator_forcerange[:, 1].tolist() == [87, 87, 87, 87, 12, 12, 12, 30, 30]
    assert (fr3.arms[0].workspace.scale, fr3.arms[0].workspace.lean) == (1.0, 0.0)
    np.testing.assert_array_equal(model.camera('front').pos, [1.25, 0.0, 0.62])
    np.testing.assert_array_equal(model.camera('wrist').pos, [0.0, 0.0, 0.0])
    assert model.cam_fovy.tolist() == [44.0, 70.0]
    fr3.reset(7)
    np.testing.assert_allclose(
        fr3.cube_position('red')[:2], [0.6173504354436523, -0.11387652070576043], atol=1e-12)
