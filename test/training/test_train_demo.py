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
"""The two-minute variant of the demo's training: everything real, only less of it."""

import json
import subprocess
import sys
from types import SimpleNamespace

from faster_ros.policy.checkpoint import load_policy
from faster_ros.robot_spec import load_robot_spec
from faster_ros.training.demonstrations import batches, Demonstrations
from faster_ros.training.train_demo import DemoTraining, QUICK, unseen
from faster_ros.training.train_tokenizer import learning_rate_share
import numpy as np
import pytest
import torch


def test_a_pass_of_batches_meets_every_row_once():
    source = batches(10, 5, np.random.default_rng(0))
    assert sorted(np.concatenate([next(source), next(source)])) == list(range(10))


def test_the_learning_rate_warms_up_and_decays():
    shares = [learning_rate_share(step, 1000) for step in range(1000)]
    assert shares[0] < 0.02
    assert max(shares) == pytest.approx(0.98, abs=0.02)
    assert shares[-1] < 0.03


def walk(seed: int, steps: int) -> Demonstrations:
    """Return an episode of one joint that is led one way while the expert goes the other."""
    place = np.arange(steps, dtype=float)[:, None]
    chunks = place[:, None] - np.arange(6)[None, :, None]
    return Demonstrations(np.zeros((steps, 1, 1, 1, 3), np.uint8), place, chunks, place + 0.5,
                          np.repeat('walk', steps), np.full(steps, seed))


def test_a_chunk_with_a_delay_repeats_what_was_commanded_and_then_goes_on_as_the_expert_would():
    two = Demonstrations.concatenate([walk(3, 5), walk(4, 4)])
    chunks, delays = two.continued(np.full(9, 2))
    assert delays.tolist() == [2, 2, 2, 1, 0, 2, 2, 1, 0]
    assert chunks[0, :, 0].tolist() == [0.5, 1.5, 2.5, 1, 0, -1]  # the expert at 2: 1, 0, -1
    assert chunks[3, :, 0].tolist() == [3.5, 4.5, 3, 2, 1, 0]  # one step is left of the episode
    assert chunks[8].tolist() == two.actions[8].tolist()
    plain, _ = two.continued(np.zeros(9, int))
    assert np.array_equal(plain, two.actions)


def test_held_out_steps_are_of_episodes_that_were_not_trained_on():
    two = Demonstrations.concatenate([walk(3, 5), walk(4, 4)])
    assert unseen(two, 3).tolist() == unseen(two, 5).tolist() == [5, 6, 7, 8]


def test_the_error_of_the_tokenizer_is_that_on_chunks_it_was_not_fitted_to(tmp_path):
    run = DemoTraining(QUICK, load_robot_spec('fr3'), tmp_path, threads=1)
    run.parts = SimpleNamespace(tokenizer=SimpleNamespace(  # decodes everything to zeros
        config=SimpleNamespace(levels=2, codebook_size=4),
        encode=lambda chunks: torch.zeros(len(chunks), 2, 1, dtype=torch.int64),
        decode=lambda codes: torch.zeros(len(codes), 6, 1)))
    figures = run._tokenizer_figures(torch.zeros(5, 6, 1), torch.ones(3, 6, 1))
    assert figures == {'l1_by_levels': [1.0, 1.0], 'code_use': [0.25, 0.25]}


@pytest.mark.slow
def test_training_still_learns_and_writes_a_checkpoint_and_a_report(tmp_path):
    command = [sys.executable, '-m', 'faster_ros.cli.main', 'train', 'demo', '--quick',
               '--out', str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads((tmp_path / 'summary.json').read_text())
    tokenizer = [point['reconstruction'] for point in figures['tokenizer_curve']]
    policy = [point['level_0'] for point in figures['policy_curve']]
    assert tokenizer[-1] < 0.5 * tokenizer[0]
    assert policy[-1] < policy[0] - 1.5
    assert figures['token_accuracy'][0] > figures['token_majority'][0] + 0.05
    errors = figures['tokenizer']['l1_by_levels']
    assert errors[0] > errors[-1]
    assert (tmp_path / 'report.html').stat().st_size > 10_000
    assert load_policy(tmp_path / 'checkpoint', load_robot_spec('fr3')).action_horizon == 16
