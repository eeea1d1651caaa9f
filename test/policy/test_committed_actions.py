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
"""The committed actions reach the policy, as deltas, and only as many as it takes."""

from faster_ros.data.normalisation import Normaliser
from faster_ros.policy.backbones.base import PolicyInput
from faster_ros.policy.committed_actions import committed_input
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.policy.faster_vla import FASTerVLA
import numpy as np
import pytest
import torch

SCALE = Normaliser(-0.1 * np.ones(3), 0.1 * np.ones(3))
HERE = np.array([1.0, 2.0, 0.0])


def policy(rows: int) -> FASTerVLA:
    """Return a random policy of three joints that takes so many committed rows."""
    torch.manual_seed(0)
    return FASTerVLA(PolicyConfig(
        ('front',), ('pick',), 2, 3, 2, 4, 16, 4,
        BackboneConfig(image_width=32, image_height=24, channels=8, keypoints=4,
                       tokens_per_camera=2, width=16, layers=2, heads=2, head_dim=8),
        expert_width=16, committed_rows=rows)).eval()


def batch(committed=None) -> PolicyInput:
    """Return a fixed observation with these committed actions."""
    generator = torch.Generator().manual_seed(1)
    return PolicyInput(torch.rand(1, 1, 3, 24, 32, generator=generator), torch.tensor([[0, 1]]),
                       torch.rand(1, 3, generator=generator),
                       None if committed is None else torch.from_numpy(committed)[None])


def test_rows_are_steps_from_the_measured_joints_and_the_gripper_is_absolute():
    committed = np.array([[1.01, 2.0, 0.1], [1.05, 1.98, -0.1]])
    rows = committed_input(committed, HERE, [2], SCALE, 4)
    np.testing.assert_allclose(rows, [[0.1, 0, 1, 1], [0.4, -0.2, -1, 1], [0] * 4, [0] * 4],
                               atol=1e-6)


def test_what_is_committed_beyond_the_trained_delay_is_cut_off():
    rows = committed_input(np.tile(HERE, (9, 1)), HERE, [2], SCALE, 4)
    assert rows.shape == (4, 4)
    assert rows[:, 3].all()


@pytest.mark.parametrize('committed', [np.zeros((2, 2)), np.full((2, 3), np.nan), np.zeros(3)])
def test_committed_actions_of_another_shape_or_not_finite_are_refused(committed):
    with pytest.raises(ValueError, match='committed actions must be finite numbers of shape'):
        committed_input(committed, HERE, [2], SCALE, 4)


@torch.no_grad()
def test_committed_actions_change_what_a_policy_that_takes_them_answers():
    some = committed_input(np.tile(HERE + 0.05, (3, 1)), HERE, [2], SCALE, 4)
    none = committed_input(None, HERE, [2], SCALE, 4)
    codes = torch.zeros(1, 2, 4, dtype=torch.long)
    takes = policy(4)
    assert not torch.equal(takes.logits(batch(some), codes), takes.logits(batch(none), codes))
    assert torch.equal(takes.logits(batch(), codes), takes.logits(batch(none), codes))


@torch.no_grad()
def test_a_policy_without_the_input_ignores_them_and_has_no_weights_for_them():
    plain = policy(0)
    codes = torch.zeros(1, 2, 4, dtype=torch.long)
    some = committed_input(HERE[None], HERE, [2], SCALE, 4)
    assert torch.equal(plain.logits(batch(some), codes), plain.logits(batch(), codes))
    assert not any('committed' in name for name in plain.state_dict())
