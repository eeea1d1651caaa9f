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
import dataclasses
from pathlib import Path
import re
import shutil
from types import SimpleNamespace

from faster_ros.cli.data import main as edit
from faster_ros.cli.tokenizer import _SIZES as SIZES, main as tokenize
from faster_ros.data.dataset_spec import ACTION, Source, STATE
from faster_ros.data.lerobot_dataset import LeRobotDataset
from faster_ros.interfaces import Observation
from faster_ros.policy.checkpoint import load_policy
from faster_ros.policy.image_size import resize
from faster_ros.robot_spec import load_robot_spec
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training import finetune_data, finetune_policy, image_cache, tokenizer_folder
from faster_ros.training.data_parallel import ALONE
from faster_ros.training.finetune_data import make_parts
from faster_ros.training.finetune_policy import main, PolicyFineTuning, write_report
from faster_ros.training.lora import add_lora, LoraLinear, merge_lora
from faster_ros.training.policy_recipe import PAPER_SIZES, PRESETS, read_recipe, Recipe
from faster_ros.training.robot_rows import gripper_decisions, read_robot_rows
from faster_ros.training.train_tokenizer import TokenizerTraining
import numpy as np
import pytest
from recording_samples import as_v2
from safetensors.torch import load_file
from swinging_arm import FAST, recorded_swings, ROBOT
import torch
import yaml


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return recorded_swings(tmp_path_factory.mktemp('recorded') / 'swings')


def train(data, out, *more, **changes):
    """Run the command with a small recipe."""
    out.mkdir(exist_ok=True)
    (out / 'recipe.yaml').write_text(yaml.safe_dump({**FAST, **changes}))
    assert main(['--data', str(data), '--robot', 'fr3', '--config', str(out / 'recipe.yaml'),
                 '--out', str(out), '--device', 'cpu', *more]) == 0


def answer(checkpoint, instruction='swing left'):
    """Return the chunk of a checkpoint for a black image."""
    images = {camera: np.zeros((48, 64, 3), np.uint8) for camera in ROBOT.cameras}
    observation = Observation(0, images, ROBOT.home_positions, instruction)
    return load_policy(checkpoint, ROBOT).infer(observation).actions


def test_training_on_a_recorded_data_set_gives_a_policy_that_answers(data, tmp_path):
    train(data, tmp_path, steps=40, validate_every=40, tokenizer_steps=60)
    assert answer(tmp_path / 'checkpoint').shape == (8, 8)
    summary = yaml.safe_load((tmp_path / 'summary.json').read_text())
    first, last = (sum(point[f'level_{level}'] for level in range(3))
                   for point in (summary['curve'][0], summary['curve'][-1]))
    assert last < 0.8 * first
    assert summary['cost']['codes_per_s'] > summary['cost']['rows_per_s'] > 0
    assert summary['validations'][-1]['error']['joints_rad'] < 1
    assert 'swing' not in (tmp_path / 'report.md').read_text()
    assert '| 40 |' in (tmp_path / 'report.md').read_text()


@pytest.mark.slow
def test_tokenizer_and_policy_take_the_corrections_of_a_person(data, tmp_path):
    driven = recorded_swings(tmp_path / 'driven', lambda row: (
        Source.INTERVENTION if row >= 7 else Source.POLICY))
    fixes, together = tmp_path / 'corrections', tmp_path / 'all'
    assert edit(['corrections', str(driven), '--out', str(fixes)]) == 0
    assert edit(['merge', str(data), str(fixes), '--out', str(together)]) == 0
    rows = read_robot_rows(together, ROBOT, (32, 24), tmp_path / 'images')
    assert np.bincount(rows.episode).tolist() == [20] * 4 + [13] * 4
    train(together, tmp_path / 'run')
    assert answer(tmp_path / 'run' / 'checkpoint').shape == (8, 8)
    assert tokenize(['fit', str(together), '--horizon', '0.8', '--seconds', '2', '--quick',
                     '--out', str(tmp_path / 'tokenizer')]) == 0
    assert (tmp_path / 'tokenizer' / 'config.json').exists()


@pytest.mark.parametrize('from_codebooks', [True, False])
def test_the_head_starts_from_the_codebooks_if_the_recipe_says_so(data, tmp_path, from_codebooks):
    train(data, tmp_path, steps=1, learning_rate=1e-12, codebook_head=from_codebooks)
    checkpoint = tmp_path / 'checkpoint'
    heads = load_file(checkpoint / 'policy.safetensors')['expert.level_head']
    code_dim = load_policy(checkpoint, ROBOT).parts.tokenizer.quantizer.codebooks.shape[-1]
    assert (torch.linalg.matrix_rank(heads, rtol=1e-4) == code_dim).all() == from_codebooks


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(data, tmp_path, monkeypatch):
    train(data, tmp_path / 'whole')
    save = PolicyFineTuning._validate_and_save

    def interrupted(run):
        save(run)
        raise KeyboardInterrupt

    monkeypatch.setattr(PolicyFineTuning, '_validate_and_save', interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / 'twice')
    monkeypatch.setattr(PolicyFineTuning, '_validate_and_save', save)
    with pytest.raises(ValueError, match='holds an earlier run: --resume'):
        train(data, tmp_path / 'twice')
    train(data, tmp_path / 'twice', '--resume')
    whole_run, twice = (load_file(tmp_path / name / 'checkpoint' / 'policy.safetensors')
                        for name in ('whole', 'twice'))
    for name, weight in whole_run.items():
        torch.testing.assert_close(twice[name], weight)


def test_a_run_whose_last_save_failed_writes_its_checkpoint_on_resuming(data, tmp_path,
                                                                        monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(OSError, match='No space'):
        def full(out, record, *more):
            if record['step'] == 6:
                raise OSError('No space left on device')
            write_report(out, record, *more)

        patch.setattr(finetune_policy, 'write_report', full)
        train(data, tmp_path)
    shutil.rmtree(tmp_path / 'checkpoint')
    train(data, tmp_path, '--resume')
    assert '"step": 6' in (tmp_path / 'checkpoint' / 'training.json').read_text()
    assert '| 6 |' in (tmp_path / 'report.md').read_text()
    assert not list(tmp_path.glob('*.partial'))


def test_a_run_interrupted_before_its_first_validation_keeps_its_tokenizer(data, tmp_path,
                                                                           monkeypatch):
    run = tmp_path / 'run'
    with pytest.raises(ValueError, match='run holds no run whose tokenizer is fitted'):
        train(data, run, '--resume')
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PolicyFineTuning, 'run', lambda run: _raise(KeyboardInterrupt()))
        train(data, run)
    with monkeypatch.context() as patch:
        patch.setattr(finetune_data, 'train_tokenizer',
                      lambda *more: _raise(AssertionError('fitted again')))
        moved = recorded_swings(tmp_path / 'moved', swing=0.2)
        with pytest.raises(ValueError, match='run/tokenizer was fitted to other data'):
            train(moved, run, '--resume')
        with pytest.raises(ValueError, match='run/tokenizer is of a run with another recipe'):
            train(data, run, '--resume', codebook_size=32)
        train(data, run, '--resume')
    train(data, tmp_path / 'whole')
    whole_run, twice = (load_file(folder / 'checkpoint' / 'policy.safetensors')
                        for folder in (tmp_path / 'whole', run))
    for name, weight in whole_run.items():
        torch.testing.assert_close(twice[name], weight)


def _raise(error):
    raise error


def test_a_tokenizer_that_was_not_written_to_its_end_is_fitted_again(data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(OSError, match='No space'):
        patch.setattr(tokenizer_folder, 'save', lambda *more: _raise(OSError('No space')))
        train(data, tmp_path)
    train(data, tmp_path)
    assert answer(tmp_path / 'checkpoint').shape == (8, 8)


def test_an_interrupted_run_does_not_go_on_with_other_data(data, tmp_path):
    train(data, tmp_path / 'run')
    more = recorded_swings(tmp_path / 'more', outcomes=('success',) * 5)
    with pytest.raises(ValueError, match='state.pt: .* data: expected rows 80, got 100; go on w'):
        train(more, tmp_path / 'run', '--resume')
    moved = recorded_swings(tmp_path / 'moved', swing=0.2)
    with pytest.raises(ValueError, match="expected range of actions .'low'.*, got .'low'"):
        train(moved, tmp_path / 'run', '--resume')


def test_the_backbone_is_frozen_in_the_first_steps(data, tmp_path):
    train(data, tmp_path / 'first', steps=2, validate_every=2, expert_steps=1)
    train(data, tmp_path / 'never', steps=2, validate_every=2, backbone_rate=0)
    train(data, tmp_path / 'one', steps=1, validate_every=1, backbone_rate=0)
    first, never, one = (load_file(tmp_path / name / 'checkpoint' / 'policy.safetensors')
                         for name in ('first', 'never', 'one'))
    new = [name for name in one if 'expert' in name or 'state_token' in name]
    old = [name for name in one if name not in new]
    assert all('backbone' in name for name in old)
    assert all(torch.equal(never[name], one[name]) for name in old)
    assert any(not torch.equal(first[name], one[name]) for name in old)
    assert all(not torch.equal(never[name], one[name]) for name in new if 'state_token' in name)
    assert any(not torch.equal(never[name], one[name]) for name in new if 'expert' in name)


@pytest.mark.parametrize('lora_rank, bf16', [(0, False), (0, True), (2, True)])
def test_a_vision_language_model_is_fine_tuned_from_its_folder(data, tmp_path, lora_rank, bf16):
    pytest.importorskip('transformers', reason='transformers is not installed')
    from small_vlms import published

    weights = published('smolvlm', tmp_path / 'published')
    train(data, tmp_path / 'run', backbone=str(tmp_path / 'published'), lora_rank=lora_rank,
          bf16=bf16, steps=2, validate_every=2, expert_steps=1, accumulate=2, state_input='token')
    tensors = load_file(tmp_path / 'run' / 'checkpoint' / 'policy.safetensors')
    assert not any('.down' in name and 'down_proj' not in name for name in tensors)
    changed = [name for name, weight in weights.state_dict().items()
               if not torch.equal(tensors[f'backbone.model.{name}'].float(), weight)]
    assert any('q_proj' in name for name in changed)
    assert np.isfinite(answer(tmp_path / 'run' / 'checkpoint', 'pick up the cube')).all()


def test_low_rank_additions_begin_at_nothing_and_merge_into_the_weights():
    layers = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 4))
    x = torch.randn(3, 6)
    before = layers(x)
    assert add_lora(layers, 2) == 2
    assert torch.equal(layers(x), before)
    assert [name for name, weight in layers.named_parameters() if weight.requires_grad] == [
        '0.down', '0.up', '2.down', '2.up']
    for layer in (layers[0], layers[2]):
        assert isinstance(layer, LoraLinear)
        torch.nn.init.normal_(layer.up)
    added = layers(x)
    assert not torch.allclose(added, before)
    merge_lora(layers)
    torch.testing.assert_close(layers(x), added)
    assert isinstance(layers[0], torch.nn.Linear)


def test_a_prompt_has_room_for_the_longest_task_and_any_joints(data, tmp_path):
    pytest.importorskip('transformers', reason='transformers is not installed')
    from faster_ros.policy.vlm_preprocess import ImagesAndPrompt
    from small_vlms import config, image_processor, published, tokenizer
    from tokenizers import pre_tokenizers

    digits = tokenizer()
    digits.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)])
    prompt = ImagesAndPrompt(config('smolvlm', state_dim=21), image_processor('smolvlm'), digits)
    assert prompt.longest_prompt(['pick', 'pick up the cube']) == (
        prompt.longest_prompt(['pick']) + 3)
    assert prompt.longest_prompt(['pick']) > 21 * 3

    published('smolvlm', tmp_path / 'published')
    rows = read_robot_rows(data, ROBOT, (32, 24), tmp_path)
    recipe = dataclasses.replace(PRESETS['cpu'], backbone=str(tmp_path / 'published'))
    for words, room in ((1, 96), (150, 192)):
        rows.tasks = [' '.join(['pick'] * words)] * len(rows)
        described, preprocess = finetune_data._description(
            recipe, rows, ROBOT, finetune_data._grid(recipe, ROBOT))
        assert described.max_words == room
        preprocess([np.zeros((24, 32, 3), np.uint8)] * 2, np.ones(8), rows.tasks[0])


def test_how_codes_are_decoded_is_told_by_the_recipe(data, tmp_path):
    told = {'expert': 'none', 'block_size': 4, 'train_gap': [2, 4], 'gap': 3, 'decode_levels': 2,
            'image_share': 0.5}
    with pytest.raises(ValueError, match='block_size 5 must divide the 24 tokens'):
        train(data, tmp_path, **told | {'block_size': 5})
    assert not (tmp_path / 'tokenizer').exists()
    train(data, tmp_path, **told)
    config = yaml.safe_load((tmp_path / 'checkpoint' / 'config.json').read_text())['policy']
    assert {key: config[key] for key in told} == told
    assert answer(tmp_path / 'checkpoint').shape == (8, 8)


def test_phases_that_a_run_would_not_see_the_end_of_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match='expert_steps 6: the run has 6 updates with 60 training'):
        train(data, tmp_path, expert_steps=6)
    with pytest.raises(ValueError, match='warmup_steps 7: the run has 6 updates with 60 training'):
        train(data, tmp_path, warmup_steps=7)
    assert not (tmp_path / 'tokenizer').exists()
    with pytest.raises(ValueError, match='expert_steps 5000: the run has 300 updates'):
        PRESETS['bridge'].check_phases(9600)
    for preset in ('libero', 'droid', 'small', 'cpu'):
        PRESETS[preset].check_phases(5_000_000)


def test_one_process_of_a_machine_decodes_the_images_and_the_others_wait(data, tmp_path,
                                                                         monkeypatch):
    decoded = []

    def decode(*more):
        decoded.append(more)
        _decode(*more)

    def first_process_decodes(_):
        monkeypatch.setenv('LOCAL_RANK', '0')
        read_robot_rows(data, ROBOT, (32, 24), tmp_path / 'images')
        monkeypatch.setenv('LOCAL_RANK', '1')

    _decode = image_cache._decode
    monkeypatch.setattr(image_cache, '_decode', decode)
    monkeypatch.setattr(image_cache.time, 'sleep', first_process_decodes)
    monkeypatch.setenv('LOCAL_RANK', '1')
    rows = read_robot_rows(data, ROBOT, (32, 24), tmp_path / 'images')
    assert len(decoded) == 1
    assert rows.images.shape == (80, 2, 24, 32, 3)


def test_a_disk_without_room_for_the_images_is_told_before_they_are_decoded(data, tmp_path,
                                                                            monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: SimpleNamespace(free=300_000))
    with pytest.raises(ValueError, match='the 80 rows need 0.0 GB for their images in .*, where'):
        read_robot_rows(data, ROBOT, (32, 24), tmp_path / 'images')
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: SimpleNamespace(free=400_000))
    assert len(read_robot_rows(data, ROBOT, (32, 24), tmp_path / 'images')) == 80


@pytest.mark.parametrize('column, value, reason', [
    (STATE, np.nan, r'observation.state.2. is nan in row 7'),
    (ACTION, np.inf, r'action.2. is inf in row 7'),
    ('timestamp', 9.0, 'timestamp 9 s of frame 7 is no frame at 10 fps'),
])
def test_an_episode_with_nan_or_wrong_times_is_left_out_and_named(tmp_path, column, value, reason):
    pyarrow, parquet = pytest.importorskip('pyarrow'), pytest.importorskip('pyarrow.parquet')
    folder = recorded_swings(tmp_path / 'swings')
    file = LeRobotDataset(folder).episodes[1].data
    table = parquet.read_table(file)
    numbers = table[column].to_pylist()
    if isinstance(numbers[7], list):
        numbers[7][2] = value
    else:
        numbers[7] = value
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    parquet.write_table(
        table.set_column(place, field, pyarrow.array(numbers, field.type)), file)
    rows = read_robot_rows(folder, ROBOT, (32, 24), tmp_path / 'images')
    assert np.bincount(rows.episode).tolist() == [20] * 3
    (note,) = rows.notes
    assert re.search(f'episode 1 is left out: {reason}', note)


def test_a_data_set_of_lerobot_2_1_is_trained_on(tmp_path):
    train(as_v2(recorded_swings(tmp_path / 'swings')), tmp_path / 'run')
    assert answer(tmp_path / 'run' / 'checkpoint').shape == (8, 8)


def test_chunks_end_with_the_last_action_of_their_episode(data, tmp_path):
    rows = read_robot_rows(data, ROBOT, (32, 24), tmp_path)
    assert rows.images.shape == (80, 2, 24, 32, 3)
    assert rows.step_s == pytest.approx(0.1)
    chunks = rows.chunks(4)
    assert np.array_equal(chunks[5], rows.actions[5:9])
    assert np.array_equal(chunks[18], rows.actions[[18, 19, 19, 19]])
    assert np.array_equal(rows.chunks(4, 3)[11], rows.actions[[11, 14, 17, 19]])
    assert rows.tasks[0] == 'swing right'


def test_an_episode_that_is_marked_as_a_failure_is_left_out_and_named(tmp_path, capsys):
    marked = recorded_swings(tmp_path / 'marked', outcomes=('success', 'failure', '', 'failure'))
    rows = read_robot_rows(marked, ROBOT, (32, 24), tmp_path / 'images')
    assert rows.tasks[0] == rows.tasks[-1] == 'swing right'
    assert np.bincount(rows.episode).tolist() == [20, 20]
    assert rows.notes == ['2 of 4 episodes are left out, marked as failures '
                          '(failed_episodes: true takes them): 1, 3']
    train(marked, tmp_path / 'run', failed_episodes=True)
    assert 'left out' not in capsys.readouterr().out
    summary = yaml.safe_load((tmp_path / 'run' / 'summary.json').read_text())
    assert summary['data']['rows'] == 80


def test_the_correction_of_an_episode_that_failed_is_learnt_from(tmp_path):
    driven = recorded_swings(tmp_path / 'driven', lambda row: (
        Source.INTERVENTION if row >= 7 else Source.POLICY), ('failure',) * 4)
    assert edit(['corrections', str(driven), '--out', str(tmp_path / 'fixes')]) == 0
    rows = read_robot_rows(tmp_path / 'fixes', ROBOT, (32, 24), tmp_path / 'images')
    assert np.bincount(rows.episode).tolist() == [13] * 4
    with pytest.raises(ValueError, match='2 usable .* got 0 .4 of 4 .* marked as failures'):
        read_robot_rows(driven, ROBOT, (32, 24), tmp_path / 'others')


def test_a_data_set_that_does_not_fit_the_robot_is_refused(data, tmp_path):
    more = dataclasses.replace(ROBOT, cameras={**ROBOT.cameras, 'top': ROBOT.cameras['front']})
    with pytest.raises(ValueError, match="camera top of robot 'fr3' is missing; it has obs"):
        read_robot_rows(data, more, (32, 24), tmp_path)
    with pytest.raises(ValueError, match='camera front have 64 x 48 .* is 32 x 32, .* 64 x 48'):
        read_robot_rows(data, ROBOT, (32, 32), tmp_path)
    with pytest.raises(ValueError, match='observation.state has shape .8,.; .* has 7 joints'):
        read_robot_rows(data, load_robot_spec('piper'), (32, 24), tmp_path)


@pytest.mark.parametrize('changes, message', [
    ({'speed': 1}, 'speed'),
    ({'steps': 0, 'epochs': 0.0}, 'expected either steps or epochs above 0'),
    ({'batch_size': 8, 'accumulate': 3}, 'accumulate 3 must divide batch_size 8'),
    ({'lora_rank': 4}, "lora_rank 4 needs a trained backbone; 'tiny'"),
    ({'state_dropout': 1.5}, 'state_dropout must be from 0 to 1, got 1.5'),
    ({'shard': True}, "shard is for large backbones; 'tiny' fits every device"),
    ({'tokenizer_size': '9m'}, "tokenizer_size must be one of small, 8m, 13m, got '9m'"),
    ({'train_gap': [2]}, 'train_gap must be LOW and HIGH, got .2.'),
    ({'preset': 'moon'}, "preset 'moon' is unknown; expected one of libero, bridge"),
])
def test_a_recipe_that_cannot_be_trained_is_refused(tmp_path, changes, message):
    file = tmp_path / 'recipe.yaml'
    file.write_text(yaml.safe_dump({'preset': 'cpu', **changes}))
    with pytest.raises(ValueError, match=message):
        read_recipe(file)


@pytest.mark.parametrize('preset', PRESETS)
def test_every_preset_can_be_named_and_its_lists_changed(tmp_path, preset):
    assert read_recipe(None, preset) == PRESETS[preset]
    (tmp_path / 'recipe.yaml').write_text('time_strides: [2]\ntrain_gap: [1, 2]\n')
    recipe = read_recipe(tmp_path / 'recipe.yaml', preset)
    assert (recipe.time_strides, recipe.train_gap) == ((2,), (1, 2))


def test_presets_have_the_batches_and_lengths_of_the_paper():
    assert (PRESETS['libero'].steps, PRESETS['libero'].batch_size) == (30000, 32)
    assert (PRESETS['bridge'].epochs, PRESETS['bridge'].batch_size) == (4, 128)
    assert (PRESETS['droid'].epochs, PRESETS['droid'].batch_size) == (3, 1024)
    for name in ('libero', 'bridge', 'droid'):
        assert PRESETS[name].learning_rate == 2.5e-5
        assert PRESETS[name].weight_decay == 1e-10
        assert PRESETS[name].warmup_steps == 1000
    assert PRESETS['bridge'].updates(1280) == 40


@pytest.mark.parametrize('preset, parameters', [
    ('libero', 8e6), ('bridge', 6.4e6),  # five rows are one patch: there is no time to halve
    ('droid', 8e6),
])
def test_the_tokenizer_of_a_preset_named_after_data_is_that_of_the_paper(
        data, tmp_path, monkeypatch, preset, parameters):
    begun = []

    def stop(config, chunks, training, *more):
        begun.append((config, training))
        raise KeyboardInterrupt

    monkeypatch.setattr(finetune_data, 'train_tokenizer', stop)
    monkeypatch.setattr(finetune_data, '_description', lambda *more: (None, None))
    monkeypatch.setattr(Recipe, 'check_phases', lambda recipe, rows: None)
    rows = read_robot_rows(data, ROBOT, (32, 24), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        make_parts(PRESETS[preset], rows, ROBOT, tmp_path, ALONE)
    config, training = begun[0]
    assert (config.levels, config.codebook_size, config.codes_per_level) == (3, 4096, 8)
    assert sum(weight.numel() for weight in FASTerVQ(config).parameters()) == (
        pytest.approx(parameters, rel=0.05))
    assert training == TokenizerTraining(300_000, 512, 1e-4, 0.1, 1000)


def test_sizes_of_tokenizers_are_those_of_tokenizer_train():
    assert {name: size[:2] for name, size in PAPER_SIZES.items()} == {
        name: size for name, size in SIZES.items() if name in PAPER_SIZES}


@pytest.mark.parametrize('preset, width, height', [
    ('libero', 128, 128), ('libero', 256, 256), ('bridge', 256, 256), ('droid', 320, 180),
])
def test_a_preset_takes_the_images_of_the_data_it_is_named_after(preset, width, height):
    recipe = PRESETS[preset]
    image = np.zeros((height, width, 3), np.uint8)
    assert resize(image, recipe.image_width, recipe.image_height).shape[1] == 224


def test_the_recipe_of_the_page_on_libero_takes_its_images(tmp_path):
    page = (Path(__file__).parents[2] / 'docs' / 'libero.md').read_text()
    (tmp_path / 'recipe.yaml').write_text(page.split('```yaml\n')[1].split('```')[0])
    recipe = read_recipe(tmp_path / 'recipe.yaml')
    assert (recipe.backbone, recipe.image_width, recipe.image_height) == ('tiny', 128, 128)


def test_out_of_gpu_memory_says_what_to_lower(data, tmp_path, monkeypatch):
    def exhausted(run, step, parts):
        raise torch.OutOfMemoryError('tried to allocate 2 GiB')

    monkeypatch.setattr(PolicyFineTuning, '_update', exhausted)
    with pytest.raises(ValueError, match='2 GiB.*: raise accumulate, set lora_rank or shard'):
        train(data, tmp_path / 'run')


def test_the_curves_are_written_for_tensorboard_or_its_package_is_named(data, tmp_path):
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError:
        with pytest.raises(ValueError, match='tensorboard: true needs .* pip install tensorboard'):
            train(data, tmp_path / 'run', tensorboard=True)
        return
    train(data, tmp_path / 'run', tensorboard=True)
    drawn = EventAccumulator(str(tmp_path / 'run' / 'tensorboard')).Reload()
    assert [point.step for point in drawn.Scalars('token_accuracy/0')] == [3, 6]
    assert drawn.Scalars('loss/2')[0].value > 0


@pytest.mark.parametrize('shares, decisions', [
    ([1, 1, 0.9, 0.6, 0.3, 0, 0], [1, 0, 0, 0, 0, 0, 0]),       # from the last row before it
    ([1, 1, 0.9, 0.7, 0.7, 0.3], [1, 0, 0, 0, 0, 0]),           # a row came twice
    ([1, 0.8, 0.8, 0.8, 0.8, 0.2], [1, 1, 1, 1, 0, 0]),         # held, and closed later
    ([0, 0, 0.2, 0.7, 1], [0, 1, 1, 1, 1]),
    ([1, 0.9, 1, 0.55, 0.9, 1], [1, 1, 1, 1, 1, 1]),            # what did not lead to the end
    ([0.5, 0.5, 0.5], [1, 1, 1]),
    ([*np.linspace(1, 0.75, 61), 0.6, 0.3, 0], [1] * 60 + [0] * 4),     # crept, then closed
    ([*np.linspace(0, 0.2, 50), 0.2, 0.5, 0.5, 0.9], [0] * 50 + [1] * 4),
    ([1, 1, 0.999, 0.9, 0.75, 0.746, 0.5, 0.2], [1] + [0] * 7),         # soft start, short pause
    (np.linspace(1, 0, 50), [0] * 50),                          # a slow ramp is one all the same
])
def test_a_gripper_that_is_told_open_or_closed_is_labelled_by_the_decision(shares, decisions):
    gripper = ROBOT.gripper
    positions = gripper.closed + np.array(shares) * (gripper.open - gripper.closed)
    found = gripper_decisions(positions, gripper.closed, gripper.open)
    np.testing.assert_array_equal(found == gripper.open, decisions)
    assert set(found) <= {gripper.open, gripper.closed}
