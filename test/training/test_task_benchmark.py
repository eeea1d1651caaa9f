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
"""The paper's benchmark on the simulated tasks: its rows, its table, and that it runs."""

import csv
import json
from pathlib import Path

from faster_ros.bringup import default_checkpoint
from faster_ros.cli.benchmark import main
from faster_ros.data.normalisation import Normaliser
from faster_ros.evaluation.task_table import cells, markdown
from faster_ros.interfaces import ActionChunk, Observation
from faster_ros.policy.config import BackboneConfig, PolicyConfig
from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.pick_trials import PickTrials, run_together
from faster_ros.sim.simulator import TEST_SEED_START
from faster_ros.sim.tasks import VARIANTS
from faster_ros.tokenizer.config import TokenizerConfig
from faster_ros.tokenizer.faster_vq import FASTerVQ
from faster_ros.training.benchmark_rows import make_subject, row_named, ROWS
from faster_ros.training.demo_inputs import Normalisers
from faster_ros.training.grid_tokenizer import GridFasterVq
from faster_ros.training.task_policy import TaskPolicy
import numpy as np
import pytest
from safetensors.torch import load_file
import torch

SPEC = load_robot_spec('fr3')
CHUNKS = np.cumsum(np.random.default_rng(0).normal(0, 0.2, (64, 16, 8)), 1).clip(-1, 1)
SMALL = BackboneConfig(image_width=16, image_height=12, channels=4, keypoints=2,
                       tokens_per_camera=1, width=16, layers=1, heads=2, head_dim=8)
PASSES = {'bar': 3, 'ar': 24, 'binning': 128, 'bspline': 1, 'l1': 1, 'flow': 10, 'no_expert': 3,
          'block_4': 6, 'block_24': 1, 'levels_1': 1, 'levels_2': 2, 'bar_likeliest': 3,
          'bar_codebook_head': 3}


def subject(name):
    """Return an untrained row over a tokenizer that was shown a few chunks."""
    torch.manual_seed(0)
    grid = TokenizerConfig(16, {'arm': list(range(7)), 'gripper': [7]}, width=16, layers=1,
                           codebook_size=8)
    tokenizer = FASTerVQ(grid)
    tokenizer.train()(torch.from_numpy(CHUNKS).float())
    config = PolicyConfig(('front', 'wrist'), ('pick',), 2, 8, 3, 8, 8, 8, SMALL,
                          expert_width=16)
    return make_subject(row_named(name), GridFasterVq.of(tokenizer.eval()), config,
                        CHUNKS), config


def observation():
    """Return what a policy sees."""
    image = np.zeros((12, 16, 3), np.uint8)
    return Observation(7, {'front': image, 'wrist': image}, SPEC.home_positions, 'pick')


def policy(name):
    """Return a row as a policy of the FR3, and its model."""
    found, config = subject(name)
    found.model.eval()
    ranges = Normalisers(Normaliser(np.full(8, -0.1), np.full(8, 0.1)),
                         Normaliser(np.full(8, -3.0), np.full(8, 3.0)))
    return TaskPolicy(found, config, ranges, SPEC, 0.1), found


@pytest.mark.parametrize('name', PASSES)
def test_a_row_learns_from_chunks_and_answers_with_chunks_in_its_passes(name):
    answering, found = policy(name)
    loss = found.model(answering._batch([observation()] * 64), found.targets(CHUNKS)[:, 0])
    assert torch.isfinite(loss).all()
    chunks = answering.infer([observation(), observation()])
    assert [chunk.actions.shape for chunk in chunks] == [(16, 8), (16, 8)]
    assert (chunks[0].start_ns, chunks[0].step_ns) == (7, 100_000_000)
    with torch.inference_mode():
        answer = found.answer(found.model.prefix(answering._batch([observation()])))
    assert answer.passes == PASSES[name]
    assert found.reconstruct(CHUNKS[:3]).shape == (3, 16, 8)


def test_fast_fills_a_sequence_with_its_end_and_tells_it_back():
    found, _ = subject('fast')
    codes = found.targets(CHUNKS)[:, 0, 0]
    end = found.model.config.codebook_size - 1
    assert (codes[:, -1] == end).all()
    assert ((codes != end).sum(1) > 5).all()
    np.testing.assert_allclose(found.reconstruct(CHUNKS), CHUNKS, atol=0.3)


@torch.inference_mode()
@pytest.mark.parametrize('name', ['bar', 'ar', 'levels_1'])
def test_codes_of_fastervq_are_decoded_as_their_mean(name):
    answering, found = policy(name)
    prefix = found.model.prefix(answering._batch([observation()] * 2))
    shares = found.model.decode(prefix, row_named(name).levels, shares=True)
    torch.testing.assert_close(torch.from_numpy(found.answer(prefix).chunks).float(),
                               found._faster_vq.decode_mean(shares))


@torch.inference_mode()
def test_a_row_may_decode_only_the_likeliest_codes_of_the_same_weights():
    answering, found = policy('bar_likeliest')
    prefix = found.model.prefix(answering._batch([observation()]))
    codes = found.model.decode(prefix)
    likeliest = found.answer(prefix).chunks
    torch.testing.assert_close(torch.from_numpy(likeliest).float(),
                               found._faster_vq.decode(codes))
    mean = subject('bar')[0]
    mean.model.load_state_dict(found.model.state_dict())
    assert np.abs(mean.answer(prefix).chunks - likeliest).max() > 1e-3
    assert row_named('bar_likeliest@camera').weights == 'bar'


def test_tokens_that_stand_for_no_chunk_hold_the_pose_and_are_counted(monkeypatch):
    answering, found = policy('fast')
    nonsense = torch.zeros(1, 1, 3, dtype=torch.long)
    monkeypatch.setattr(found.model, 'decode', lambda *_: nonsense)
    chunk = answering.infer([observation()])[0]
    np.testing.assert_array_equal(chunk.actions, np.tile(SPEC.home_positions, (16, 1)))
    assert (answering.answers, answering.undecodable) == (1, 1)


def test_rows_of_other_worlds_take_the_weights_of_their_row():
    assert row_named('l1@camera').weights == 'l1'
    assert row_named('levels_2@camera').weights == 'bar'
    assert {row.variant for row in ROWS.values()} == set(VARIANTS)
    with pytest.raises(ValueError, match="row 'words' is unknown; expected some of bar, ar"):
        row_named('words')


@pytest.mark.slow
def test_trials_side_by_side_end_as_they_do_alone():
    def hold(observation):
        rows = np.repeat(observation.positions[None], 16, 0)
        rows[8:] = np.nan if 'red' in observation.instruction else rows[8:]
        return ActionChunk(observation.stamp_ns, 100_000_000, rows, SPEC.joint_names)

    seeds = range(TEST_SEED_START + 2, TEST_SEED_START + 6)
    players = [PickTrials(SPEC, None) for _ in range(2)]
    alone = [players[0].run(seed, hold) for seed in seeds]
    together = run_together(players, seeds, lambda some: [hold(each) for each in some])
    assert together == alone
    assert len({trial.fault for trial in alone}) > 1  # some end at once, others at the limit


def test_the_table_states_counts_intervals_and_ratios():
    row = {'row': {'text': 'the text'}, 'reconstruction': 0.01, 'reconstruction_mrad': 2.0,
           'policy_mrad': None, 'tasks': {'pick': {
               'successes': 9, 'trials': 10, 'interval_95': [0.596, 0.982], 'jerk_rms': 80.2,
               'undecodable': 0.25}}}
    times = {'bar': {'tokens': 24.0, 'passes': 3.0, 'p50_ms': 2.0},
             'ar': {'tokens': 24.0, 'passes': 24.0, 'p50_ms': 9.0}}
    columns = cells('ar', row, times)
    assert (columns['times BAR'], columns['pick success']) == (4.5, '9/10')
    assert columns['pick interval'] == '60% to 98%'
    assert '| ar | the text | 24.0 | 24.0 | 9.0 | 4.5 |' in markdown([columns])


@pytest.mark.slow
def test_the_command_writes_every_row_goes_on_where_it_was_and_keeps_its_plan(tmp_path, capsys):
    quick = ['tasks', '--quick', '--tasks', 'pick', 'bin', '--out', str(tmp_path), '--rows']
    assert main([*quick, 'bar', 'fast', 'l1']) == 0
    first = (tmp_path / 'rows' / 'bar.json').stat().st_mtime_ns
    assert main([*quick, 'bar', 'fast', 'l1', 'flow', 'levels_1', 'bar@camera']) == 0
    assert (tmp_path / 'rows' / 'bar.json').stat().st_mtime_ns == first
    results = json.loads((tmp_path / 'results.json').read_text())['rows']
    assert list(results) == ['bar', 'fast', 'l1', 'flow', 'levels_1', 'bar@camera']
    for row in results.values():
        assert {task: cell['trials'] for task, cell in row['tasks'].items()} == {
            'pick': 2, 'bin': 2}
    with (tmp_path / 'table.csv').open() as file:
        assert [row['passes'] for row in csv.DictReader(file)][0] == '3.0'
    assert (tmp_path / 'table.png').stat().st_size > 1000
    assert (tmp_path / 'table.md').read_text() in capsys.readouterr().out
    with pytest.raises(ValueError, match='holds a benchmark with steps 4, not 5; take the same'):
        main([*quick, 'bar', '--steps', '5'])
    path = tmp_path / 'rows' / 'bar.json'
    path.write_text(path.read_text().replace('"block": 8', '"block": 4'))
    with pytest.raises(ValueError, match="bar.json is of another row 'bar', .*another folder"):
        main([*quick, 'bar'])


@pytest.mark.slow
def test_rows_may_start_from_the_trunk_of_a_checkpoint_whose_vision_stays_as_it_is(tmp_path):
    assert main(['tasks', '--quick', '--tasks', 'pick', '--out', str(tmp_path), '--trunk',
                 default_checkpoint(), '--rows', 'bar', 'no_expert', 'l1']) == 0
    shipped = load_file(Path(default_checkpoint()) / 'policy.safetensors')
    for name in ('bar', 'no_expert', 'l1'):
        weights = load_file(tmp_path / 'rows' / f'{name}.safetensors')
        eyes = [key for key in weights if key.startswith('backbone.cameras')]
        assert eyes
        assert all(torch.equal(weights[key], shipped[key]) for key in eyes)
        learned = 'backbone.layers.0.qkv.weight'
        assert not torch.equal(weights[learned], shipped[learned])


def test_wrong_numbers_and_names_are_refused_before_anything_runs(tmp_path):
    start = ['tasks', '--out', str(tmp_path / 'none')]
    with pytest.raises(ValueError, match='--trials must be at least 1, got 0'):
        main([*start, '--trials', '0'])
    with pytest.raises(ValueError, match="variant 'fog' is unknown; expected one of trained"):
        main([*start, '--rows', 'bar@fog'])
    with pytest.raises(ValueError, match="the policy does not know 'put', 'into', 'bin'"):
        main([*start, '--tasks', 'bin', '--trunk', default_checkpoint()])
    assert not (tmp_path / 'none').exists()
