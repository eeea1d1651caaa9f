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
from faster_ros.evaluation.tokenizer_report import recommend, write_outcome
from faster_ros.tokenizer.baselines.binning import Binning
from faster_ros.tokenizer.baselines.pca_rvq import PcaResidualKMeans
from faster_ros.training import compare_tokenizers
from faster_ros.training.compare_tokenizers import compare, split_episodes, summarise
from faster_ros.training.tokenizer_folder import load_tokenizer
from faster_ros.training.tokenizer_probes import times
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
    text = capsys.readouterr().out
    assert 'FASTerVQ 4x3 is saved, and its chunks are shown. Take ' in text
    page = (tmp_path / 'report.html').read_text()
    assert 'FASTerVQ 4x3: the worst chunk' in page
    assert 'PCA k-means 6x2: the worst chunk' not in page
    fitted = load_tokenizer(tmp_path)
    assert (fitted.names[-1], fitted.rate_hz) == ('gripper', 10.0)
    recording = read_recording([data], 1.0)
    fitted.check(recording)
    chunks = windows(recording.episodes, 10, 10)
    codes = fitted.encode(chunks)
    assert codes.shape == (36, 3, 4)
    assert np.abs(fitted.decode(codes) - chunks).mean() < 0.1
    assert np.isfinite(fitted.decode(codes[:, :1])).all()
    with pytest.raises(ValueError, match='fitted at 10 Hz, the recording has 20 Hz'):
        fitted.check(replace(recording, rate_hz=20.0))
    with pytest.raises(ValueError, match='fitted to the columns'):
        fitted.check(replace(recording, names=['j1', 'j2', 'j3', 'j4']))
    (tmp_path / 'tokenizer.safetensors').write_bytes(b'broken')
    with pytest.raises(ValueError, match='damaged or foreign|header'):
        load_tokenizer(tmp_path)
    with pytest.raises(ValueError, match='make one with'):
        load_tokenizer(tmp_path / 'none')


def test_what_is_saved_is_shown_even_where_another_is_recommended(tmp_path):
    chunk = np.zeros((5, 1))
    pictures = {name: {'median': (chunk, chunk), 'worst': (chunk, chunk)} for name in ('a', 'b')}
    rows = [row(name, mse_low=0.0, mse_high=1.0, l1=0.1, use=[], perplexity=[], level_mse=[],
                groups={}, source='', tokens_p99=tokens)
            for name, tokens in (('a', 12.0), ('b', 30.0))]
    heading = {'title': '', 'subtitle': '', 'names': ['j'], 'rate_hz': 5.0, 'remarks': []}
    assert write_outcome(tmp_path, heading, rows, pictures).startswith('Take a')
    assert 'a: the worst chunk' in (tmp_path / 'report.html').read_text()
    assert write_outcome(tmp_path, heading, rows, pictures, 'b').startswith('b is saved')
    page = (tmp_path / 'report.html').read_text()
    assert 'b: the worst chunk' in page
    assert 'a: the worst chunk' not in page


def small(recording, *makers):
    """Return the comparison of tokenizers on one split."""
    return compare(recording, makers, 1.0, 1)


class Breaking(Binning):
    """A tokenizer that is fitted and then fails."""

    @property
    def spec(self):
        return replace(super().spec, name='breaking')

    def decode(self, sequences):
        raise RuntimeError('out of memory')


def test_a_tokenizer_that_fails_is_named_and_costs_no_other_its_results(data):
    recording = read_recording([data], 1.0)
    comparison = small(recording, lambda _: Breaking(), lambda _: Binning())
    assert [result[0].spec.name for result in comparison.results] == ['binning 256']
    assert comparison.failed == {'breaking': 'RuntimeError: out of memory'}


def test_a_failed_tokenizer_stands_in_the_terminal_and_in_every_file(
        data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('faster_ros.tokenizer.baselines.zonal_dct.ZonalDct.decode',
                        Breaking.decode)
    job = ['tokenizer', 'compare', str(data), '--out', str(tmp_path), '--quick', '--methods']
    assert main([*job, 'binning', 'zonal']) == 0
    line = 'zonal DCT 3 failed: RuntimeError: out of memory'
    assert line in capsys.readouterr().out
    assert line in (tmp_path / 'report.html').read_text()
    outcome = json.loads((tmp_path / 'comparison.json').read_text())
    assert list(outcome['failed']) == ['zonal DCT 3']
    assert [item['name'] for item in outcome['tokenizers']] == ['binning 256']
    assert main([*job, 'zonal']) == 1
    assert line in capsys.readouterr().err


def test_a_wrong_file_for_fast_plus_is_told_before_anything_is_read(tmp_path, capsys):
    job = ['tokenizer', 'compare', str(tmp_path / 'none.npz'), '--fast-plus']
    assert main([*job, str(tmp_path / 'tokenizer.json')]) == 1
    assert 'there is no file' in capsys.readouterr().err


def test_errors_in_the_units_of_the_recording_hold_what_clipping_costs(data):
    recording = read_recording([data], 1.0)
    (held_out,) = split_episodes(recording, 10, 0).held_out
    episodes = [rows.copy() for rows in recording.episodes]
    episodes[held_out][:, 0] += 9.0
    ((measured,),) = small(replace(recording, episodes=episodes), lambda _: Binning()).results
    assert measured.figures['l1'] < 0.01
    assert measured.figures['clipped'] > 0.24  # one of four columns, throughout
    assert measured.groups['arm']['l1'] > 2.0
    assert measured.pictures['worst'][0][:, 0].max() > 8.0


def test_every_level_more_is_a_better_chunk_in_the_outcome(data):
    recording = read_recording([data], 1.0)
    results = small(recording, lambda _: PcaResidualKMeans(2, 3, 32), lambda _: Binning()).results
    levels, none = (summarise(result)['level_mse'] for result in results)
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == pytest.approx(results[0][0].figures['mse'])
    assert (len(levels), none) == (3, [])


def test_the_axes_of_a_split_are_only_computed_when_asked_for(data, monkeypatch):
    recording = read_recording([data], 1.0)
    monkeypatch.setattr(compare_tokenizers.chunk_metrics, 'component_variances',
                        lambda *_: pytest.fail('computed'))
    assert len(split_episodes(recording, 10, 0).train)


def test_times_are_those_of_one_thread_of_torch():
    class Counting(Binning):
        seen = []

        def encode(self, chunks):
            self.seen.append(torch.get_num_threads())
            return super().encode(chunks)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        tokenizer = Counting()
        tokenizer.fit(np.zeros((3, 5, 2)))
        times(tokenizer, np.zeros((3, 5, 2)))
        assert (set(Counting.seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)


def test_a_pose_decodes_to_valid_rotations_in_the_units_of_the_recording(tmp_path):
    rng = np.random.default_rng(0)
    angle = np.cumsum(rng.normal(0, 0.05, (5, 60, 1)), 1)
    pose = np.concatenate([100 * angle, np.cos(angle), np.sin(angle), 0 * angle, 0 * angle], 2)
    np.savez(tmp_path / 'a.npz', data=pose.reshape(-1, 5), lengths=[60] * 5, rate_hz=10.0,
             dims=['x', 'qw', 'qx', 'qy', 'qz'])
    assert main(['tokenizer', 'fit', str(tmp_path / 'a.npz'), '--out', str(tmp_path), '--quick',
                 '--seconds', '5']) == 0
    fitted = load_tokenizer(tmp_path)
    chunks = pose[:, :10]
    flipped = chunks * np.where(np.arange(10) < 5, 1, -1)[:, None] ** [0, 1, 1, 1, 1]
    assert np.array_equal(fitted.encode(flipped), fitted.encode(chunks))
    decoded = fitted.decode(fitted.encode(chunks))
    assert np.linalg.norm(decoded[..., 1:], axis=-1) == pytest.approx(1)
    assert np.abs(decoded[..., 0] - chunks[..., 0]).mean() < 10


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
