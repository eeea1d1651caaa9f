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
"""A policy that is taught to say the subtask of a row before it acts."""

import json

from faster_ros.cli.data import main as edit
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.interfaces import Observation
from faster_ros.policy.backbones.pretrained import PADDING
from faster_ros.policy.checkpoint import load_policy
from faster_ros.training.finetune_policy import main
from faster_ros.training.finetune_report import text_shares
from faster_ros.training.policy_recipe import PRESETS, read_recipe
from faster_ros.training.robot_rows import read_robot_rows
import numpy as np
import pytest
from swinging_arm import FAST, recorded_swings, ROBOT, with_subtasks
import torch
import yaml

pyarrow = pytest.importorskip('pyarrow')
parquet = pytest.importorskip('pyarrow.parquet')
NAMES = ('grasp the red cube', 'release')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Return a data set whose episodes have one of two subtasks each."""
    return with_subtasks(recorded_swings(tmp_path_factory.mktemp('recorded') / 'swings'))


def train(data, out, *more, **changes):
    """Run the command on a small vision-language model."""
    pytest.importorskip('transformers', reason='transformers is not installed')
    from small_vlms import published

    if not (out / 'published').exists():
        published('smolvlm', out / 'published')
    (out / 'recipe.yaml').write_text(yaml.safe_dump({
        **FAST, 'backbone': str(out / 'published'), 'subtasks': True, 'bf16': False,
        'state_input': 'token', 'backbone_rate': 1.0, **changes}))
    assert main(['--data', str(data), '--robot', 'fr3', '--config', str(out / 'recipe.yaml'),
                 '--out', str(out / 'run'), '--device', 'cpu', *more]) == 0
    return out / 'run'


def test_text_is_learnt_beside_the_codes_and_reported(data, tmp_path):
    run = train(data, tmp_path, steps=21, validate_every=21, learning_rate=1e-2, ema_decay=0.5)
    summary = json.loads((run / 'summary.json').read_text())
    first, _, last = (point['text'] for point in summary['curve'])
    assert last < 0.6 * first
    assert set(summary['curve'][0]) == {'step', 'level_0', 'level_1', 'level_2', 'text'}
    assert set(summary['validations'][-1]['text']) == {'tokens', 'texts'}
    assert 'text tokens right, whole texts |' in (run / 'report.md').read_text()
    assert load_policy(run / 'checkpoint', ROBOT).parts.model.config.text_tokens == 4


@pytest.mark.slow
def test_a_policy_learns_to_say_the_subtasks_of_its_data(data, tmp_path):
    run = train(data, tmp_path, steps=150, validate_every=150, learning_rate=1e-2, ema_decay=0.5)
    summary = json.loads((run / 'summary.json').read_text())
    assert summary['validations'][-1]['text'] == {'tokens': 1.0, 'texts': 1.0}
    policy = load_policy(run / 'checkpoint', ROBOT)
    for episode, name in enumerate(NAMES):
        images = {camera: np.full((48, 64, 3), 100 + 20 * episode, np.uint8)
                  for camera in ROBOT.cameras}
        policy.infer(Observation(0, images, ROBOT.home_positions,
                                 'swing left' if episode else 'swing right'))
        assert policy.said == name


@pytest.mark.parametrize('lora_rank', [0, 2])
def test_the_language_head_learns_unless_only_low_rank_additions_do(data, tmp_path, lora_rank):
    from safetensors.torch import load_file
    run = train(data, tmp_path, steps=2, validate_every=2, expert_steps=1, lora_rank=lora_rank,
                bf16=True, image_share=0.5)
    before = load_file(tmp_path / 'published' / 'model.safetensors')['lm_head.weight']
    after = load_file(run / 'checkpoint' / 'policy.safetensors')
    assert torch.equal(after['backbone.head.weight'].float(),
                       before.to(after['backbone.head.weight'].dtype).float()) == bool(lora_rank)
    assert after['text.boblk'].abs().max() > 0
    images = {camera: np.zeros((48, 64, 3), np.uint8) for camera in ROBOT.cameras}
    policy = load_policy(run / 'checkpoint', ROBOT)
    chunk = policy.infer(Observation(0, images, ROBOT.home_positions, 'swing left'))
    assert np.isfinite(chunk.actions).all()


def test_a_run_with_text_goes_on_and_not_with_other_subtasks(data, tmp_path):
    run = train(data, tmp_path)
    assert 'subtask' not in json.loads((run / 'summary.json').read_text())['data']
    assert len(torch.load(run / 'state.pt', weights_only=True)['data']['subtasks']) == 2
    other = with_subtasks(recorded_swings(tmp_path / 'other'), ('grasp', 'release'))
    with pytest.raises(ValueError, match='begun with other data: expected subtasks'):
        train(other, tmp_path, '--resume')
    train(data, tmp_path, '--resume')


def test_shares_of_a_text_count_its_boblk():
    wanted = torch.tensor([[4, 5, 6, PADDING], [7, PADDING, PADDING, PADDING]])
    assert text_shares(list(wanted), wanted) == {'tokens': 1.0, 'texts': 1.0}
    said = [torch.tensor([4, 9, 6, 3, 3, 3]), torch.tensor([], dtype=torch.long)]
    assert text_shares(said, wanted) == {'tokens': 2 / 6, 'texts': 0.0}
    assert text_shares([wanted[0], torch.tensor([7, 8])], wanted) == {
        'tokens': 5 / 6, 'texts': 0.5}


@pytest.mark.parametrize('text', ['subtask', '__index_level_0__'])
def test_every_row_has_its_subtask(tmp_path, text):
    folder = with_subtasks(recorded_swings(tmp_path / 'swings'), text=text)
    rows = read_robot_rows(folder, ROBOT, (32, 24), tmp_path, subtasks=True)
    assert [rows.subtasks[20 * episode] for episode in range(4)] == [*NAMES, *NAMES]
    assert read_robot_rows(folder, ROBOT, (32, 24), tmp_path).subtasks is None


def test_a_data_set_without_subtasks_is_refused_by_what_it_lacks(tmp_path):
    def read(folder):
        read_robot_rows(folder, ROBOT, (32, 24), tmp_path / 'images', subtasks=True)

    folder = recorded_swings(tmp_path / 'swings')
    with pytest.raises(ValueError, match='meta/subtasks.parquet, which names .*, is missing'):
        read(folder)
    table = pyarrow.table({'subtask_index': [5], 'subtask': ['grasp']})
    parquet.write_table(table, folder / 'meta/subtasks.parquet')
    with pytest.raises(ValueError, match='column subtask_index, which tells .*, is missing'):
        read(folder)
    with_subtasks(folder)
    parquet.write_table(table, folder / 'meta/subtasks.parquet')
    with pytest.raises(ValueError, match='subtask_index is 6 in row 0 of episode 1, which .*sub'):
        read(folder)
    parquet.write_table(table.drop_columns('subtask_index'), folder / 'meta/subtasks.parquet')
    with pytest.raises(ValueError, match='expected the columns subtask_index and subtask, got s'):
        read(folder)


def test_text_mode_of_the_tiny_backbone_or_with_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="subtasks needs .* 'tiny' has no language head"):
        type(PRESETS['cpu'])(steps=1, subtasks=True)
    with pytest.raises(ValueError, match='text_weight must be from 0 to inf, got -1'):
        type(PRESETS['cpu'])(steps=1, text_weight=-1.0)
    assert not read_recipe(None, 'small').subtasks


def named(folder):
    """Return the subtask of the first row of each episode."""
    dataset = LeRobotDataset(folder)
    return [dataset.row_subtasks(entry, dataset.columns(entry))[0]
            for entry in dataset.episodes]


def test_subtasks_survive_merging_and_splitting(data, tmp_path):
    other = with_subtasks(recorded_swings(tmp_path / 'other'), ('release', 'wait'))
    both = tmp_path / 'both'
    assert edit(['merge', str(data), str(other), '--out', str(both)]) == 0
    assert LeRobotDataset(both).subtasks == {0: NAMES[0], 1: 'release', 2: 'wait'}
    assert named(both) == [*NAMES, *NAMES, 'release', 'wait', 'release', 'wait']
    assert edit(['validate', str(both)]) == 0
    assert edit(['split', str(both), '--out', str(tmp_path / 'parts'), '--parts', 'train=0.5',
                 'test=0.5']) == 0
    assert named(tmp_path / 'parts/test') == ['release', 'wait', 'release', 'wait']
    assert edit(['convert', str(data), '--out', str(tmp_path / 'again')]) == 0
    assert named(tmp_path / 'again') == [*NAMES, *NAMES]


def test_a_row_without_a_subtask_stays_one_and_names_are_never_mixed_with_none(tmp_path):
    folder = with_subtasks(recorded_swings(tmp_path / 'swings'))
    table = parquet.read_table(folder / 'meta/subtasks.parquet')
    parquet.write_table(table.slice(0, 1), folder / 'meta/subtasks.parquet')
    assert edit(['convert', str(folder), '--out', str(tmp_path / 'again')]) == 0
    dataset = LeRobotDataset(tmp_path / 'again')
    assert [dataset.columns(entry)['subtask_index'][0].tolist() for entry in dataset.episodes] == [
        [0], [-1], [0], [-1]]
    (folder / 'meta/subtasks.parquet').unlink()
    for sources in (('again', 'swings'), ('swings', 'again')):
        with pytest.raises(ValueError, match='swings/meta/subtasks.parquet, which .* is missing'):
            edit(['merge', *(str(tmp_path / name) for name in sources), '--out',
                  str(tmp_path / 'both')])
