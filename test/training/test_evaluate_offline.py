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
"""A checkpoint beside a recording: right columns, errors in physical units, floor and scale."""

import json
from pathlib import Path

from faster_ros.bringup import default_checkpoint
from faster_ros.cli.evaluation import main
from faster_ros.data.dataset_spec import (
    ACTION,
    DatasetFrame,
    DatasetSpec,
    EpisodeFacts,
    Feature,
    IMAGES,
    STATE,
)
from faster_ros.data.lerobot_writer import LeRobotWriter
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.pick_episodes import PickCollector, PickSettings
from faster_ros.sim.simulator import TEST_SEED_START
from faster_ros.training.evaluate_offline import (
    Answer,
    CODED,
    evaluate_offline,
    Point,
    PREDICTED,
    STILL,
    summarise,
)
import numpy as np
import pytest

SPEC = load_robot_spec('fr3')


def record(folder, gripper=lambda row, commanded: commanded):
    """
    Write a LeRobotDataset of one episode of the scripted expert, joints in another order.

    ``gripper``: what is recorded as commanded in a row, in m.
    """
    settings = PickSettings(disturbance=0.0, random_start_share=0.0)
    names = SPEC.joint_names[::-1]
    joints = Feature('float32', (len(names),), tuple(names))
    spec = DatasetSpec(round(1 / settings.step_s), 'fr3', {STATE: joints, ACTION: joints},
                       {IMAGES + camera: (settings.image_height, settings.image_width)
                        for camera in SPEC.cameras})
    writer = LeRobotWriter(folder, spec, min_free_bytes=0, live=False)
    steps = list(PickCollector(SPEC, settings).episode(TEST_SEED_START))
    writer.begin_episode(EpisodeFacts(steps[0].instruction))
    for row, step in enumerate(steps):
        action = step.actions[0].copy()
        action[SPEC.gripper_index] = gripper(row, action[SPEC.gripper_index])
        writer.add_frame(DatasetFrame(
            {STATE: step.positions[::-1], ACTION: action[::-1]},
            {IMAGES + camera: image for camera, image in zip(SPEC.cameras, step.images)}))
    writer.save_episode('success')
    writer.close()
    return folder


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return record(tmp_path_factory.mktemp('recording') / 'pick')


def test_the_shipped_policy_is_near_the_expert_and_far_from_holding_still(recording, tmp_path,
                                                                          capsys):
    out = tmp_path / 'out'
    assert main(['offline', default_checkpoint(), str(recording), '--episodes', '0',
                 '--every', '0.1', '--out', str(out)]) == 0
    assert 'right tokens by block' in capsys.readouterr().out
    figures = json.loads((out / 'summary.json').read_text())
    error = {name: groups['arm (rad)']['l1'] for name, groups in figures['error'].items()}
    assert error[CODED] < error[PREDICTED] < 0.5 * error[STILL]
    assert len(figures['block_accuracy']) == 3
    assert figures['points'] > 3
    assert figures['block_accuracy'][0] > 0.2
    assert len(figures['error_by_step']['gripper (m)'][PREDICTED]) == 16
    page = (out / 'report.html').read_text()
    assert page.count('data:image/png;base64,') >= 2
    assert 'only trials show that' in page


def test_a_gripper_is_judged_by_its_decisions_not_by_the_recorded_ramp(tmp_path):
    closed, opened = SPEC.gripper.closed, SPEC.gripper.open
    ramped = record(tmp_path / 'ramped', lambda row, _: (
        closed + (opened - closed) * np.clip(1 - (row - 4) / 10, 0, 1)))
    _, answers = evaluate_offline(Path(default_checkpoint()), ramped, [], 0.1)
    recorded = answers[0].point.recorded[:, SPEC.gripper_index]
    assert recorded == pytest.approx([opened] * 4 + [closed] * 12)


def test_an_episode_that_is_not_there_is_named(recording):
    with pytest.raises(ValueError, match='has no episode 7; it has 1, from 0'):
        main(['offline', default_checkpoint(), str(recording), '--episodes', '7'])


def test_a_recording_without_a_joint_is_named(tmp_path):
    (tmp_path / 'meta').mkdir()
    features = {name: {'dtype': 'float32', 'shape': [1], 'names': ['elbow']}
                for name in (STATE, ACTION)}
    (tmp_path / 'meta' / 'info.json').write_text(json.dumps(
        {'codebase_version': 'v3.0', 'fps': 10, 'total_episodes': 0, 'features': features}))
    with pytest.raises(ValueError, match='observation.state needs fr3_joint1, .* got elbow'):
        main(['offline', default_checkpoint(), str(tmp_path)])


def test_errors_are_those_of_each_group_and_accuracy_is_that_of_each_block():
    recorded = np.zeros((4, 3))
    point = Point(0, 0.0, {}, np.zeros(3), 'pick', recorded)
    predicted = recorded + np.array([0.1, 0.3, 0.02])
    right = np.array([[True, True, False, False], [True, False, False, False]])
    answer = Answer(point, {PREDICTED: predicted, CODED: recorded, STILL: recorded}, right)
    figures = summarise([answer], {'arm': [0, 1], 'gripper': [2]}, block_size=4)
    assert figures['error'][PREDICTED]['arm']['l1'] == pytest.approx(0.2)
    assert figures['error'][PREDICTED]['gripper']['l1'] == pytest.approx(0.02)
    assert figures['block_accuracy'] == [0.5, 0.25]
