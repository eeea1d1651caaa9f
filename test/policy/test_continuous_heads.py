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
"""Heads that the codes are compared with: open-ended sequences, regression, flow matching."""

from dataclasses import replace

from faster_ros.policy.backbones.base import PolicyInput, PrefixTokens
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.continuous_heads import FlowHead, RegressionHead
from faster_ros.policy.open_ended import OpenEndedVLA
import pytest
import torch

SMALL = BackboneConfig(image_width=16, image_height=12, channels=4, keypoints=2,
                       tokens_per_camera=1, width=16, layers=1, heads=2, head_dim=8)
END = 4


def config(tokens, codebook):
    """Return the config of a policy that computes in milliseconds."""
    return PolicyConfig(('front',), ('go', 'stop'), 1, 2, 1, tokens, codebook,
                        1 if codebook > 1 else tokens, SMALL, expert_width=16)


def batch(words):
    """Return observations that differ in their word only."""
    size = len(words)
    return PolicyInput(torch.zeros(size, 1, 3, 12, 16), torch.tensor(words)[:, None],
                       torch.zeros(size, 2))


def trained(model, targets, steps=150):
    """Return a model that was taught what belongs to the two words."""
    inputs, targets = batch([1, 2] * 16), targets.repeat(16, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(inputs, targets)
        assert loss.shape == (1,)
        loss.sum().backward()
        optimizer.step()
    return model.eval()


def test_an_open_ended_sequence_is_learned_with_its_end_and_stops_there():
    torch.manual_seed(0)
    taught = torch.tensor([[[0, 3, END, END, END, END]], [[2, 1, 0, END, END, END]]])
    model = trained(OpenEndedVLA(config(6, END + 1)), taught, 100)
    together = model.generate(batch([1, 2]))
    assert together.tolist() == [[[0, 3, END, END]], [[2, 1, 0, END]]]
    assert model.generate(batch([1])).tolist() == [[[0, 3, END]]]


def test_what_comes_after_the_end_teaches_nothing():
    torch.manual_seed(0)
    model = OpenEndedVLA(config(5, END + 1)).eval()
    losses = [model(batch([1]), torch.tensor([[[0, 1, END, *rest]]])).item()
              for rest in ((END, END), (0, 0), (3, 2))]
    assert losses[1] == pytest.approx(losses[0]) == pytest.approx(losses[2])


@pytest.mark.parametrize('head', [RegressionHead, FlowHead])
def test_a_head_learns_the_chunk_that_belongs_to_a_word(head):
    torch.manual_seed(0)
    chunks = torch.tensor([[[0.5, -0.5], [0.8, 0.1], [0.2, 0.9]],
                           [[-0.4, 0.3], [-0.9, 0.0], [0.0, -0.6]]])
    model = trained(head(config(3, 1), 2), chunks)
    answers = [model.decode(model.prefix(batch([1, 2]))) for _ in range(2)]
    assert torch.equal(*answers)  # equal input, equal output
    assert (answers[0] - chunks).abs().mean() < 0.15


@torch.no_grad()
def test_the_rows_of_a_head_see_each_other_and_differ():
    torch.manual_seed(0)
    model = RegressionHead(config(4, 1), 2).eval()
    before = model.decode(model.backbone(batch([1])))
    assert (before[0, 0] - before[0, 1]).abs().max() > 1e-4
    model.expert.place[3] += 1.0
    assert (model.decode(model.backbone(batch([1])))[0, 0] - before[0, 0]).abs().max() > 1e-6


@torch.no_grad()
def test_a_head_sees_image_tokens_merged_and_those_that_were_made_before():
    size = replace(SMALL, tokens_per_camera=4)
    head = RegressionHead(replace(config(3, 1), image_share=0.5, backbone=size), 2).eval()
    inputs = batch([1, 2])
    prefix, plain = head.prefix(inputs), head.backbone(inputs)
    assert prefix.mask.shape[1] == plain.mask.shape[1] - 2
    rows = [batch([1]), batch([2])]
    tokens = PrefixTokens.concatenate([head.backbone.embed(row) for row in rows])
    made = head.prefix(replace(inputs, tokens=tokens))
    for one, other in zip(made.keys + made.values, prefix.keys + prefix.values):
        torch.testing.assert_close(one, other)
    second = head.prefix(replace(rows[1], tokens=tokens.only(torch.tensor([1]).numpy())))
    torch.testing.assert_close(second.keys[0], prefix.keys[0][1:])
