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
"""The regression benchmark of the executor: what delay may do to a motion, and may not."""

from dataclasses import replace

from faster_ros.robot_spec import load_robot_spec
from faster_ros.runtime.latency_lab import figures, replay, Scenario, sines, sines_robot
import numpy as np
import pytest

SPEC = sines_robot(load_robot_spec('fr3'))
SLOW = Scenario(seconds=20.0, command_rate_hz=60.0)


def measured(rule, seeds=1, **changes):
    scenario = replace(SLOW, **changes)
    return figures([replay(sines(), SPEC, rule, scenario, seed) for seed in range(seeds)],
                   scenario)


@pytest.mark.slow
@pytest.mark.parametrize('latency, jitter', [(0.1, 0.02), (0.3, 0.05)])
def test_the_goals_of_the_regression_scenario_hold(latency, jitter):
    found = measured('smooth', 5, seconds=60.0, latency=latency, jitter=jitter,
                     command_rate_hz=250.0)
    for part in ('rows', 'fine'):
        assert found[f'{part}_acceleration'] <= 12.0
        assert found[f'{part}_step'] <= 0.065
        assert found[f'{part}_rmse'] <= 0.020
    assert found['stall_later'] == 0.0
    assert found['cold_acceleration'] <= 1.2 * found['rows_acceleration']


def test_ours_is_smoother_than_every_other_rule_at_the_same_error():
    ours = measured('smooth')
    for rule in ('hard_switch', 'average', 'ensemble', 'crossfade'):
        theirs = measured(rule)
        assert ours['rows_acceleration'] < 0.7 * theirs['rows_acceleration']
        assert ours['rows_step'] <= 1.02 * theirs['rows_step']
        assert ours['rows_rmse'] <= 1.05 * theirs['rows_rmse']


def test_waiting_for_each_chunk_stalls_and_time_aligned_rules_do_not():
    assert measured('synchronous')['stall_later'] > 15.0
    for rule in ('restart', 'hard_switch', 'average', 'smooth'):
        assert measured(rule)['stall_later'] == 0.0
    assert measured('restart')['rows_rmse'] > 5 * measured('smooth')['rows_rmse']


def test_lost_chunks_are_survived_within_the_limits():
    scenario = replace(SLOW, loss=0.5)
    run = replay(sines(), SPEC, 'smooth', scenario, 0)
    bend = np.diff(run.commands, n=2, axis=0) * scenario.command_rate_hz**2
    assert np.abs(bend).max() <= SPEC.joints['fr3_joint1'].acceleration + 1e-6
    assert run.stalled_later > 0.0


def test_the_same_seed_gives_the_same_replay_and_another_seed_another():
    runs = [replay(sines(), SPEC, 'smooth', SLOW, seed).commands for seed in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
