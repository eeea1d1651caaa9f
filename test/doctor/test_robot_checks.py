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
"""The limits fit the robot's description, and the checkpoint fits the robot."""

from dataclasses import replace
from pathlib import Path

from faster_ros.bringup import default_checkpoint
from faster_ros.doctor import checkpoint_checks, description_checks
from faster_ros.doctor.facts import CheckpointFacts
from faster_ros.policy.compatibility import read_config
from faster_ros.robot_spec import config_path, load_robot_spec, robot_names
from healthy import assert_line, SPEC, states, urdf
import pytest

UR = load_robot_spec('ur5e')


@pytest.mark.parametrize(('text', 'state', 'found', 'remedy'), [
    ('', 'ok', 'no /robot_description to compare with', ''),
    (urdf(), 'ok', 'within those of /robot_description', ''),
    (urdf(kind='continuous'), 'ok', 'within', ''),
    (urdf(fr3_joint2=(-1.0, 1.7837, 2.62)), 'critical',
     'fr3_joint2 down to -1.7837 rad instead of -1', 'narrow these joints'),
    (urdf(fr3_joint5=(-2.8065, 2.8065, 1.0)), 'warning', 'fr3_joint5 at 2.63 rad/s instead of 1',
     'lower velocity_scale'),
    (urdf(UR), 'critical', 'has no joint fr3_joint1', 'joint_prefix'),
    ('<robot', 'warning', 'not a readable URDF', 'what publishes'),
])
def test_the_limits_stay_within_the_description_of_the_robot(text, state, found, remedy):
    assert_line(description_checks.limits(SPEC, '/robot_description', text), state, found, remedy)


@pytest.mark.parametrize('robot', robot_names())
def test_every_shipped_robot_file_stays_within_its_own_urdf(robot):
    prefix = '' if load_robot_spec(robot).arms else 'left_'
    for spec, _ in load_robot_spec(robot, prefix).parts.values():
        path = config_path(f'urdf/{spec.urdf}')
        assert_line(description_checks.limits(spec, str(path), path.read_text()), 'ok', 'within')


# Checkpoint.

def checkpoint(**changes):
    folder = default_checkpoint()
    return CheckpointFacts(folder, read_config(Path(folder)) | changes)


def test_the_checkpoint_of_the_package_fits_the_fr3_and_a_prefixed_one():
    assert states(checkpoint_checks.fit(SPEC, checkpoint(), SPEC.home)) == ['ok', 'ok']
    left = load_robot_spec('fr3', 'left_', 'left')
    assert states(checkpoint_checks.fit(left, checkpoint(), left.home)) == ['ok', 'ok']
    assert states(checkpoint_checks.fit(SPEC, CheckpointFacts(), SPEC.home)) == ['ok']


@pytest.mark.parametrize(('spec', 'changes', 'found'), [
    (UR, {}, "made for robot 'fr3'"),
    (replace(SPEC, cameras={'front': SPEC.cameras['front']}), {}, 'needs camera wrist'),
    (SPEC, {'action_representation': 'absolute'}, 'expected format 1 with delta_joint actions'),
    (SPEC, {'step_s': 0.0}, 'step_s must be positive'),
    (SPEC, {'step_s': 0.005}, 'closer than the commands'),
    (SPEC, {'robot': {}}, "key 'joints' is missing"),
])
def test_a_checkpoint_for_another_robot_is_critical(spec, changes, found):
    (line,) = checkpoint_checks.fit(spec, checkpoint(**changes), SPEC.home)
    assert_line(line, 'critical', found, 'trained for this robot')


def test_missing_weights_and_an_unreadable_config_are_critical(tmp_path):
    (line,) = checkpoint_checks.fit(SPEC, replace(checkpoint(), folder=str(tmp_path)), SPEC.home)
    assert_line(line, 'critical', 'lacks policy.safetensors, tokenizer.safetensors', 'name a')
    broken = CheckpointFacts(str(tmp_path), problem='config.json is missing')
    (line,) = checkpoint_checks.fit(SPEC, broken, SPEC.home)
    assert_line(line, 'critical', 'config.json is missing', 'name a')


def test_a_slow_camera_and_an_unseen_start_pose_are_warnings():
    slow = replace(SPEC, cameras={name: replace(spec, rate_hz=5.0)
                                  for name, spec in SPEC.cameras.items()})
    steps, pose = checkpoint_checks.fit(slow, checkpoint(), SPEC.home | {'fr3_joint1': 2.5})
    assert_line(steps, 'warning', '0.1 s apart, camera front at 5 Hz', 'acts faster than it sees')
    assert_line(pose, 'warning', 'fr3_joint1 at 2.50, trained -0.40 to 0.40', 'begin near')
