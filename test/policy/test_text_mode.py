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
"""A text before the blocks, for the real classes of each family at a small size."""

import dataclasses
import json

from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.backbones.pretrained import PADDING
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.decode_deadline import DecodeDeadline
from faster_ros.policy.faster_vla import FASTerVLA
from faster_ros.policy.static_inference import prepare_inference, StaticInference
from faster_ros.policy.text_mode import text_loss
from faster_ros.policy.visual_tokens import FrameReuse
import numpy as np
import pytest
import torch

transformers = pytest.importorskip('transformers', reason='transformers is not installed')

from small_vlms import (  # noqa: E402, I100, I202
    batch,
    codes,
    config,
    FAMILIES,
    images,
    library_pass,
    model,
    preprocessor,
    VOCABULARY,
)

EVERY_FAMILY = pytest.mark.parametrize('name', FAMILIES)
EVERY_DECODER = pytest.mark.parametrize('expert', ['gated', 'none'])
MOST = 6
TEXTS = torch.tensor([[40, 41, 42, 43], [50, 51, PADDING, PADDING]])


def speaking(name, stops=False, **changes):
    """Return a policy that says words of no meaning; one that ``stops`` says BoBlk in between."""
    policy = model(name, **{'text_tokens': MOST, **changes})
    with torch.no_grad():
        policy.text.boblk.copy_(3 * stops * torch.randn(
            len(policy.text.boblk), generator=torch.Generator().manual_seed(2)))
    return policy


def observed(name, size=2, **changes):
    """Return observations with texts of different lengths."""
    seen = batch(name, size, text_tokens=MOST, **changes)
    seen.text = TEXTS[torch.arange(size) % 2]
    return seen


def row(observations, index, length):
    """Return one observation of a batch, its text without padding."""
    text = None if observations.text is None else observations.text[index:index + 1, :length]
    return PolicyInput(*(getattr(observations, field)[index:index + 1]
                         for field in ('images', 'words', 'state')), text=text)


def spoken(policy, prefix):
    """Return what is said after a prefix, and the scores of each step."""
    steps, scores = [], policy.text.scores

    def record(*arguments):
        steps.append(scores(*arguments))
        return steps[-1]

    policy.text.scores = record
    try:
        policy.text.say(policy.backbone, prefix)
    finally:
        del policy.text.scores
    return policy.text.said, torch.stack(steps, 1)


@torch.no_grad()
@EVERY_FAMILY
@pytest.mark.parametrize('stops', [False, True])
def test_scores_of_a_given_text_are_those_of_saying_it(name, stops):
    policy = speaking(name, stops)
    prefix = policy.prefix(observed(name, 6))
    said, steps = spoken(policy, prefix)
    _, scores = policy.text.follow(policy.backbone, prefix, said)
    assert scores.shape == (6, said.shape[1] + 1, VOCABULARY + 1)
    known = torch.nn.functional.pad(said != PADDING, (1, 0), value=True)[:, :steps.shape[1]]
    torch.testing.assert_close(scores[:, :steps.shape[1]][known], steps[known],
                               atol=1e-4, rtol=1e-4)


@torch.no_grad()
@EVERY_FAMILY
@pytest.mark.parametrize('tied', [True, False])
def test_the_words_are_those_of_the_library_itself(name, tied):
    policy, observations = speaking(name, tied=tied), observed(name)
    backbone = policy.backbone
    library = transformers.AutoModelForImageTextToText.from_config(backbone.model.config)
    library.model = backbone.model
    table = backbone.model.get_input_embeddings().weight
    library.lm_head.weight = table if tied else backbone.head.weight
    assert (backbone.head is None) == tied
    mask, made = observations.words != PADDING, library_pass(library.model, name, observations)
    prefix = policy.prefix(observations)
    torch.testing.assert_close(prefix.last, made.last_hidden_state[:, -1], atol=1e-4, rtol=1e-4)
    text = torch.tensor([[40, 41, 42], [50, 51, 52]])
    _, scores = policy.text.follow(backbone, prefix, text)
    for place in range(3):
        mask = torch.nn.functional.pad(mask, (0, 1), value=True)
        positions = (prefix.next_position + place)[:, None]
        if name.startswith('qwen'):
            positions = positions.expand(3, -1, -1)
        found = library(input_ids=text[:, place:place + 1], attention_mask=mask.long(),
                        position_ids=positions, past_key_values=made.past_key_values,
                        use_cache=True)
        torch.testing.assert_close(scores[:, place + 1, :-1], found.logits[:, 0],
                                   atol=1e-4, rtol=1e-4)


@torch.no_grad()
@EVERY_FAMILY
@EVERY_DECODER
def test_actions_see_the_text_and_text_and_prefix_see_no_actions(name, expert):
    policy, observations = speaking(name, expert=expert), observed(name)
    before = policy.logits(observations, codes())
    observations.text = observations.text.clone()
    observations.text[0, 3] += 1
    after = policy.logits(observations, codes())
    assert (before[0] - after[0]).abs().max() > 1e-3
    assert torch.equal(before[1], after[1])
    losses = [policy(observations, chosen)[-1] for chosen in (codes(seed=1), codes(seed=2))]
    assert torch.equal(*losses)


@torch.no_grad()
@EVERY_FAMILY
def test_a_token_sees_no_later_one_and_the_prefix_no_text(name):
    policy, observations = speaking(name), observed(name)
    prefix = policy.prefix(observations)
    changed = TEXTS.clone()
    changed[0, 2] += 1
    longer, scores = policy.text.follow(policy.backbone, prefix, TEXTS)
    _, others = policy.text.follow(policy.backbone, prefix, changed)
    assert torch.equal(scores[0, :3], others[0, :3])
    assert (scores[0, 3:] - others[0, 3:]).abs().max() > 1e-3
    for short, long in zip(prefix.keys + prefix.values, longer.keys + longer.values):
        assert torch.equal(long[:, :, :short.shape[2]], short)


@torch.no_grad()
@EVERY_FAMILY
@EVERY_DECODER
def test_a_row_is_taught_as_if_it_were_alone(name, expert):
    policy, observations = speaking(name, expert=expert), observed(name)
    together = policy.logits(observations, codes())
    for index, length in enumerate((4, 2)):
        alone = policy.logits(row(observations, index, length), codes()[index:index + 1])
        torch.testing.assert_close(together[index:index + 1], alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@EVERY_FAMILY
def test_a_row_speaks_and_acts_as_if_it_were_alone(name):
    policy = speaking(name, stops=True)
    observations = observed(name, 8)
    together = policy.generate(observations)
    said = policy.text.said
    lengths = (said != PADDING).sum(1)
    for index, length in enumerate(lengths.tolist()):
        alone = policy.generate(row(observations, index, 0))
        assert torch.equal(alone[0], together[index])
        assert torch.equal(policy.text.said[0], said[index, :length])


@torch.no_grad()
def test_rows_of_one_batch_end_their_texts_at_different_times():
    lengths = set()
    for name in FAMILIES:
        policy = speaking(name, stops=True)
        policy.generate(observed(name, 8))
        lengths |= set((policy.text.said != PADDING).sum(1).tolist())
    assert len(lengths) > 2


@torch.no_grad()
@EVERY_FAMILY
@pytest.mark.parametrize('state_input', ['text', 'token'])
def test_padding_on_the_left_changes_nothing(name, state_input):
    policy = speaking(name, state_input=state_input)
    observations = observed(name, state_input=state_input)
    padded = dataclasses.replace(observations, words=torch.nn.functional.pad(
        observations.words, (3, 0), value=PADDING))
    torch.testing.assert_close(policy.logits(padded, codes()),
                               policy.logits(observations, codes()), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(policy(padded, codes()), policy(observations, codes()))


@torch.no_grad()
@EVERY_FAMILY
def test_a_text_ends_with_boblk_or_at_its_most_tokens(name):
    policy, observations = speaking(name), observed(name)
    codes_after = policy.generate(observations)
    assert policy.text.said.shape == (2, MOST)
    assert (policy.text.said != PADDING).all()
    observations.text = policy.text.said
    torch.testing.assert_close(  # the last token is read, too
        policy.logits(observations, codes_after)[:, :4].argmax(-1), codes_after[:, 0])
    first = policy.prefix(observations).last
    policy.text.boblk.copy_(100 * first.mean(0))
    policy.generate(observations)
    assert policy.text.said.shape == (2, 0)


@torch.no_grad()
@EVERY_FAMILY
def test_a_policy_without_text_mode_computes_what_the_same_weights_do_with_one(name):
    policy, plain, observations = speaking(name), model(name), batch(name)
    weights = {key: weight for key, weight in policy.state_dict().items()
               if key not in ('text.boblk', 'backbone.head.weight')}
    assert set(weights) == set(plain.state_dict())
    plain.load_state_dict(weights)
    assert torch.equal(plain.logits(observations, codes()),
                       policy.logits(observations, codes(), policy.prefix(observations)))
    assert plain(observations, codes()).shape == (3,)
    assert plain.text is None


def test_a_loss_is_the_mean_over_the_tokens_and_one_boblk_of_each_text():
    scores = torch.zeros(2, 5, 61).index_fill(2, torch.tensor([60]), 2.0)
    share = torch.log_softmax(scores[0, 0], 0)
    expected = -((4 * share[0] + share[60]) / 5 + (2 * share[0] + share[60]) / 3) / 2
    torch.testing.assert_close(text_loss(scores, TEXTS), expected)


@EVERY_FAMILY
def test_a_policy_learns_to_say_a_text_and_to_stop(name):
    policy, observations = model(name, text_tokens=MOST).train(), observed(name)
    optimizer = torch.optim.AdamW(policy.parameters(), 3e-3)
    books = torch.randn(3, 16, 2)
    for _ in range(40):
        entropies, distances = policy(observations, codes(), books)
        assert entropies.shape == distances.shape == (4,)
        optimizer.zero_grad()
        (entropies.sum() + distances.sum()).backward()
        optimizer.step()
    policy.eval().generate(observations)
    assert torch.equal(policy.text.said, TEXTS)


@torch.no_grad()
@pytest.mark.parametrize('changes', [
    {'decode_levels': 2}, {'mean_latent': True}, {'image_share': 0.5}, {'block_size': 1},
    {'temperature': 0.8}, {'expert': 'none'}])
def test_text_mode_goes_with_every_way_of_decoding(changes):
    policy, observations = speaking('paligemma', stops=True, **changes), observed('paligemma')
    found = policy.generate(observations, deadline=DecodeDeadline(100.0),
                            shares=policy.config.mean_latent)
    assert found.shape[:3] == (2, policy.config.decode_levels or 3, 4)
    late = policy.generate(observations, deadline=DecodeDeadline(-1.0))
    assert late.shape == (2, 1, 4)
    assert policy.text.said.shape[0] == 2


@torch.no_grad()
@pytest.mark.parametrize('name', ['paligemma', 'smolvlm'])
def test_a_text_follows_a_prefix_that_is_kept_from_the_last_frame(name):
    policy = speaking(name, stops=True, reuse_tolerance=1e-9)
    generate = prepare_inference(policy, torch.device('cpu'), FrameReuse(policy.backbone, 1e-9))
    make = preprocessor(name, text_tokens=MOST)
    for seed in (1, 1, 2):
        observation = make(images(seed), np.zeros(3), 'pick up the red cube')
        answered, said = generate(observation), policy.text.said
        assert torch.equal(answered, policy.generate(observation))
        assert torch.equal(said, policy.text.said)


@torch.no_grad()
def test_a_call_with_text_is_never_recorded():
    policy, observations = speaking('paligemma'), observed('paligemma')

    def record(work):
        raise AssertionError('recorded')

    codes_found = StaticInference(policy, record).generate(observations)
    assert torch.equal(codes_found, policy.generate(observations))


@pytest.mark.parametrize('name', FAMILIES)
def test_a_prompt_ends_where_the_text_begins(name):
    make = preprocessor(name, text_tokens=MOST)
    words = make(images(), np.zeros(3), 'pick up the red cube').words[0]
    assert make.tokenizer.decode(words[words >= 0]).endswith('Subtask :')
    ids = make.text_ids(' grasp the red cube ')
    assert len(ids) == 4
    assert make.text_of(torch.tensor([*ids, PADDING, PADDING])) == 'grasp the red cube'
    with pytest.raises(ValueError, match="subtask 'grasp <image>' holds <image>"):
        make.text_ids('grasp <image>')


def test_a_config_with_text_survives_json_and_one_from_before_loads():
    described = config('smolvlm', text_tokens=8)
    plain = json.loads(json.dumps(described.to_dict()))
    assert PolicyConfig.from_dict(plain) == described
    del plain['text_tokens']
    assert PolicyConfig.from_dict(plain).text_tokens == 0


def test_text_mode_without_a_language_head_is_refused():
    with pytest.raises(ValueError, match="text_tokens needs .* 'tiny' has no language head"):
        config('smolvlm', text_tokens=8, backbone=BackboneConfig())
    with pytest.raises(ValueError, match='text_tokens must be at least 0, got -1'):
        config('smolvlm', text_tokens=-1)


def test_a_policy_without_text_mode_makes_no_head():
    assert FASTerVLA(config('smolvlm')).backbone.head is None
