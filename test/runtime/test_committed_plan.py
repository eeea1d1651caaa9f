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
"""What is committed is what the arm then does, and nothing when it follows no chunk."""

from dataclasses import replace

from faster_ros.interfaces import ActionChunk
from faster_ros.runtime.chunk_scheduler import ChunkScheduler
from faster_ros.runtime.committed_plan import committed_rows
from faster_ros.runtime.controller import MotionController
from hypothesis import given, settings, strategies as st
import numpy as np
from perfect_arm import Arm, chunk, HOME, MS, running, SPEC, T0
import pytest


def ramp(rows: int = 40) -> ActionChunk:
    """Return a plan of one joint whose value is its time after T0 in s."""
    return ActionChunk(T0, 50 * MS, 0.05 * np.arange(rows)[:, None], ('joint',))


def test_the_rows_are_those_due_before_the_answer_and_one_when_it_comes():
    rows = committed_rows(ramp(), T0 + 30 * MS, 100 * MS, 0.25)
    np.testing.assert_allclose(rows[:, 0], [0.03, 0.13, 0.23, 0.33])


@pytest.mark.parametrize('latency_s, count', [(0.0, 0), (0.02, 0), (0.05, 2), (0.31, 4)])
def test_a_quarter_of_a_step_is_left_to_the_seam(latency_s, count):
    rows = committed_rows(ramp(), T0, 100 * MS, latency_s)
    assert (0 if rows is None else len(rows)) == count


def test_a_plan_that_ends_gives_what_is_left_of_it():
    assert len(committed_rows(ramp(5), T0, 100 * MS, 1.0)) == 3
    assert committed_rows(ramp(2), T0, 100 * MS, 1.0) is None
    assert committed_rows(ramp(), T0 - 1 * MS, 100 * MS, 0.3) is None
    assert committed_rows(None, T0, 100 * MS, 0.3) is None


@settings(max_examples=20, deadline=None)
@given(speed=st.floats(-0.3, 0.3), step=st.floats(-0.02, 0.02))
def test_the_plan_is_what_the_arm_does_if_no_chunk_comes(speed, step):
    arm = running(speed)
    arm.accept(chunk(arm.ms - 100, step, speed=speed))
    plan = arm.controller.plan(T0 + arm.ms * MS)
    arm.run(600)
    due = plan.start_ns + plan.step_ns * np.arange(len(plan.actions))
    ahead = int(np.searchsorted(due, T0 + arm.ms * MS)) - 1
    late_s = (T0 + arm.ms * MS - due[ahead]) * 1e-9
    assert arm.positions[0] == pytest.approx(plan.actions[ahead, 0] + speed * late_s, abs=0.004)


def test_an_arm_that_does_not_follow_has_no_plan():
    arm = Arm()
    arm.accept(chunk(0))
    assert arm.controller.plan(T0) is None
    for end in (lambda ended, now_ns: ended.trip('test', 'a fault', now_ns),
                MotionController.reset, MotionController.disarm):
        arm = running()
        now_ns = T0 + arm.ms * MS
        assert arm.controller.plan(now_ns) is not None
        end(arm.controller, now_ns)
        assert arm.controller.plan(now_ns) is None


def test_the_gripper_of_the_plan_is_open_or_closed():
    arm = running()
    closing = chunk(arm.ms)
    closing.actions[:, -1] = np.linspace(SPEC.gripper.open, SPEC.gripper.closed, 16)
    arm.accept(closing)
    seen = arm.controller.plan(T0 + arm.ms * MS).actions[:, -1]
    assert set(seen) == {SPEC.gripper.open, SPEC.gripper.closed}
    assert (np.diff(seen) <= 0).all()


def test_before_its_first_chunk_nothing_is_committed():
    scheduler = ChunkScheduler(first_guess_s=0.3)
    plan = replace(chunk(0, speed=0.1), step_ns=50 * MS)
    assert scheduler.committed(plan, T0) is None
    scheduler.chunk_arrived(chunk(0), T0)
    rows = scheduler.committed(plan, T0)
    assert rows.shape == (4, 8)
    np.testing.assert_allclose(rows[:, 0], HOME[0] + 0.1 * np.array([0.0, 0.2, 0.4, 0.6]))
