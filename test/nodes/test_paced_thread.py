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
"""The control loop keeps its grid, skips what it missed and does not die in silence."""

import time

from faster_ros.nodes.paced_thread import PacedThread


def run(tick, enough, between=None) -> list[Exception]:
    """Run the loop until ``enough`` or a failure; return the failures."""
    failures: list[Exception] = []
    thread = PacedThread(100.0, tick, failures.append, between)
    thread.start()
    deadline = time.monotonic() + 30.0
    while not (enough() or failures):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    thread.stop()
    return failures


def test_ticks_are_due_on_a_grid():
    due: list[int] = []
    begin = time.monotonic()
    run(due.append, lambda: len(due) >= 15)
    assert len(due) <= 2 + 100 * (time.monotonic() - begin)
    assert all((after - before) % 10_000_000 == 0 for before, after in zip(due, due[1:]))


def test_missed_points_are_skipped_and_not_made_up_for():
    due: list[int] = []

    def tick(due_ns: int) -> None:
        due.append(due_ns)
        if len(due) == 5:
            time.sleep(0.1)
    begin = time.monotonic()
    run(tick, lambda: len(due) >= 15)
    assert max(after - before for before, after in zip(due, due[1:])) >= 100_000_000
    assert len(due) <= 2 + 100 * (time.monotonic() - begin - 0.1)


def test_a_failure_ends_the_loop_and_is_told():
    def tick(_: int) -> None:
        raise RuntimeError('broken')
    failures = run(tick, lambda: False)
    assert [str(error) for error in failures] == ['broken']


def test_what_is_done_between_ticks_never_comes_in_the_first_half_of_a_period():
    due: list[int] = []
    between: list[tuple[int, int]] = []
    run(due.append, lambda: len(between) >= 15,
        lambda: between.append((due[-1], time.monotonic_ns())))
    assert len(due) in (len(between), len(between) + 1)
    assert all(now_ns - due_ns >= 5_000_000 for due_ns, now_ns in between)
