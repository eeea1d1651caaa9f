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
"""Latency window, chunk scheduler and inference worker."""

from threading import Event
import time

from faster_ros.interfaces import ActionChunk, Observation
from faster_ros.runtime.chunk_scheduler import ChunkScheduler
from faster_ros.runtime.inference_worker import InferenceWorker
from faster_ros.runtime.latency import LatencyWindow
import numpy as np
import pytest

MS = 1_000_000
T0 = 9_000_000_000_000


def chunk(ms: float, rows: int = 16) -> ActionChunk:
    return ActionChunk(T0 + round(ms * MS), 100 * MS, np.zeros((rows, 1)), ('joint',))


def observation(stamp_ns: int = T0) -> Observation:
    return Observation(stamp_ns, {}, np.zeros(1), 'task')


def test_latency_ignores_the_warm_up_and_forgets_old_values():
    window = LatencyWindow(size=3, warm_up=1)
    assert window.p50 is None
    for value in (9.0, 5.0, 1.0, 2.0, 3.0):
        window.add(value)
    assert (window.p50, window.maximum, window.count) == (2.0, 3.0, 5)
    window.add(10.0)
    assert window.p50 == 3.0


def test_the_first_chunk_is_asked_for_at_once():
    assert ChunkScheduler().should_request(T0)


def test_the_next_chunk_is_asked_for_so_that_the_horizon_is_used():
    scheduler = ChunkScheduler(execution_horizon=4, first_guess_s=0.15)
    scheduler.chunk_arrived(chunk(0), T0 + 150 * MS)
    assert not scheduler.should_request(T0 + 399 * MS)
    assert scheduler.should_request(T0 + 400 * MS)


def test_a_measured_latency_moves_the_request():
    scheduler = ChunkScheduler(execution_horizon=4)
    for start in range(0, 2000, 400):
        scheduler.chunk_arrived(chunk(start), T0 + (start + 50) * MS)
    assert scheduler.expected_latency_s() == pytest.approx(0.05)
    assert not scheduler.should_request(T0 + 1999 * MS)
    assert scheduler.should_request(T0 + 2000 * MS)


def test_a_long_horizon_still_asks_before_the_chunk_ends():
    scheduler = ChunkScheduler(execution_horizon=50, margin_s=0.05, first_guess_s=0.1)
    scheduler.chunk_arrived(chunk(0), T0 + 100 * MS)
    assert not scheduler.should_request(T0 + 1349 * MS)
    assert scheduler.should_request(T0 + 1350 * MS)


def test_after_a_reset_the_next_chunk_is_due_at_once():
    scheduler = ChunkScheduler()
    scheduler.chunk_arrived(chunk(0), T0)
    scheduler.reset()
    assert scheduler.should_request(T0)


def test_an_answer_has_until_the_running_chunk_ends():
    scheduler = ChunkScheduler(margin_s=0.05)
    assert scheduler.answer_within_s(T0) is None
    scheduler.chunk_arrived(chunk(0), T0 + 100 * MS)
    assert scheduler.answer_within_s(T0 + 1000 * MS) == pytest.approx(0.45)
    assert scheduler.answer_within_s(T0 + 1480 * MS) == pytest.approx(-0.03)
    assert scheduler.answer_within_s(T0 + 1500 * MS) is None


class Inbox:
    """Collects what a worker delivers."""

    def __init__(self, infer) -> None:
        self.chunks: list = []
        self.faults: list = []
        self.worker = InferenceWorker(infer, lambda _, value: self.chunks.append(value),
                                      lambda _, error: self.faults.append(error))

    def wait_idle(self) -> None:
        deadline = time.monotonic() + 5
        while self.worker.busy and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not self.worker.busy


def test_a_request_is_answered_and_none_is_queued_behind_it():
    gate = Event()
    asked = []

    def infer(value: Observation) -> ActionChunk:
        asked.append(value.stamp_ns)
        gate.wait(5)
        return chunk(0)

    inbox = Inbox(infer)
    assert inbox.worker.submit(observation(T0))
    assert not inbox.worker.submit(observation(T0 + 1))
    gate.set()
    inbox.wait_idle()
    assert inbox.worker.stop()
    assert (asked, len(inbox.chunks), inbox.faults) == ([T0], 1, [])


def test_a_result_from_before_a_reset_is_thrown_away():
    gate = Event()
    inbox = Inbox(lambda _: (gate.wait(5), chunk(0))[1])
    inbox.worker.submit(observation())
    inbox.worker.reset()
    gate.set()
    inbox.wait_idle()
    assert inbox.worker.stop()
    assert (inbox.chunks, inbox.worker.discarded) == ([], 1)


def test_a_failing_policy_is_a_fault_and_not_silence():
    def infer(_: Observation) -> ActionChunk:
        raise ValueError('expected camera front')

    inbox = Inbox(infer)
    inbox.worker.submit(observation())
    inbox.wait_idle()
    assert [str(error) for error in inbox.faults] == ['expected camera front']
    assert inbox.worker.submit(observation())
    assert inbox.worker.stop()


def test_stop_ends_an_idle_thread_and_later_requests_are_refused():
    inbox = Inbox(lambda _: chunk(0))
    assert inbox.worker.stop(1.0)
    assert not inbox.worker.submit(observation())
