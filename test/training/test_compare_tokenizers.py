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
"""The comparison of tokenizers: honest splits, a whole run, and its report."""

import csv
from dataclasses import replace
import json

from faster_ros.cli.main import main
from faster_ros.data.recordings import read_recording, windows
from faster_ros.evaluation.tokenizer_report import recommend
from faster_ros.tokenizer.protocol import LIMIT
from faster_ros.training.compare_tokenizers import split_episodes
from faster_ros.training.tokenizer_folder import load_tokenizer
import numpy as np
import pytest
import torch


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Return the file of six short episodes of an arm with a gripper."""
    rng = np.random.default_rng(0)
    time = np.arange(60)[:, None] / 10
    episodes = [np.concatenate([
        np.sin(time * rng.uniform(0.5, 2, 3) + rng.uniform(0, 6, 3)),
        np.where(time < rng.uniform(1, 5), 0.0, 1.0)], 1) for _ in range(6)]
    path = tmp_path_factory.mktemp('data') / 'arm.npz'
    np.savez(path, data=np.concatenate(episodes), lengths=[60] * 6, rate_hz=10.0,
             dims=['j1', 'j2', 'j3', 'gripper'])
    return path


def row(name, **changes):
    """Return the figures that a recommendation looks at."""
    return {'name': name, 'fixed_length': True, 'decodes_corrupted': 1.0, 'decodes_random': 1.0,
            'vrr_0.1': 0.99, 'tokens_mean': 12.0, 'tokens_p99': 12.0, 'mse': 1e-4, **changes}


def test_no_test_episode_is_ever_fitted_to(data):
    recording = read_recording([data], 1.0)
    splits = [split_episodes(recording, 10, seed) for seed in range(3)]
    assert len({tuple(split.held_out) for split in splits}) > 1
    for split in splits:
        assert set(split.owner) == set(split.held_out)
        assert len(split.held_out) == 1
        train = {chunk.tobytes() for chunk in split.train}
        assert not train & {chunk.tobytes() for chunk in split.test}


def test_compare_prints_a_table_and_writes_every_file(data, tmp_path, capsys):
    assert main(['tokenizer', 'compare', str(data), '--out', str(tmp_path), '--quick']) == 0
    text = capsys.readouterr().out
    assert '6 episodes, 360 rows of 4 columns at 10 Hz' in text
    assert 'Take ' in text
    outcome = json.loads((tmp_path / 'comparison.json').read_text())
    rows = {row['name']: row for row in outcome['tokenizers']}
    assert rows['binning 256']['tokens_mean'] == 40
    assert rows['binning 256']['mse'] < 2e-5
    assert rows['FAST scale 10']['decodes_corrupted'] < 1
    assert rows['FASTerVQ 4x3']['decodes_truncated'] == 1
    assert rows['FASTerVQ 4x3']['vocabulary'] == rows['PCA k-means 6x2']['vocabulary']
    assert set(rows['B-spline 5']['groups']) == {'arm', 'gripper'}
    with (tmp_path / 'comparison.csv').open() as stream:
        assert [line['name'] for line in csv.DictReader(stream)] == list(rows)
    assert (tmp_path / 'report.html').read_text().count('data:image/png') == 3


def test_fit_saves_a_tokenizer_that_decodes_alike_after_loading(data, tmp_path, capsys):
    assert main(['tokenizer', 'fit', str(data), '--out', str(tmp_path), '--quick']) == 0
    assert 'FASTerVQ' in capsys.readouterr().out
    fitted = load_tokenizer(tmp_path)
    assert (fitted.names[-1], fitted.rate_hz) == ('gripper', 10.0)
    recording = read_recording([data], 1.0)
    fitted.check(recording)
    chunks = torch.tensor(fitted.normaliser.normalise(
        windows(recording.episodes, 10, 10), LIMIT), dtype=torch.float32)
    codes = fitted.model.encode(chunks)
    assert codes.shape == (36, 3, 4)
    assert (fitted.model.decode(codes) - chunks).abs().mean() < 0.1
    with pytest.raises(ValueError, match='fitted at 10 Hz, the recording has 20 Hz'):
        fitted.check(replace(recording, rate_hz=20.0))
    with pytest.raises(ValueError, match='fitted to the columns'):
        fitted.check(replace(recording, names=['j1', 'j2', 'j3', 'j4']))
    (tmp_path / 'tokenizer.safetensors').write_bytes(b'broken')
    with pytest.raises(ValueError, match='damaged or foreign|header'):
        load_tokenizer(tmp_path)
    with pytest.raises(ValueError, match='make one with'):
        load_tokenizer(tmp_path / 'none')


def test_a_users_mistake_is_one_line(tmp_path, capsys):
    assert main(['tokenizer', 'compare', str(tmp_path / 'none.npz')]) == 1
    assert 'none.npz' in capsys.readouterr().err


def test_the_shortest_faithful_safe_tokenizer_is_recommended():
    rows = [row('long', tokens_p99=90.0), row('short'),
            row('rough', tokens_p99=6.0, **{'vrr_0.1': 0.5}),
            row('fast', fixed_length=False, tokens_p99=8.0, decodes_corrupted=0.2)]
    name, sentence = recommend(rows)
    assert name == 'short'
    assert sentence.startswith('Take short: of the 2 with a fixed length')


def test_without_a_faithful_one_the_lowest_error_is_recommended():
    rows = [row('a', **{'vrr_0.1': 0.5}), row('b', mse=1e-5, **{'vrr_0.1': 0.6})]
    assert recommend(rows)[0] == 'b'
    assert 'more tokens or more episodes' in recommend(rows)[1]
    assert 'none of these' in recommend([row('fast', fixed_length=False)])[1]
