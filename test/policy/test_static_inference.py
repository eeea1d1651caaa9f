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
"""Fused products and recorded parts compute what the plain policy does, for every backbone."""

import copy

from decoding_steps import decoded_in_steps
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.decode_deadline import DecodeDeadline
from faster_ros.policy.shared_products import share_products
from faster_ros.policy.sizes import random_policy, RandomCameras, size_config, SIZES
from faster_ros.policy.static_inference import (
    compiled,
    inference_dtype,
    StaticDecoding,
    StaticInference,
)
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
import pytest
from recorded_graph import recorded
import torch

pytest.importorskip('transformers', reason='transformers is not installed')

from small_vlms import batch, codes, config, FAMILIES, model  # noqa: E402, I100

EVERY_FAMILY = pytest.mark.parametrize('name', FAMILIES)
EVERY_DECODER = pytest.mark.parametrize('expert', ['gated', 'none'])


def rows(observations):
    """Return the observations of a batch, one by one."""
    return [PolicyInput(observations.images[row:row + 1], observations.words[row:row + 1],
                        observations.state[row:row + 1])
            for row in range(len(observations.state))]


@torch.no_grad()
@EVERY_FAMILY
@EVERY_DECODER
def test_products_that_are_shared_compute_the_same(name, expert):
    plain = model(name, expert=expert)
    fused = copy.deepcopy(plain)
    assert share_products(fused.backbone) >= 15  # query, key, value, gate and value of 3 layers
    torch.testing.assert_close(fused.logits(batch(name), codes()),
                               plain.logits(batch(name), codes()), atol=1e-4, rtol=1e-4)


def test_shared_products_are_saved_as_the_layers_they_were():
    plain = model('smolvlm')
    fused = copy.deepcopy(plain)
    share_products(fused)
    saved = fused.state_dict()
    assert list(saved) == list(plain.state_dict())
    assert all(torch.equal(saved[key], weight) for key, weight in plain.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize('name', [name for name in FAMILIES if name != 'qwen3_vl'])
@EVERY_DECODER
@pytest.mark.parametrize('block_size', [1, 4])
def test_a_recorded_call_answers_each_observation_as_the_plain_one(name, expert, block_size):
    policy = model(name, expert=expert, block_size=block_size)
    static, made = StaticInference(policy, recorded), []
    forward = policy.expert.forward

    def kept(*arguments):
        made.append(forward(*arguments))
        return made[-1]

    policy.expert.forward = kept
    static.generate(rows(batch(name))[0])
    policy.expert.forward = forward
    recorded_logits = made[1::2]  # each pass runs once before it is recorded
    for observation in rows(batch(name, 3)):
        chosen, logits = decoded_in_steps(policy, observation)
        assert torch.equal(static.generate(observation), chosen)
        torch.testing.assert_close(torch.cat(recorded_logits, 1), torch.cat(logits, 1),
                                   atol=1e-5, rtol=1e-5)


def test_the_tiny_backbone_is_recorded_too_and_new_shapes_anew():
    policy = random_policy(size_config(SIZES['tiny'], 3, 7, 64, 2), torch.device('cpu'),
                           torch.float32)
    static = StaticInference(policy, recorded)
    look = RandomCameras(policy.config, torch.device('cpu'))
    one, two = look(), look()
    both = PolicyInput(*(torch.cat([getattr(one, name), getattr(two, name)])
                         for name in ('images', 'words', 'state')))
    for observation in (one, two, both, two):
        assert torch.equal(static.generate(observation), policy.generate(observation))


@torch.no_grad()
def test_a_recorded_call_gives_the_same_shares():
    policy = model('paligemma', mean_latent=True)
    static = StaticInference(policy, recorded)
    for observation in rows(batch('paligemma', 3)):
        torch.testing.assert_close(static.generate(observation, shares=True),
                                   policy.generate(observation, shares=True))


@torch.no_grad()
def test_a_recorded_call_draws_anew_at_each_call_and_is_greedy_at_top_k_one():
    policy = model('paligemma', temperature=1.0)
    static = StaticInference(policy, recorded)
    drawn = {tuple(static.generate(batch('paligemma')).flatten().tolist()) for _ in range(4)}
    assert len(drawn) == 4
    greedy = StaticInference(model('paligemma', temperature=1.0, top_k=1), recorded)
    assert torch.equal(greedy.generate(batch('paligemma')),
                       model('paligemma').generate(batch('paligemma')))


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.parametrize('name', ['paligemma', 'qwen2_5_vl'])
def test_a_compiled_policy_chooses_the_same_codes_and_leaves_the_plain_one_alone(name):
    plain = model(name)
    share_products(plain.backbone)
    fused = compiled(plain, 'eager')  # the graphs of torch.compile, without its code generator
    for observation in rows(batch(name)):
        chosen = plain.generate(observation)
        assert torch.equal(fused.generate(observation), chosen)
        assert torch.equal(StaticInference(fused, recorded).generate(observation), chosen)
    assert fused.expert.level_head is plain.expert.level_head
    assert 'forward' not in vars(plain.expert)


@torch.no_grad()
@pytest.mark.parametrize('slots', [0, 4])
def test_a_recorded_tokenizer_decodes_whatever_levels_are_there(slots):
    grid = TokenizerConfig(8, {'arm': [1, 0, 2], 'gripper': [3]}, time_patch=2, width=16, layers=1,
                           latent_dim=16, code_dim=4, codebook_size=16, slots=slots)
    tokenizer = FASTerVQ(grid)
    if slots:
        tokenizer.quantizer.codebooks.normal_()
    else:
        tokenizer.train()(torch.randn(64, 8, 4).clamp(-1, 1))  # makes codebooks
    tokenizer.eval()
    static = StaticDecoding(tokenizer.decode_chosen, grid.levels, recorded)
    mean = StaticDecoding(tokenizer.decode_mean, grid.levels, recorded)
    for rows, levels in ((1, 3), (1, 1), (1, 2), (2, 2), (1, 3)):
        chosen = torch.randint(0, 16, (rows, levels, grid.codes_per_level))
        torch.testing.assert_close(static(chosen), tokenizer.decode(chosen), atol=1e-5, rtol=1e-5)
        shares = torch.rand(rows, levels, grid.codes_per_level, 16)
        torch.testing.assert_close(mean(shares), tokenizer.decode_mean(shares), atol=1e-5,
                                   rtol=1e-5)


def test_a_tokenizer_that_cannot_be_recorded_is_called_plainly_with_a_warning():
    static = StaticDecoding(lambda codes: codes.float(), 3, refuse)
    with pytest.warns(UserWarning, match='not recorded as CUDA graphs .*stream is capturing'):
        assert static(torch.ones(1, 2, 4, dtype=torch.long)).shape == (1, 2, 4)
    assert static(torch.ones(1, 3, 4, dtype=torch.long)).shape == (1, 3, 4)


def test_a_deadline_ends_a_recorded_call_between_two_levels():
    policy = model('paligemma')
    static = StaticInference(policy, recorded)
    whole = policy.generate(batch('paligemma'))
    assert torch.equal(static.generate(batch('paligemma'), deadline=DecodeDeadline(-1)),
                       whole[:, :1])
    assert torch.equal(static.generate(batch('paligemma'), levels=2), whole[:, :2])


@pytest.mark.gpu
def test_a_cuda_graph_answers_as_the_plain_call():
    if not torch.cuda.is_available():
        pytest.skip('torch finds no CUDA device here')
    policy = model('paligemma').cuda()
    static = StaticInference(policy)
    for observation in rows(batch('paligemma', 3)):
        observation = observation.to(torch.device('cuda'))
        assert torch.equal(static.generate(observation), policy.generate(observation))


def refuse(work):
    raise RuntimeError('operation not permitted when stream is capturing')


@pytest.mark.parametrize('name, record, reason', [
    ('paligemma', refuse, 'stream is capturing'), ('qwen3_vl', recorded, 'that a mask finds')])
def test_what_cannot_be_recorded_is_called_plainly_with_a_warning(name, record, reason):
    policy = model(name)
    static = StaticInference(policy, record)
    with pytest.warns(UserWarning, match=f'not recorded as CUDA graphs .*{reason}'):
        chosen = static.generate(batch(name))
    assert torch.equal(chosen, policy.generate(batch(name)))
    assert torch.equal(static.generate(batch(name)), chosen)


def full(work):
    raise torch.OutOfMemoryError('tried to allocate 6 GiB')


def test_memory_that_runs_out_while_recording_is_not_taken_for_a_refusal():
    static = StaticInference(model('paligemma'), full)
    for _ in range(2):  # nor the next time: memory may be there then
        with pytest.raises(torch.OutOfMemoryError, match='6 GiB'):
            static.generate(batch('paligemma'))


def test_only_a_vision_language_model_on_a_gpu_computes_in_bfloat16():
    cuda, cpu = torch.device('cuda'), torch.device('cpu')
    tiny = size_config(SIZES['tiny'], 3, 7, 64, 2)
    assert inference_dtype(config('smolvlm'), cuda) == torch.bfloat16
    assert {inference_dtype(*made) for made in (
        (tiny, cuda), (tiny, cpu), (config('smolvlm'), cpu))} == {torch.float32}
