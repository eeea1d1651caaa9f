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
franka-sim with its limits enforced, and a record of how near to them it was taken.

Run as a program: ``recorded_franka_sim.py FILE PATIENCE [arguments of franka_sim.run_server]``; at
the end FILE holds the record as JSON. What is recorded is what franka-sim's own checker computed.
PATIENCE is how long, in s, a cycle stays open for its answer: 0 is the robot's own hard real time;
more lets a busy machine run slower without losing cycles that a robot would not have lost.
"""

from array import array
import gc
import json
from pathlib import Path
import signal
import sys
import time

from faster_ros.runtime.scheduling import request_real_time
from franka_sim import FrankaSimServer, run_server
from franka_sim.limits import checker, differencing, tables
import numpy as np

LOWER, UPPER = np.array(tables.JOINT_POSITION_LIMITS).T


class Record:
    """
    What franka-sim's checker was shown and said.

    Kept raw while it runs, because its loop of 1 kHz has no time to lose.
    """

    def __init__(self) -> None:
        self.motion = array('d')  # positions, velocities, accelerations, jerks of each cycle
        self.derivatives = ()
        self.commands = self.extrapolated = 0
        self.violations = []
        self.aborts = []

    def add(self, command) -> None:
        self.motion.extend(command['q_c'])
        for values in self.derivatives:
            self.motion.extend(values)
        if command.get('extrapolated', False):
            self.extrapolated += 1
        else:
            self.commands += 1

    def summary(self) -> dict:
        """Return the extremes over all cycles."""
        found = {'commands': self.commands, 'extrapolated': self.extrapolated,
                 'violations': self.violations, 'aborts': self.aborts}
        if not self.motion:
            return found
        q, velocity, acceleration, jerk = np.array(self.motion).reshape(-1, 4, 7).swapaxes(0, 1)
        ceiling = [tables.upper_joint_velocity_limits(row) for row in q]
        floor = [tables.lower_joint_velocity_limits(row) for row in q]
        envelope = np.where(velocity > 0, ceiling, np.abs(floor))
        return found | {
            'velocity': float(np.abs(velocity).max()),
            'share_of_velocity_limit': float((np.abs(velocity) / envelope).max()),
            'acceleration': float(np.abs(acceleration).max()), 'jerk': float(np.abs(jerk).max()),
            'distance_to_stop': float(np.minimum(q - LOWER, UPPER - q).min())}


def watch(record: Record, patience_s: float) -> None:
    """Let the checker tell the record of every command on the joint position interface."""
    limits, differences = checker.MotionLimitChecker, differencing._Differentiator
    check, report, derive = limits._check_position, limits.report, differences.derivatives
    abort_motion, gate = FrankaSimServer._abort_with_error, FrankaSimServer._drain_gate

    def derivatives(self, *arguments):
        record.derivatives = derive(self, *arguments)
        return record.derivatives

    def check_position(self, command, cycles):
        first = self._first_command
        violation = check(self, command, cycles)
        if not first and len(record.derivatives) == 3:
            record.add(command)
        return violation

    def report_violation(self, violation, *, enforced):
        record.violations.append(violation.describe())
        report(self, violation, enforced=enforced)

    def abort(self, error_index, reason, motion_id=0):
        record.aborts.append(reason)
        abort_motion(self, error_index, reason, motion_id)

    def drain_gate(self, answer_deadline=0.0):
        return gate(self, max(answer_deadline, time.perf_counter() + patience_s))

    if patience_s > 0:
        FrankaSimServer._drain_gate = drain_gate
        FrankaSimServer._DRAIN_GATE_TIMEOUT = patience_s
    differences.derivatives = derivatives
    limits._check_position, limits.report = check_position, report_violation
    FrankaSimServer._abort_with_error = abort


def main() -> None:
    record, file = Record(), Path(sys.argv.pop(1))
    watch(record, float(sys.argv.pop(1)))
    # A busy machine is not what is tested: neither are pauses of Python's, for waste or threads.
    request_real_time(50)
    gc.disable()
    sys.setswitchinterval(0.001)
    try:
        run_server.main()
    finally:
        file.write_text(json.dumps(record.summary()))


if __name__ == '__main__':
    # A shell that starts its jobs in the background has them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
