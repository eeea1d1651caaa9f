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
"""What ur_robot_driver adds: speed slider, program and protective stop."""

from faster_ros.sim.trajectory_controller import TrajectoryPoint
from faster_ros.sim.ur_driver import ScaledTrajectoryController, UrProgram
import numpy as np
import pytest

S = 1_000_000_000
MS = 1_000_000


def travelled(percent, seconds=1.0):
    controller = ScaledTrajectoryController(['a'], np.zeros(1))
    controller.percent = percent
    controller.sample(10 * S)
    controller.set_trajectory(['a'], 0, [TrajectoryPoint(4 * S, [4.0])], 10 * S)
    for step in range(round(500 * seconds)):
        controller.sample(10 * S + 2 * MS * (step + 1))
    return controller.sample(10 * S + round(seconds * S))


@pytest.mark.parametrize('percent', [100.0, 30.0, 1.0])
def test_a_trajectory_advances_by_the_share_of_the_slider(percent):
    positions, velocities = travelled(percent)
    assert positions[0] == pytest.approx(percent / 100, abs=1e-6)
    assert velocities[0] == pytest.approx(percent / 100)


def test_a_new_trajectory_starts_at_the_present_time_whatever_the_old_one_lags():
    controller = ScaledTrajectoryController(['a'], np.zeros(1))
    controller.percent = 30.0
    controller.sample(10 * S)
    controller.set_trajectory(['a'], 0, [TrajectoryPoint(4 * S, [4.0])], 10 * S)
    reached, _ = controller.sample(11 * S)
    controller.set_trajectory(['a'], 11 * S, [TrajectoryPoint(S, [reached[0] + 1.0])], 11 * S)
    positions, _ = controller.sample(12 * S)
    assert positions[0] - reached[0] == pytest.approx(0.3, abs=1e-6)


def test_a_protective_stop_is_released_after_5_s_and_the_program_started_by_hand():
    program = UrProgram()
    assert program.running
    program.protective_stop(10 * S)
    assert not program.running
    assert 'until 5s after occurrence' in program.unlock(15 * S - 1)
    assert 'unlock it first' in program.start()
    assert program.unlock(15 * S) == ''
    assert not program.running
    assert program.start() == ''
    assert program.running
