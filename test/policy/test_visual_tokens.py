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
"""Merged and kept image tokens: what stays equal, what is computed anew, what is refused."""

from dataclasses import replace

from faster_ros.policy.backbones.base import PolicyInput, PrefixTokens
from faster_ros.policy.visual_tokens import FrameReuse, merge_alike
import pytest
import torch

pytest.importorskip('transformers', reason='transformers is not installed')

from small_vlms import batch, codes, config, model  # noqa: E402, I100

NAMES = pytest.mark.parametrize('name', ['paligemma', 'smolvlm', 'qwen2_5_vl'])


def row(observations, index):
    """Return one observation of a batch."""
    return PolicyInput(*(getattr(observations, name)[index:index + 1]
                         for name in ('images', 'words', 'state')))


def assert_equal_prefix(found, expected):
    """Compare the keys and values of all tokens that are not padding."""
    assert torch.equal(found.mask, expected.mask)
    assert torch.equal(found.next_position, expected.next_position)
    seen = expected.mask[:, None, :, None]
    for one, other in zip(found.keys + found.values, expected.keys + expected.values):
        torch.testing.assert_close(one * seen, other * seen, atol=1e-4, rtol=1e-4)


def test_the_most_alike_image_tokens_become_their_mean_and_words_stay():
    x = torch.tensor([[[9.0, 9], [1, 0], [0, 1], [0, -1], [3, 1], [5, 5]]])
    images = torch.tensor([[False, True, True, True, True, False]])
    tokens = PrefixTokens(x, torch.ones(1, 6).bool(), torch.arange(6)[None], images, 4)
    merged = merge_alike(tokens, 0.75)  # may go: (0, 1) and (3, 1); the latter is most like (1, 0)
    assert merged.image_count == 3
    assert merged.x[0].tolist() == [[9, 9], [2, 0.5], [0, 1], [0, -1], [5, 5]]
    assert merged.positions.tolist() == [[0, 1, 2, 3, 5]]
    assert merged.images.tolist() == [[False, True, True, True, False]]


@torch.no_grad()
@NAMES
def test_a_policy_with_merged_tokens_has_fewer_and_answers(name):
    plain, policy = model(name), model(name, image_share=0.5)
    observations = batch(name)
    whole, merged = plain.embed(observations), policy.embed(observations)
    assert merged.image_count == whole.image_count - whole.image_count // 2
    assert merged.x.shape[1] == whole.x.shape[1] - whole.image_count // 2
    assert merged.images.sum(1).tolist() == [merged.image_count] * 2
    assert torch.equal(merged.next_position(), whole.next_position())
    assert torch.isfinite(policy.logits(observations, codes())).all()


@torch.no_grad()
@NAMES
def test_an_unchanged_frame_keeps_all_image_tokens_and_nothing_differs(name):
    policy = model(name)
    reuse = FrameReuse(policy.backbone, 0.01)
    seen = row(batch(name), 0)
    for anew in (1.0, 0.0):
        assert_equal_prefix(reuse(policy.embed(seen)), policy.prefix(seen))
        assert reuse.anew == anew


@torch.no_grad()
def test_causal_image_tokens_stay_right_whatever_words_and_joints_follow():
    policy = model('smolvlm')
    reuse = FrameReuse(policy.backbone, 0.01)
    first, second = row(batch('smolvlm'), 0), row(batch('smolvlm'), 1)
    second.images = first.images
    reuse(policy.embed(first))
    assert_equal_prefix(reuse(policy.embed(second)), policy.prefix(second))
    assert reuse.anew == 0.0


@torch.no_grad()
@NAMES
def test_what_moved_is_computed_anew_and_a_new_scene_completely(name):
    policy = model(name)
    tokens = policy.embed(row(batch(name), 0))
    reuse = FrameReuse(policy.backbone, 0.1)
    reuse(tokens)
    places = tokens.image_places()[0]
    moved = replace(tokens, x=tokens.x.clone())
    moved.x[0, places[-1]] *= -1
    prefix = reuse(moved)
    assert reuse.anew == 1 / len(places)
    expected = policy.backbone.encode(moved)
    torch.testing.assert_close(prefix.keys[0], expected.keys[0] * prefix.mask[:, None, :, None],
                               atol=1e-4, rtol=1e-4)  # the first layer sees no other token
    other = replace(tokens, x=-tokens.x)
    assert_equal_prefix(reuse(other), policy.backbone.encode(other))
    assert reuse.anew == 1.0
    reuse.forget()
    assert_equal_prefix(reuse(other), policy.backbone.encode(other))
    assert reuse.anew == 1.0


def test_what_cannot_be_saved_is_refused():
    with pytest.raises(ValueError, match='image_share from 0.5 to 1 .* got 0.2 and 0'):
        config('smolvlm', image_share=0.2)
    with pytest.raises(ValueError, match='0.5 and reuse_tolerance 0.1 exclude each other'):
        config('smolvlm', image_share=0.5, reuse_tolerance=0.1)
    policy, observations = model('qwen3_vl'), batch('qwen3_vl')
    with pytest.raises(ValueError, match='expected image_share 1'):
        merge_alike(policy.embed(observations), 0.5)
    with pytest.raises(ValueError, match='expected 0'):
        FrameReuse(policy.backbone, 0.1)(policy.embed(row(observations, 0)))
