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
"""
What is committed: the targets an arm follows until the chunk that is asked for now arrives.

MotionController gives its plan at a fine step; a policy wants it at its own step, from its
observation on, for as long as its answer is expected to take. Used by ``PolicySession`` and the
simulator's trials.
"""

from __future__ import annotations

import math

from faster_ros.interfaces import ActionChunk, FloatArray
from faster_ros.runtime.trajectories import StraightLines
import numpy as np

PLAN_STEP_NS = 50_000_000
PLAN_ROWS = 60
PLAN_PAST_ROWS = 4  # an observation is answered some time after it was made
_TOLERANCE = 0.25  # of a step that an answer may come later than the last committed row


def committed_rows(plan: ActionChunk | None, stamp_ns: int, step_ns: int,
                   latency_s: float) -> FloatArray | None:
    """
    Return the rows (C, D) of a plan that run until an answer arrives, or None without any.

    Row k is due at ``stamp_ns`` + k ``step_ns``; the last one is due when the answer is.
    """
    count = math.ceil(latency_s * 1e9 / step_ns - _TOLERANCE)
    if plan is None or count < 1:
        return None
    times = stamp_ns + step_ns * np.arange(count + 1, dtype=np.int64)
    due = plan.start_ns + plan.step_ns * np.arange(len(plan.actions), dtype=np.int64)
    covered = times[times <= due[-1]]
    if len(covered) < 2 or covered[0] < due[0]:
        return None
    return StraightLines(due, plan.actions).at_all(covered)
