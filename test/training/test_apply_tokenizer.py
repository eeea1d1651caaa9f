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
"""A tokenizer on data it was not fitted to: warnings with shares, and mismatches by name."""

from dataclasses import replace
import json

from faster_ros.cli.main import main
from faster_ros.data.recordings import fit_normaliser, Recording, windows
from faster_ros.training.apply_tokenizer import apply_tokenizer, shares_outside
from faster_ros.training.small_data import SmallDataFasterVq, SmallDataSettings
from faster_ros.training.tokenizer_folder import (
    FittedTokenizer,
    load_tokenizer,
    save_tokenizer,
)
import numpy as np
import pytest


def episodes(count, scale=1.0, offset=0.0):
    """Return episodes of an arm with a gripper."""
    rng = np.random.default_rng(0)
    time = np.arange(60)[:, None] / 10
    return [np.concatenate([
        offset + scale * np.sin(time * rng.uniform(0.5, 2, 3) + rng.uniform(0, 6, 3)),
        np.where(time < rng.uniform(1, 5), 0.0, 1.0)], 1) for _ in range(count)]


NAMES = ['j1', 'j2', 'j3', 'gripper']
RECORDING = Recording(episodes(6), NAMES, 10.0, [], [])


@pytest.fixture(scope='module')
def fitted():
    """Return a small tokenizer of the recording."""
    normaliser = fit_normaliser(RECORDING.episodes, [3])
    tokenizer = SmallDataFasterVq(
        SmallDataSettings(2, 2, 16, 20.0, 300, False), RECORDING.groups)
    tokenizer.fit(normaliser.normalise(windows(RECORDING.episodes, 10, 1), 1.5))
    return FittedTokenizer(tokenizer.model, normaliser, NAMES, 10.0)


def test_on_what_it_was_fitted_to_there_is_nothing_to_warn_of(fitted):
    result, warnings = apply_tokenizer(fitted, RECORDING, False)
    assert warnings == []
    assert result.figures['mse'] < 0.05
    assert set(result.owner) == set(range(6))


def test_another_robot_is_decoded_with_the_share_of_clipped_values_by_group(fitted):
    other = Recording(episodes(4, 3.0), ['a', 'b', 'c', 'gripper'], 10.0, [], [])
    with pytest.raises(ValueError, match=r"fitted to the columns \['j1'.*has \['a'.*--zero-shot"):
        apply_tokenizer(fitted, other, False)
    result, warnings = apply_tokenizer(fitted, other, True)
    assert np.isfinite(result.figures['mse'])
    assert result.figures['decodes_random'] == 1
    assert len(warnings) == 2
    assert warnings[1].startswith('warning: 7')
    assert 'of the values of arm are outside the fitted range' in warnings[1]


def test_another_rate_is_refused_by_name_unless_asked_for(fitted):
    faster = replace(RECORDING, rate_hz=20.0)
    with pytest.raises(ValueError, match='fitted at 10 Hz, the recording has 20 Hz; --rate 10 re'):
        apply_tokenizer(fitted, faster, False)
    assert len(apply_tokenizer(fitted, faster, True)[1]) == 1


def test_another_width_is_refused_even_when_asked_for(fitted):
    wider = Recording([np.hstack([one, one]) for one in RECORDING.episodes],
                      [*NAMES, 'a', 'b', 'c', 'd'], 10.0, [], [])
    with pytest.raises(ValueError, match='fitted to 4 columns.*the recording has 8'):
        apply_tokenizer(fitted, wider, True)


def test_radians_for_a_tokenizer_of_degrees_are_warned_of(fitted):
    _, warnings = apply_tokenizer(
        fitted, replace(RECORDING, episodes=episodes(6, np.pi / 180)), False)
    assert warnings == ['warning: arm spans 1.7% of the fitted range: it hardly moves, or its '
                        'unit is another one']


def test_a_resting_gripper_and_a_resting_joint_are_no_reason_for_a_warning(fitted):
    rows = episodes(6)
    for one in rows:
        one[:, 1] = 0.1
        one[:, 3] = 0.3 + 1e-3 * np.random.default_rng(0).standard_normal(60)
    assert apply_tokenizer(fitted, replace(RECORDING, episodes=rows), False)[1] == []


def test_another_robot_or_feature_of_the_same_names_is_refused_by_both_names(fitted, tmp_path):
    known = replace(fitted, source='feature action', robot='so100')
    save_tokenizer(tmp_path, known)
    known = load_tokenizer(tmp_path)
    other = replace(RECORDING, source='feature observation.state', robot='piper')
    for text in ("fitted to the robot 'so100', the recording has 'piper'",
                 "the source 'feature action', the recording has 'feature observation.state'"):
        with pytest.raises(ValueError, match=text):
            known.check(other)
    assert len(known.check(other, zero_shot=True)) == 2
    assert known.check(replace(other, source='feature action', robot='')) == []
    assert fitted.check(other) == []


def test_a_folder_that_names_no_source_is_read(fitted, tmp_path):
    save_tokenizer(tmp_path, fitted)
    path = tmp_path / 'config.json'
    data = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in data.items()
                                if key not in ('source', 'robot')}))
    assert load_tokenizer(tmp_path).source == ''


def apply(folder, fitted, rows, rate_hz, *options):
    """Save the tokenizer and a recording, and apply it; return the exit status."""
    save_tokenizer(folder / 'tokenizer', fitted)
    np.savez(folder / 'other.npz', data=np.concatenate(rows), rate_hz=rate_hz, dims=NAMES,
             lengths=[len(one) for one in rows])
    return main(['tokenizer', 'apply', str(folder / 'other.npz'), '--tokenizer',
                 str(folder / 'tokenizer'), '--out', str(folder / 'out'), *options])


def test_one_episode_of_one_chunk_is_enough_to_apply_to(fitted, tmp_path, capsys):
    assert apply(tmp_path, fitted, [episodes(1)[0][:10]], 10.0) == 0
    assert '1 episodes, 10 rows' in capsys.readouterr().out
    assert apply(tmp_path, fitted, [episodes(1)[0][:9]], 10.0) == 1
    assert 'expected a usable episode, got 0 of 1' in capsys.readouterr().err


def test_episodes_with_too_few_rows_at_a_lower_rate_are_left_out_by_name(
        fitted, tmp_path, capsys):
    whole, short = episodes(2)
    assert apply(tmp_path, fitted, [whole, short[:8]], 5.0, '--zero-shot') == 0
    text = capsys.readouterr().out
    assert '8 rows at 5 Hz are shorter than a chunk of 10' in text
    assert apply(tmp_path, fitted, [short[:8]], 5.0, '--zero-shot') == 1
    assert '8 rows at 5 Hz are shorter than a chunk of 10' in capsys.readouterr().err


def test_a_column_that_never_moved_in_the_fit_is_outside_when_it_moves(fitted):
    normaliser = replace(fitted.normaliser, low=np.array([0.5, -1, -1, 0.0]),
                         high=np.array([0.5, 1, 1, 1.0]))
    outside, clipped = shares_outside(replace(fitted, normaliser=normaliser), RECORDING)['arm']
    assert outside == pytest.approx(1 / 3, abs=0.03)
    assert clipped == pytest.approx(1 / 3, abs=0.03)


def test_apply_prints_the_warnings_and_writes_the_report(fitted, tmp_path, capsys):
    save_tokenizer(tmp_path / 'tokenizer', fitted)
    rows = episodes(4, 1.0, 2.0)
    np.savez(tmp_path / 'other.npz', data=np.concatenate(rows), lengths=[60] * 4, rate_hz=20.0,
             dims=NAMES)
    job = ['tokenizer', 'apply', str(tmp_path / 'other.npz'), '--out', str(tmp_path / 'out'),
           '--tokenizer', str(tmp_path / 'tokenizer')]
    assert main(job) == 1
    assert 'fitted at 10 Hz, the recording has 20 Hz' in capsys.readouterr().err
    assert main([*job, '--rate', '10']) == 0
    text = capsys.readouterr().out
    assert '4 episodes are resampled from 20 to 10 Hz' in text
    assert 'of the values of arm are outside the fitted range' in text
    assert (tmp_path / 'out/report.html').is_file()
