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
"""Checkpoints: what is saved is what answers, and a bad folder is refused by name."""

import dataclasses
from itertools import count
import json
from pathlib import Path
import shutil

from faster_ros.data.normalisation import Normaliser
from faster_ros.interfaces import Observation
from faster_ros.policy import checkpoint
from faster_ros.policy.checkpoint import FASTerPolicy, load_policy, PolicyParts
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.robot_spec import load_robot_spec, RobotSpec
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch


@pytest.fixture(scope='module')
def spec():
    """Return the robot of the tests."""
    return load_robot_spec('fr3')


@pytest.fixture(scope='module')
def parts(spec):
    """Return a small random policy for the robot."""
    torch.manual_seed(0)
    grid = TokenizerConfig(8, {'arm': list(range(7)), 'gripper': [7]}, time_patch=2, width=16,
                           layers=1, latent_dim=16, code_dim=4, codebook_size=16)
    config = PolicyConfig(
        tuple(spec.cameras), ('cube', 'pick', 'red', 'the', 'up'), 7, 8, grid.levels,
        grid.codes_per_level, grid.codebook_size, grid.codes_per_level,
        BackboneConfig(image_width=32, image_height=24, channels=8, keypoints=4, width=16,
                       layers=1, heads=2, head_dim=8), expert_width=16)
    tokenizer = FASTerVQ(grid)
    tokenizer.train()(torch.randn(64, 8, 8).clamp(-1, 1))  # makes codebooks
    ones = np.ones(8)
    return PolicyParts(FASTerVLA(config), tokenizer, Normaliser(-0.1 * ones, 0.1 * ones),
                       Normaliser(-3 * ones, 3 * ones), spec, 0.1)


@pytest.fixture
def folder(parts, tmp_path):
    """Return a saved checkpoint."""
    parts.save(tmp_path / 'checkpoint', {'made_by': 'test'})
    return tmp_path / 'checkpoint'


def observation(spec, instruction='pick up the red cube', width=64):
    """Return an observation with random images."""
    rng = np.random.default_rng(0)
    images = {camera: rng.integers(0, 255, (48, width, 3), np.uint8) for camera in spec.cameras}
    return Observation(5_000_000_000, images, spec.home_positions, instruction)


def test_a_loaded_policy_answers_like_the_saved_one(parts, folder, spec):
    wanted = FASTerPolicy(parts).infer(observation(spec))
    chunk = load_policy(folder, spec).infer(observation(spec))
    assert np.array_equal(chunk.actions, wanted.actions)
    assert chunk.actions.shape == (8, 8)
    assert chunk.start_ns == 5_000_000_000
    assert chunk.step_ns == 100_000_000
    assert chunk.names == spec.joint_names
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10e6


def test_a_policy_of_mean_latents_answers_otherwise_and_is_loaded_as_such(parts, spec, tmp_path):
    mean = FASTerVLA(dataclasses.replace(parts.model.config, mean_latent=True))
    mean.load_state_dict(parts.model.state_dict())
    dataclasses.replace(parts, model=mean).save(tmp_path / 'mean', {})
    chunk = load_policy(tmp_path / 'mean', spec).infer(observation(spec))
    assert np.isfinite(chunk.actions).all()
    likeliest = FASTerPolicy(parts).infer(observation(spec)).actions
    assert not np.allclose(chunk.actions, likeliest)


@pytest.mark.parametrize('instruction, message', [
    ('', 'instruction is empty'),
    ('   ', 'instruction is empty'),
    ('pick up the purple cube', "does not know 'purple'; it knows cube, pick, red"),
    ('pick up the red red red red cube', 'has 8 words'),
])
def test_an_instruction_the_policy_cannot_follow_is_refused(folder, spec, instruction, message):
    with pytest.raises(ValueError, match=message):
        load_policy(folder, spec).infer(observation(spec, instruction))


def test_a_checkpoint_replaces_an_older_one_but_no_other_folder(parts, folder, tmp_path):
    (folder / 'left_over.json').write_text('{}')
    parts.save(folder, {'made_by': 'later test'})
    assert not (folder / 'left_over.json').exists()
    assert 'later test' in (folder / 'training.json').read_text()
    (tmp_path / 'holiday').mkdir()
    (tmp_path / 'holiday' / 'photo.png').write_text('sea')
    with pytest.raises(ValueError, match='holiday holds other files'):
        parts.save(tmp_path / 'holiday', {})
    assert (tmp_path / 'holiday' / 'photo.png').exists()


@pytest.mark.parametrize('step', range(7))
def test_a_kill_while_a_checkpoint_is_replaced_leaves_a_whole_one(parts, folder, spec,
                                                                  monkeypatch, step):
    steps = count()

    def killed_at_step(function):
        def call(*given, **named):
            if next(steps) == step:
                raise KeyboardInterrupt
            return function(*given, **named)
        return call

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        for place, name in ((checkpoint, 'save_file'), (shutil, 'rmtree'), (Path, 'rename')):
            patch.setattr(place, name, killed_at_step(getattr(place, name)))
        parts.save(folder, {'made_by': 'later test'})
    load_policy(folder, spec)
    parts.save(folder, {'made_by': 'last test'})
    assert 'last test' in (folder / 'training.json').read_text()
    assert [path.name for path in folder.parent.iterdir()] == ['checkpoint']


def test_a_missing_camera_and_a_missing_joint_are_named(folder, spec):
    policy = load_policy(folder, spec)
    seen = observation(spec)
    only_front = {'front': seen.images['front']}
    with pytest.raises(ValueError, match='image of camera wrist is missing'):
        policy.infer(dataclasses.replace(seen, images=only_front))
    with pytest.raises(ValueError, match='8 finite numbers'):
        policy.infer(dataclasses.replace(seen, positions=seen.positions[:-1]))
    with pytest.raises(ValueError, match='aspect'):
        policy.infer(observation(spec, width=48))


def test_a_missing_file_is_named(folder, spec, tmp_path):
    with pytest.raises(ValueError, match=r'nowhere: config\.json is missing'):
        load_policy(tmp_path / 'nowhere', spec)
    (folder / 'tokenizer.safetensors').unlink()
    with pytest.raises(ValueError, match=r'tokenizer\.safetensors is missing'):
        load_policy(folder, spec)


@pytest.mark.parametrize('damage', [
    lambda data: data[: len(data) // 2], lambda data: b'\xff' * 64, lambda data: b''])
def test_damaged_weights_are_named(folder, spec, damage):
    file = folder / 'policy.safetensors'
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=r'policy\.safetensors is damaged'):
        load_policy(folder, spec)


def test_weights_of_another_size_or_not_finite_are_refused(folder, spec):
    file = str(folder / 'policy.safetensors')
    tensors = load_file(file)
    save_file({**tensors, 'expert.place': torch.full_like(tensors['expert.place'], torch.nan)},
              file)
    with pytest.raises(ValueError, match=r'not finite in expert\.place'):
        load_policy(folder, spec)
    save_file({**tensors, 'expert.place': torch.zeros(3, 3)}, file)
    with pytest.raises(ValueError, match=r'does not fit config\.json'):
        load_policy(folder, spec)


@pytest.mark.parametrize('change, message', [
    ({'format': 99}, 'expected format 1 with delta_joint actions, got 99'),
    ({'policy': {}}, 'config.json is not usable'),
    ({'robot': {'robot': 'fr3'}}, "key 'joints' is missing"),
    ({'robot': ['fr3']}, 'config.json is not usable'),
    ({'step_s': 0.0}, 'step_s must be positive, got 0.0'),
    ({'step_s': 0.004}, "0.004 s apart .step_s., closer than the commands of robot 'fr3' at 100 Hz"
     ': raise command_rate_hz to 250'),
])
def test_a_damaged_config_is_refused(folder, spec, change, message):
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**config, **change}))
    with pytest.raises(ValueError, match=message):
        load_policy(folder, spec)


def test_a_checkpoint_for_another_robot_is_refused(folder, spec):
    data = spec.to_dict()
    for key in ('joints', 'home'):
        data[key] = {name.replace('fr3_joint', 'ur_joint'): value
                     for name, value in data[key].items()}
    other = RobotSpec.from_dict({**data, 'robot': 'ur5e'}, 'ur5e.yaml')
    with pytest.raises(ValueError, match="made for robot 'fr3' .* this robot is 'ur5e'"):
        load_policy(folder, other)
    swapped = dict(reversed(spec.joints.items()))
    with pytest.raises(ValueError, match='with joints fr3_joint1, .* joints fr3_finger_joint1'):
        load_policy(folder, dataclasses.replace(spec, joints=swapped))
    blind = dataclasses.replace(spec, cameras={'front': spec.cameras['front']})
    with pytest.raises(ValueError, match='needs camera wrist'):
        load_policy(folder, blind)


def test_a_checkpoint_from_before_robots_had_modes_still_answers(folder, spec):
    config = json.loads((folder / 'config.json').read_text())
    robot = config['robot']
    for key in ('command_mode', 'command_speed_percent', 'driver_ready_topic',
                'driver_speed_topic'):
        del robot[key]
    for key in ('mode', 'command_closed', 'command_open', 'effort', 'speed'):
        del robot['gripper'][key]
    robot['command_topic'] = '/another/topic'
    (folder / 'config.json').write_text(json.dumps(config))
    policy = load_policy(folder, spec)
    assert policy.infer(observation(spec)).names == spec.joint_names
    assert policy.parts.robot == spec


def test_a_checkpoint_that_keeps_image_tokens_computes_all_after_another_instruction(
        folder, spec):
    config = json.loads((folder / 'config.json').read_text())
    config['policy']['reuse_tolerance'] = 1e9
    (folder / 'config.json').write_text(json.dumps(config))
    policy, plain = load_policy(folder, spec), load_policy(folder, spec)
    first = policy.infer(observation(spec)).actions
    assert policy._reuse.anew == 1.0
    assert np.array_equal(policy.infer(observation(spec)).actions, first)
    assert policy._reuse.anew == 0.0
    other = observation(spec, 'pick up the cube')
    assert np.array_equal(policy.infer(other).actions, plain.infer(other).actions)
    assert policy._reuse.anew == 1.0


def test_a_gpu_that_is_full_is_an_error_that_says_what_to_do(folder, spec, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError('tried to allocate 6 GiB')

    monkeypatch.setattr('faster_ros.policy.checkpoint.prepare_inference', full)
    with pytest.raises(ValueError, match='out of GPU memory .*6 GiB.*take a smaller backbone'):
        load_policy(folder, spec)


def test_memory_that_runs_out_in_a_call_is_such_an_error_too(folder, spec, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError('tried to allocate 6 GiB')

    policy = load_policy(folder, spec)
    monkeypatch.setattr(policy.parts.model.backbone, 'encode', full)
    for ask in (lambda: policy.infer(observation(spec)),
                lambda: policy.codes(observation(spec).images, spec.home_positions, 'pick up')):
        with pytest.raises(ValueError, match='out of GPU memory .*6 GiB.*take a smaller backbone'):
            ask()


def test_a_gpu_that_is_not_there_is_an_error(folder, spec):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU here')
    with pytest.raises(ValueError, match='device cuda: torch finds no CUDA device here'):
        load_policy(folder, spec, 'cuda')
