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
"""What is kept of a trial."""

from faster_ros.evaluation.trial_record import JointTrace
import numpy as np
import pytest


def test_a_trace_gives_back_its_samples_from_a_time_on():
    trace = JointTrace()
    for second in range(5):
        trace.add(second * 10**9, [second, 10.0 * second])
    seconds, positions = trace.arrays(10**9, since_ns=2 * 10**9)
    assert seconds == pytest.approx([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(positions, [[2, 20], [3, 30], [4, 40]])


def test_a_trace_without_samples_is_empty():
    seconds, positions = JointTrace().arrays(0)
    assert (len(seconds), len(positions)) == (0, 0)
