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

from faster_ros.cli.main import main
from faster_ros.data.recordings import fit_normaliser, Recording, windows
from faster_ros.training.apply_tokenizer import apply_tokenizer, shares_outside
from faster_ros.training.small_data import SmallDataFasterVq, SmallDataSettings
from faster_ros.training.tokenizer_folder import FittedTokenizer, save_tokenizer
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
