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
"""From a folder of published weights to a policy's checkpoint and back, without a network."""

import dataclasses
import os

from faster_ros.data.normalisation import Normaliser
from faster_ros.interfaces import Observation
from faster_ros.policy.backbones.pretrained import PADDING
from faster_ros.policy.checkpoint import FASTerPolicy, load_policy, PolicyParts
from faster_ros.policy.config import PROMPT_TOKENS
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.robot_spec import load_robot_spec
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
import torch

transformers = pytest.importorskip('transformers', reason='transformers is not installed')

from faster_ros.policy.backbones.weights import load_backbone, read_vlm_config  # noqa: E402, I100
from faster_ros.policy.vlm_preprocess import load_processor  # noqa: E402
from small_vlms import (  # noqa: E402
    config,
    FAMILIES,
    library_layers,
    published,
)

EVERY_FAMILY = pytest.mark.parametrize('name', FAMILIES)
SPEC = load_robot_spec('fr3')


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)


def parts(name, source, **changes):
    """Return a policy on published weights for the robot of the tests."""
    vlm = read_vlm_config(source, (28, 21))
    grid = TokenizerConfig(8, {'arm': list(range(7)), 'gripper': [7]}, time_patch=2, width=16,
                           layers=1, latent_dim=16, code_dim=4, codebook_size=16)
    described = config(name, state_dim=8, backbone=vlm, levels=grid.levels, max_words=64,
                       codes_per_level=grid.codes_per_level, block_size=grid.codes_per_level,
                       **changes)
    described = dataclasses.replace(described, cameras=tuple(SPEC.cameras))
    codes = FASTerVQ(grid)
    codes.train()(torch.randn(64, 8, 8).clamp(-1, 1))  # makes codebooks
    ones = np.ones(8)
    policy = FASTerVLA(described, load_backbone(source, vlm, 8,
                                                speaks=described.text_tokens > 0))
    return PolicyParts(policy, codes, Normaliser(-0.1 * ones, 0.1 * ones),
                       Normaliser(-3 * ones, 3 * ones), SPEC, 0.1,
                       load_processor(source, described))


def observation(instruction='pick up the red cube'):
    """Return an observation with random images."""
    rng = np.random.default_rng(0)
    images = {camera: rng.integers(0, 255, (48, 64, 3), np.uint8) for camera in SPEC.cameras}
    return Observation(5_000_000_000, images, SPEC.home_positions, instruction)


@EVERY_FAMILY
def test_a_policy_takes_published_weights_and_survives_its_checkpoint(name, tmp_path):
    weights = published(name, tmp_path / 'published')
    made = parts(name, tmp_path / 'published')
    for key, tensor in weights.state_dict().items():
        assert torch.equal(made.model.backbone.model.state_dict()[key], tensor)
    answer = FASTerPolicy(made).infer(observation())
    made.save(tmp_path / 'checkpoint', {})
    loaded = FASTerPolicy.from_pretrained(tmp_path / 'checkpoint', SPEC)
    assert np.array_equal(loaded.infer(observation()).actions, answer.actions)
    assert {file.suffix for file in (tmp_path / 'checkpoint').rglob('*.*')} <= {
        '.json', '.safetensors', '.jinja'}
    assert loaded.infer(observation(loaded.example_instruction)).actions.shape == (8, 8)


@pytest.mark.parametrize('name, tied', [
    ('paligemma', True), ('paligemma2', False), ('smolvlm', False), ('qwen2_5_vl', True),
    ('qwen3_vl', False)])
def test_a_policy_that_speaks_says_the_same_after_its_checkpoint(name, tied, tmp_path):
    weights = published(name, tmp_path / 'published', tied=tied)
    made = parts(name, tmp_path / 'published', text_tokens=4)
    table, head = weights.get_input_embeddings().weight, made.model.backbone.head
    assert (head is None) == tied
    if head is not None:
        published_head = transformers.AutoModelForImageTextToText.from_pretrained(
            tmp_path / 'published').lm_head.weight
        assert torch.equal(head.weight, published_head)
        assert not torch.equal(head.weight, table)
    torch.nn.init.normal_(made.model.text.boblk, std=1e-3)  # so small that words are likelier
    policy = FASTerPolicy(made)
    answer = policy.infer(observation())
    made.save(tmp_path / 'checkpoint', {})
    tensors = load_file(tmp_path / 'checkpoint' / 'policy.safetensors')
    assert sum(tensor.shape == table.shape for tensor in tensors.values()) == 2 - tied
    loaded = FASTerPolicy.from_pretrained(tmp_path / 'checkpoint', SPEC)
    assert loaded.said == ''
    assert np.array_equal(loaded.infer(observation()).actions, answer.actions)
    assert loaded.said == policy.said != ''
    assert (loaded.parts.model.backbone.head is None) == tied


def test_a_language_head_that_is_missing_is_named(tmp_path):
    published('smolvlm', tmp_path)
    tensors = load_file(tmp_path / 'model.safetensors')
    del tensors['lm_head.weight']
    save_file(tensors, tmp_path / 'model.safetensors', {'format': 'pt'})
    parts('smolvlm', tmp_path)
    with pytest.raises(ValueError, match='1 weights are missing, first lm_head.weight'):
        parts('smolvlm', tmp_path, text_tokens=4)


def test_a_bfloat16_checkpoint_stays_one_and_answers(tmp_path):
    published('paligemma', tmp_path / 'published')
    made = parts('paligemma', tmp_path / 'published')
    for weight in made.model.parameters():
        weight.data = weight.data.bfloat16()
    made.save(tmp_path / 'checkpoint', {})
    loaded = load_policy(tmp_path / 'checkpoint', SPEC)
    assert {weight.dtype for weight in loaded.parts.model.parameters()} == {torch.bfloat16}
    assert np.isfinite(loaded.infer(observation()).actions).all()


@pytest.mark.parametrize('file, message', [
    ('config.json', r'backbone .*published: config\.json is not usable'),
    ('model.safetensors', r'backbone .*published: the weights are not usable'),
    ('tokenizer.json', r'image processor and tokenizer of .*published are not usable'),
    ('preprocessor_config.json', r'image processor and tokenizer of .*published are not usable'),
])
def test_a_file_that_a_backbone_lacks_is_an_error_of_its_folder(tmp_path, file, message):
    published('paligemma', tmp_path / 'published')
    (tmp_path / 'published' / file).unlink()
    with pytest.raises(ValueError, match=message):
        parts('paligemma', tmp_path / 'published')


def test_missing_weights_are_named(tmp_path):
    published('paligemma', tmp_path)
    tensors = load_file(tmp_path / 'model.safetensors')
    key = next(name for name in tensors if 'layers.2.mlp.down_proj' in name)
    del tensors[key]
    save_file(tensors, tmp_path / 'model.safetensors', {'format': 'pt'})
    with pytest.raises(ValueError, match=r'1 weights are missing, first .*2\.mlp\.down_proj'):
        parts('paligemma', tmp_path)


def test_a_checkpoint_without_its_processor_is_refused(tmp_path):
    published('smolvlm', tmp_path / 'published')
    made = parts('smolvlm', tmp_path / 'published')
    made.preprocessor = None
    made.save(tmp_path / 'checkpoint', {})
    with pytest.raises(ValueError, match='processor/ is missing'):
        load_policy(tmp_path / 'checkpoint', SPEC)


def test_images_are_resized_by_pillow_wherever_torchvision_is_installed(tmp_path, monkeypatch):
    published('paligemma', tmp_path)
    asked, read = [], transformers.AutoImageProcessor.from_pretrained

    def noted(source, **how):
        asked.append(how)
        return read(source, **how)

    monkeypatch.setattr(transformers.AutoImageProcessor, 'from_pretrained', noted)
    processor = load_processor(tmp_path, config('paligemma')).image_processor
    assert asked == [{'backend': 'pil'}]
    assert type(processor).__name__.endswith('Pil')


@pytest.mark.weights
@torch.no_grad()
def test_published_weights_on_this_machine_compute_what_the_library_does():
    folder = os.environ.get('FASTER_ROS_WEIGHTS')
    if not folder:
        pytest.skip('FASTER_ROS_WEIGHTS names no folder of a vision-language model')
    vlm = read_vlm_config(folder)
    policy_config = config('paligemma', backbone=vlm, state_dim=8, max_words=PROMPT_TOKENS)
    backbone = load_backbone(folder, vlm, 8).eval()
    make = load_processor(folder, policy_config)
    views = np.random.default_rng(0).integers(0, 255, (2, 480, 640, 3), np.uint8)
    seen = make(list(views), np.zeros(8), 'pick up the red cube and place it in the bowl')
    text = (seen.words != PADDING) & (seen.words != backbone.model.config.image_token_id)
    assert 10 < text.sum() <= PROMPT_TOKENS
    prefix, layers = backbone(seen), library_layers(backbone.model, vlm.name, seen)
    kept = (seen.words != PADDING)[:, None, :, None]
    for index, layer in enumerate(layers):
        torch.testing.assert_close(prefix.keys[index] * kept, layer.keys * kept, atol=2e-3,
                                   rtol=2e-3)
        torch.testing.assert_close(prefix.values[index] * kept, layer.values * kept, atol=2e-3,
                                   rtol=2e-3)


def test_a_model_of_another_family_is_refused(tmp_path):
    transformers.LlamaConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="backbone 'llama' is unknown; expected one of tiny"):
        read_vlm_config(tmp_path)


def test_a_name_that_is_nowhere_is_an_error_that_repeats_it():
    with pytest.raises(ValueError, match="'nobody/nothing' is neither a folder nor on the hub"):
        FASTerPolicy.from_pretrained('nobody/nothing', SPEC)
