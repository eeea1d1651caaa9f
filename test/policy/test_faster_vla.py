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
"""FASTerVLA: the block layout leaks nothing, caches exactly, and is invariant to padding."""

from decoding_steps import decoded_in_steps
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.block_decoding import (
    action_positions,
    block_mask,
    boblk_id,
    choose,
    expert_input,
)
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.decode_deadline import DecodeDeadline
from faster_ros.policy.faster_vla import FASTerVLA
import pytest
import torch

BACKBONE = BackboneConfig(image_width=32, image_height=24, channels=8, keypoints=4,
                          tokens_per_camera=2, width=16, layers=2, heads=2, head_dim=8)
WORDS = ('blue', 'cube', 'pick', 'red', 'the', 'up')


def config(**changes):
    """Return the config of a policy that computes in milliseconds: 3 levels x 4 codes."""
    return PolicyConfig(**{'cameras': ('front', 'wrist'), 'vocabulary': WORDS, 'max_words': 6,
                           'state_dim': 5, 'levels': 3, 'codes_per_level': 4,
                           'codebook_size': 16, 'block_size': 4, 'backbone': BACKBONE,
                           'expert_width': 16, **changes})


def model(seed=0, **changes):
    """Return a random policy ready for inference."""
    torch.manual_seed(seed)
    return FASTerVLA(config(**changes)).eval()


def batch(size=2, seed=3):
    """Return random observations."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.tensor([[0, 3, 6, 5, 4, 2]]).repeat(size, 1)
    return PolicyInput(torch.rand(size, 2, 3, 24, 32, generator=generator), words,
                       torch.rand(size, 5, generator=generator))


def codes(size=2, seed=5):
    """Return random codes."""
    return torch.randint(0, 16, (size, 3, 4), generator=torch.Generator().manual_seed(seed))


def test_the_input_is_boblk_copies_then_all_blocks_but_the_last():
    flat = torch.arange(6)[None]
    assert expert_input(flat, 2, 16).tolist() == [[16, 16, 0, 1, 2, 3]]


def test_the_mask_is_full_inside_a_block_and_causal_between_blocks():
    assert block_mask(4, 2).int().tolist() == [
        [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]


@torch.no_grad()
@pytest.mark.parametrize('block_size', [1, 2, 4, 12])
def test_a_block_never_sees_itself_and_later_blocks_do(block_size):
    policy = model(block_size=block_size)
    original, changed = codes(), codes()
    blocks = 12 // block_size
    block = blocks // 2
    span = slice(block * block_size, (block + 1) * block_size)
    changed.view(2, -1)[:, span] = (changed.view(2, -1)[:, span] + 7) % 16
    before, after = policy.logits(batch(), original), policy.logits(batch(), changed)
    assert torch.equal(before[:, :span.stop], after[:, :span.stop])
    if span.stop < 12:
        assert (before[:, span.stop:] - after[:, span.stop:]).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize('block_size', [1, 2, 4, 12])
def test_teacher_forced_logits_equal_cached_stepwise_decoding(block_size):
    policy = model(block_size=block_size)
    chosen, steps = decoded_in_steps(policy, batch())
    assert len(steps) == 12 // block_size
    torch.testing.assert_close(policy.logits(batch(), chosen), torch.cat(steps, 1),
                               atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_on_the_left_of_the_instruction_changes_nothing():
    policy = model()
    short = batch()
    padded = PolicyInput(short.images, torch.nn.functional.pad(short.words, (3, 0)), short.state)
    torch.testing.assert_close(policy.logits(short, codes()), policy.logits(padded, codes()))


def test_positions_of_action_tokens_are_distinct_in_training_and_inference():
    start = torch.tensor([7, 9])
    fixed = action_positions(start, torch.full((2, 4), 2))
    assert fixed.tolist() == [[8, 10, 12, 14], [10, 12, 14, 16]]
    drawn = action_positions(start, model().train()._gaps(torch.zeros(2, 12).long()))
    assert (drawn.diff(dim=1) >= 1).all()
    assert (drawn.diff(dim=1) <= 3).all()


@torch.no_grad()
def test_boblk_copies_give_different_outputs():
    policy = model()
    policy.expert.place.zero_()  # leave only the positions to tell the copies apart
    first = policy.logits(batch(), codes())[:, :4]
    assert (first[:, 0] - first[:, 1]).abs().max() > 1e-5


class Ticks:
    """A clock that goes on by one second with every look at it."""

    def __init__(self):
        self.seconds = 0

    def __call__(self):
        self.seconds += 1
        return self.seconds


@torch.no_grad()
@pytest.mark.parametrize('block_size', [1, 4])
@pytest.mark.parametrize('within_s, levels', [(-5, 1), (2, 1), (3, 2), (4, 3), (50, 3)])
def test_a_deadline_ends_decoding_with_the_levels_that_are_ready(block_size, within_s, levels):
    policy = model(block_size=block_size)
    whole = policy.generate(batch())
    # Seen at 1 s when it is made, at 2 s when decoding begins, then once for each level.
    in_time = policy.generate(batch(), deadline=DecodeDeadline(within_s, Ticks()))
    assert torch.equal(in_time, whole[:, :levels])


@torch.no_grad()
def test_a_deadline_inside_a_block_of_two_levels_keeps_both():
    policy = model(levels=4, block_size=8)
    late = policy.generate(batch(), deadline=DecodeDeadline(-1, Ticks()))
    assert late.shape == (2, 2, 4)


@torch.no_grad()
@pytest.mark.parametrize('block_size', [1, 4])
def test_shares_are_how_likely_the_codes_were_that_greedy_decoding_chose(block_size):
    policy = model(block_size=block_size, mean_latent=True, decode_levels=2)
    shares = policy.generate(batch(), shares=True)
    assert shares.shape == (2, 2, 4, 16)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 2, 4))
    assert torch.equal(shares.argmax(-1), policy.generate(batch()))


@torch.no_grad()
def test_fewer_levels_are_the_first_levels_of_all():
    policy = model()
    whole = policy.generate(batch())
    assert torch.equal(policy.generate(batch(), levels=1), whole[:, :1])
    assert torch.equal(policy.generate(batch(), levels=2), whole[:, :2])


def test_sampling_is_greedy_at_temperature_zero_and_stays_in_the_top_k():
    logits = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(2))
    assert torch.equal(choose(logits, 50, 0.0), logits.argmax(-1))
    best = logits.topk(3, -1).indices
    for _ in range(20):
        drawn = choose(logits, 3, 0.8)
        assert (drawn[..., None] == best).any(-1).all()


def test_codes_are_drawn_as_often_as_they_are_likely():
    torch.manual_seed(0)
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    drawn = choose(logits.expand(1, 20000, 4), 3, 1.0)[0]
    torch.testing.assert_close(drawn.bincount(minlength=4) / 20000,
                               torch.tensor([0.5, 0.3, 0.15, 0]) / 0.95, atol=0.015, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize('sampling', [{'temperature': 1e-4}, {'temperature': 5.0, 'top_k': 1}])
def test_the_smallest_temperature_and_a_top_k_of_one_are_greedy(sampling):
    greedy, sampled = model(), model(**sampling)
    assert torch.equal(sampled.generate(batch()), greedy.generate(batch()))


@torch.no_grad()
def test_a_temperature_of_the_config_draws_other_codes_each_time():
    policy = model(temperature=1.0)
    first, second = policy.generate(batch()), policy.generate(batch())
    assert first.shape == second.shape == (2, 3, 4)
    assert not torch.equal(first, second)


@pytest.mark.parametrize('sampling', [
    {'temperature': -0.1}, {'temperature': float('nan')}, {'temperature': float('inf')},
    {'top_k': 0}])
def test_sampling_that_does_not_exist_is_refused(sampling):
    with pytest.raises(ValueError, match='expected a finite temperature from 0 and top_k at'):
        config(**sampling)


def test_a_policy_learns_codes_that_follow_from_the_words_and_the_state():
    torch.manual_seed(0)
    policy = FASTerVLA(config()).train()
    observations, wanted = batch(32), codes(32)
    optimizer = torch.optim.AdamW(policy.parameters(), 5e-3)
    first = policy(observations, wanted).sum().item()
    for _ in range(60):
        loss = policy(observations, wanted).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * first


def test_a_head_that_starts_from_codebooks_scores_codes_alike_that_lie_near_each_other():
    policy = model()
    count = policy.config.codebook_size
    line = torch.arange(float(count))[None, :, None]  # codes on a line, in every level
    policy.expert.start_from_codebooks(line.repeat(policy.config.levels, 1, 1))
    scores = policy.logits(batch(), codes())
    to_next = scores.diff(dim=-1).abs()
    torch.testing.assert_close(to_next, to_next[..., :1].expand_as(to_next), rtol=1e-3, atol=1e-3)
    across = (scores[..., -1] - scores[..., 0]).abs()
    torch.testing.assert_close(across, (count - 1) * to_next[..., 0], rtol=1e-3, atol=1e-3)
    assert 0.5 < scores.std() < 10


def test_a_block_size_that_does_not_divide_the_tokens_is_refused():
    with pytest.raises(ValueError, match='block_size 5 must divide the 12 tokens'):
        config(block_size=5)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match="backbone 'huge' is unknown"):
        FASTerVLA(config(backbone=BackboneConfig(name='huge')))


def test_a_config_survives_json():
    assert PolicyConfig.from_dict(config().to_dict()) == config()
    with pytest.raises(ValueError, match='unknown key speed'):
        PolicyConfig.from_dict({**config().to_dict(), 'speed': 1})


@torch.no_grad()
@pytest.mark.parametrize('expert', ['plain', 'none'])
def test_blocks_of_one_are_decoding_token_by_token(expert):
    policy = model(block_size=1, expert=expert)
    flat = torch.zeros(2, 0, dtype=torch.long)
    for place in range(12):  # each token from all before it, nothing cached
        unknown = torch.full((2, 12 - place), boblk_id(16))
        logits = policy.logits(batch(), torch.cat([flat, unknown], 1).unflatten(1, (3, 4)))
        flat = torch.cat([flat, logits[:, place:place + 1].argmax(-1)], 1)
    assert torch.equal(policy.generate(batch()).flatten(1), flat)
