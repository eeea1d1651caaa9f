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
"""Policies of random weights compute what one with trained weights would: nothing is left out."""

from faster_ros.policy.sizes import random_policy, size_config, SIZES
import pytest
import torch

pytest.importorskip('transformers', reason='transformers is not installed')

from small_vlms import batch, config, FAMILIES  # noqa: E402, I100

CPU = torch.device('cpu')


def filled_with_what_memory_held(make, dtype=torch.float32):
    """Return a random policy, made where memory holds anything but ones and zeros."""
    empty = torch.empty

    def used(*sizes, **how):
        made = empty(*sizes, **how)
        return made.fill_(float('nan')) if made.is_floating_point() else made

    torch.empty = used
    try:
        return random_policy(make, CPU, dtype)
    finally:
        torch.empty = empty


@torch.no_grad()
@pytest.mark.parametrize('name', FAMILIES)
@pytest.mark.parametrize('state_input', ['text', 'token'])
def test_every_weight_is_set_and_two_frames_differ(name, state_input):
    policy = filled_with_what_memory_held(config(name, state_input=state_input))
    assert all(weight.isfinite().all() for weight in policy.state_dict().values())
    prefix = policy.prefix(batch(name, state_input=state_input))
    for keys, values in zip(prefix.keys, prefix.values):
        assert keys.isfinite().all()
        assert values.isfinite().all()
    first, second = prefix.values[-1]
    assert (first - second).abs().max() > 1e-6


def test_the_tiny_policy_of_random_weights_is_finite():
    policy = filled_with_what_memory_held(size_config(SIZES['tiny'], 3, 7, 64, 2))
    assert all(weight.isfinite().all() for weight in policy.state_dict().values())
