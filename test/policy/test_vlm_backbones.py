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
"""
The rules that decoding rests on, for the real classes of each family at a small size.

Weights are random and nothing comes from a network. The `tiny` backbone's are in
test_faster_vla.py.
"""

import json

from decoding_steps import decoded_in_steps
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.backbones.pretrained import PADDING
from faster_ros.policy.block_decoding import boblk_id
from faster_ros.policy.config import PolicyConfig
import numpy as np
import pytest
import torch

pytest.importorskip('transformers', reason='transformers is not installed')

from small_vlms import (  # noqa: E402, I100, I202
    batch,
    codes,
    config,
    FAMILIES,
    images,
    library_layers,
    model,
    preprocessor,
)

EVERY_FAMILY = pytest.mark.parametrize('name', FAMILIES)
EVERY_DECODER = pytest.mark.parametrize('expert', ['gated', 'none'])


def padded(observations, more=3):
    """Return the batch with more padding on the left."""
    words = torch.nn.functional.pad(observations.words, (more, 0), value=PADDING)
    return PolicyInput(observations.images, words, observations.state)


@torch.no_grad()
@EVERY_FAMILY
def test_the_prefix_is_what_the_library_computes_itself(name):
    policy = model(name)
    observations = batch(name)
    layers = library_layers(policy.backbone.model, name, observations)
    mask = observations.words != PADDING
    prefix = policy.backbone(observations)
    seen = mask[:, None, :, None]
    for index, layer in enumerate(layers):
        torch.testing.assert_close(prefix.keys[index] * seen, layer.keys * seen,
                                   atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(prefix.values[index] * seen, layer.values * seen,
                                   atol=1e-4, rtol=1e-4)


@torch.no_grad()
@EVERY_FAMILY
@EVERY_DECODER
@pytest.mark.parametrize('block_size', [1, 4])
def test_teacher_forced_logits_equal_cached_stepwise_decoding(name, expert, block_size):
    policy = model(name, expert=expert, block_size=block_size)
    observations = batch(name)
    chosen, steps = decoded_in_steps(policy, observations)
    assert len(steps) == 12 // block_size
    torch.testing.assert_close(policy.logits(observations, chosen), torch.cat(steps, 1),
                               atol=1e-4, rtol=1e-4)


@torch.no_grad()
@EVERY_FAMILY
@EVERY_DECODER
def test_blocks_of_one_are_decoding_token_by_token(name, expert):
    policy = model(name, expert=expert, block_size=1)
    observations = batch(name)
    flat = torch.zeros(2, 0, dtype=torch.long)
    for place in range(12):  # each token from all before it, nothing cached
        unknown = torch.full((2, 12 - place), boblk_id(16))
        logits = policy.logits(observations, torch.cat([flat, unknown], 1).unflatten(1, (3, 4)))
        flat = torch.cat([flat, logits[:, place:place + 1].argmax(-1)], 1)
    assert torch.equal(policy.generate(observations).flatten(1), flat)


@torch.no_grad()
@EVERY_FAMILY
@EVERY_DECODER
def test_a_block_never_sees_itself_and_later_blocks_do(name, expert):
    policy = model(name, expert=expert)
    original, changed = codes(), codes()
    changed[:, 1] = (changed[:, 1] + 7) % 16
    before = policy.logits(batch(name), original)
    after = policy.logits(batch(name), changed)
    assert torch.equal(before[:, :8], after[:, :8])
    assert (before[:, 8:] - after[:, 8:]).abs().max() > 1e-3


@torch.no_grad()
@EVERY_FAMILY
@pytest.mark.parametrize('state_input', ['text', 'token'])
def test_padding_on_the_left_changes_nothing(name, state_input):
    policy = model(name, state_input=state_input)
    observations = batch(name, state_input=state_input)
    torch.testing.assert_close(policy.logits(padded(observations), codes()),
                               policy.logits(observations, codes()), atol=1e-4, rtol=1e-4)


@torch.no_grad()
@EVERY_FAMILY
def test_every_camera_the_words_and_the_joints_reach_the_actions(name):
    policy, make = model(name), preprocessor(name)
    joints = np.array([0.1, 0.2, 0.3])
    usual = images()

    def logits(pictures=usual, state=joints, words='pick up the red cube'):
        return policy.logits(make(pictures, state, words), codes(1))

    for other in (logits([usual[1], usual[1]]), logits([usual[0], usual[0]]),
                  logits(state=-joints), logits(words='pick up the cube')):
        assert (other - logits()).abs().max() > 1e-3


@torch.no_grad()
@EVERY_FAMILY
def test_an_embedded_state_reaches_the_actions(name):
    policy = model(name, state_input='token')
    make = preprocessor(name, state_input='token')
    near, far = (make(images(), np.full(3, value), 'pick up the red cube') for value in (0, 1))
    assert torch.equal(near.words, far.words)
    assert (policy.logits(near, codes(1)) - policy.logits(far, codes(1))).abs().max() > 1e-3


def test_a_prompt_is_split_into_tokens_once_while_words_and_joints_stay():
    make, state = preprocessor('smolvlm', state_input='token'), np.zeros(3)
    split, asked = make.tokenizer, []

    def counted(prompt, **how):
        asked.append(prompt)
        return split(prompt, **how)

    make.tokenizer = counted
    first, second = (make(images(seed), state, 'pick the cube') for seed in (1, 2))
    assert torch.equal(first.words, second.words)
    assert len(asked) == 1
    other = make(images(), state, 'pick up the cube')
    assert len(asked) == 2
    assert not torch.equal(other.words, first.words)


@EVERY_FAMILY
def test_an_instruction_that_does_not_fit_or_imitates_an_image_is_refused(name):
    make = preprocessor(name)
    with pytest.raises(ValueError, match='at most 40'):
        make(images(), np.zeros(3), 'pick up the red cube ' * 10)
    with pytest.raises(ValueError, match='holds <image>, which stands for an image'):
        make(images(), np.zeros(3), 'pick up the <image>')
    with pytest.raises(ValueError, match='instruction is empty'):
        make(images(), np.zeros(3), ' ')


def test_joints_become_integers_of_bins():
    make = preprocessor('paligemma')
    words = make(images(), np.array([-1.0, 0.0, 2.0]), 'pick').words[0]
    text = make.tokenizer.decode(words[words >= 0]).split('State')[1]
    assert text.split()[1:4] == ['0', '128', '255']


@EVERY_FAMILY
def test_a_config_survives_json(name):
    described = config(name, state_input='token')
    assert PolicyConfig.from_dict(json.loads(json.dumps(described.to_dict()))) == described


def test_a_state_input_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="state_input must be one of text, token, got 'voice'"):
        config('smolvlm', state_input='voice')


@pytest.mark.parametrize('name, expert', [
    ('paligemma', 'none'), ('paligemma2', 'gated'), ('smolvlm', 'none'), ('qwen2_5_vl', 'gated'),
    ('qwen3_vl', 'none')])
def test_a_policy_learns_through_its_backbone(name, expert):
    torch.manual_seed(0)
    policy = model(name, expert=expert).train()
    observations, wanted = batch(name, 4), codes(4)
    optimizer = torch.optim.AdamW(policy.parameters(), 3e-3)
    first = policy(observations, wanted).sum().item()
    for _ in range(15):
        loss = policy(observations, wanted).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.8 * first
    assert all(weight.grad is not None for weight in policy.expert.parameters())
