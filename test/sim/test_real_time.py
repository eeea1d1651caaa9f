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

from __future__ import annotations

from faster_ros.robot_spec import load_robot_spec
from faster_ros.sim.real_time import RealTimeSimulation
from faster_ros.sim.simulator import Simulator
import mujoco
import numpy as np
import pytest

_RATE_HZ = 50.0


def _run(simulation: RealTimeSimulation, seconds: float) -> None:
    """Make the steps of that time at once, without the thread."""
    due_ns = 0
    while due_ns < seconds * 1e9:
        simulation._step(due_ns + 1)
        simulation._expose_if_due(due_ns + 1)
        due_ns += simulation._step_ns


def _simulation(
    now_ns: int = 0, offsets_s: tuple[float, ...] = (0.0,)
) -> tuple[RealTimeSimulation, mujoco.MjData]:
    simulator = Simulator(load_robot_spec('fr3'))
    simulation = RealTimeSimulation(simulator, lambda: now_ns, 200.0, lambda _: None,
                                    lambda _: None)
    simulation.reset(3)
    simulation.trigger_cameras(_RATE_HZ, offsets_s)
    return simulation, mujoco.MjData(simulator.model)


def test_frames_are_exposed_at_the_camera_rate_and_show_the_state_of_their_stamp() -> None:
    simulation, data = _simulation()
    _run(simulation, 0.001)
    first = simulation.next_frame(data, 0.0)
    _run(simulation, 0.04)
    second = simulation.next_frame(data, 0.0)
    assert first is not None and second is not None
    assert second - first == round(1e9 / _RATE_HZ)
    hand = data.body(simulation._simulator.spec.tool_frame).xpos.copy()
    mujoco.mj_forward(simulation._simulator.model, simulation._simulator.data)
    assert np.allclose(hand, simulation._simulator.data.body(
        simulation._simulator.spec.tool_frame).xpos, atol=1e-3)


def test_a_reader_who_is_late_gets_the_newest_frame_and_no_wrong_stamp() -> None:
    simulation, data = _simulation()
    _run(simulation, 0.5)
    assert simulation.next_frame(data, 0.0) == 1 + 24 * round(1e9 / _RATE_HZ)
    assert simulation.next_frame(data, 0.0) is None


def test_a_shutter_that_is_late_opens_at_the_nearest_step_and_shows_that_state() -> None:
    simulation, data = _simulation(offsets_s=(0.0, 0.007, 0.012))
    _run(simulation, 0.016)
    stamps = [simulation.next_frame(data, 0.0, shutter) for shutter in range(3)]
    assert stamps == [1, 8_000_001, 12_000_001]  # steps of 4 ms


def test_a_shutter_that_opens_after_the_next_trigger_is_refused() -> None:
    with pytest.raises(ValueError, match=r'from 0 to less than 0.02 s, got \[0.0, 0.02\]'):
        _simulation(offsets_s=(0.0, 0.02))


def test_no_frame_of_the_layout_before_is_shown_after_a_reset() -> None:
    simulation, data = _simulation(offsets_s=(0.0, 0.008))
    _run(simulation, 0.04)
    simulation.reset(4)
    assert [simulation.next_frame(data, 0.0, shutter) for shutter in (0, 1)] == [None, None]
