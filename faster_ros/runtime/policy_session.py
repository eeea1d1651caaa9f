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
"""What is asked of the policy, when, and how it went; used by ``policy_node``."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from faster_ros.interfaces import ActionChunk, Observation
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.chunk_scheduler import ChunkScheduler, WAIT_ABOVE_S
from faster_ros.runtime.latency import LatencyWindow
from faster_ros.runtime.observation_buffer import ObservationBuffer, Refusal

_LASTING_NS = 150_000_000  # a refusal that is over sooner is counted, but no problem


class PolicySession:
    """
    Buffer, scheduler and figures of one policy that works for one robot.

    ``problem``: why no chunk comes, in words, once that has lasted a moment. ``plan``: what the
    arm follows until a chunk comes, as control_node told.

    ``chunk_arrived`` and ``count_fault`` may be called from the inference thread, all else
    belongs to one thread.
    """

    def __init__(self, spec: RobotSpec, execution_horizon: int,
                 wait_above_s: float = WAIT_ABOVE_S) -> None:
        """Begin without an instruction; see ChunkScheduler."""
        self.buffer = ObservationBuffer(spec)
        self.instruction = ''
        self.problem = ''
        self.plan: ActionChunk | None = None
        self._refused_since_ns: int | None = None
        self._wait_above_s = wait_above_s
        self._scheduler = ChunkScheduler(execution_horizon, wait_above_s=wait_above_s,
                                         joints=len(spec.joint_names))
        self._inference = LatencyWindow()
        self._lock = Lock()
        self._refused: dict[str, int] = {}
        self._chunks = 0
        self._faults = 0

    def reset(self) -> None:
        """Make the next chunk due at once."""
        with self._lock:
            self._scheduler.reset()

    def watch(self, now_ns: int) -> bool:
        """Return whether a camera was lost just now: a problem even while the policy is busy."""
        if self.problem:
            return False
        self.problem = self.buffer.lost_camera(now_ns)
        return bool(self.problem)

    def request(self, now_ns: int) -> Observation | Refusal | None:
        """Return the observation to answer now, why there is none, or None if none is due."""
        with self._lock:
            due = self._scheduler.should_request(now_ns)
        if not due:
            return None
        answer = self.buffer.take(now_ns, self.instruction)
        if not isinstance(answer, Refusal):
            self.problem, self._refused_since_ns = '', None
            with self._lock:
                return replace(
                    answer, committed=self._scheduler.committed(self.plan, answer.stamp_ns),
                    answer_within_s=self._scheduler.answer_within_s(now_ns))
        key = f'{answer.stream} {answer.reason}'
        self._refused[key] = self._refused.get(key, 0) + 1
        if self._refused_since_ns is None:
            self._refused_since_ns = now_ns
        if now_ns - self._refused_since_ns >= _LASTING_NS:
            self.problem = answer.message
        return answer

    def chunk_arrived(self, chunk: ActionChunk, now_ns: int, inference_s: float) -> ActionChunk:
        """Note a chunk that the policy gave now; return what is to be published."""
        with self._lock:
            self._inference.add(inference_s)
            self._chunks += 1
            return self._scheduler.chunk_arrived(chunk, now_ns)

    def waiting(self) -> str:
        """Return why the arm stands while the policy thinks, or '' where it goes on."""
        with self._lock:
            if not self._scheduler.waits:
                return ''
            return (f'a chunk takes {self._scheduler.expected_latency_s():.2f} s from its image; '
                    f'above {self._wait_above_s:g} s (wait_above) the arm stands meanwhile')

    def count_fault(self) -> None:
        """Note an inference that failed."""
        with self._lock:
            self._faults += 1

    def figures(self, now_ns: int) -> dict[str, object]:
        """Return counters, latencies and ages by name, times in s."""
        with self._lock:
            latency, inference = self._scheduler.latency, self._inference
            values: dict[str, object] = {
                'chunks': self._chunks, 'faults': self._faults,
                'arm_waits': self._scheduler.waits,
                'capture_to_chunk_p50_s': latency.p50, 'capture_to_chunk_p99_s': latency.p99,
                'inference_p50_s': inference.p50, 'inference_p99_s': inference.p99}
        for name, stream in self.buffer.cameras.items():
            values |= {f'{name}_age_s': self._age_s(name, now_ns),
                       f'{name}_received': stream.received, f'{name}_missed': stream.missed}
        values['joints_age_s'] = self._age_s('joints', now_ns)
        return values | {f'refused {key}': count for key, count in self._refused.items()}

    def _age_s(self, stream: str, now_ns: int) -> float | None:
        newest_ns = self.buffer.newest_ns(stream)
        return None if newest_ns is None else (now_ns - newest_ns) * 1e-9
