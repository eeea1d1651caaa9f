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

Run as a program: ``recorded_franka_sim.py FILE [arguments of franka_sim.run_server]``; at the end
FILE holds the record as JSON. What is recorded is what franka-sim's own checker computed.
"""

import json
from pathlib import Path
import sys

from faster_ros.runtime.scheduling import request_real_time
from franka_sim import FrankaSimServer, run_server
from franka_sim.limits import checker, tables
import numpy as np

LOWER, UPPER = np.array(tables.JOINT_POSITION_LIMITS).T


class Record:
    """The extremes over all cycles of all motions."""

    def __init__(self) -> None:
        self.commands = self.extrapolated = 0
        self.share_of_velocity_limit = self.velocity = self.acceleration = self.jerk = 0.0
        self.smallest_distance_to_stop = np.inf
        self.violations = []
        self.aborts = []

    def add(self, command, derivatives) -> None:
        q_c = np.array(command['q_c'])
        velocity, acceleration, jerk = np.abs(np.array(derivatives))
        limits = np.where(np.array(derivatives[0]) > 0,
                          tables.upper_joint_velocity_limits(command['q_c']),
                          np.abs(tables.lower_joint_velocity_limits(command['q_c'])))
        self.commands += not command.get('extrapolated', False)
        self.extrapolated += command.get('extrapolated', False)
        self.share_of_velocity_limit = max(self.share_of_velocity_limit,
                                           float((velocity / limits).max()))
        self.velocity = max(self.velocity, float(velocity.max()))
        self.acceleration = max(self.acceleration, float(acceleration.max()))
        self.jerk = max(self.jerk, float(jerk.max()))
        self.smallest_distance_to_stop = min(
            self.smallest_distance_to_stop, float(np.minimum(q_c - LOWER, UPPER - q_c).min()))


def watch(record: Record) -> None:
    """Let the checker tell the record of every command on the joint position interface."""
    check, report = checker.MotionLimitChecker._check_position, checker.MotionLimitChecker.report

    def check_position(self, command, cycles):
        if not self._first_command:
            record.add(command, self._joint.derivatives(command['q_c'], cycles))
        return check(self, command, cycles)

    def report_violation(self, violation, *, enforced):
        record.violations.append(violation.describe())
        report(self, violation, enforced=enforced)

    def abort(self, error_index, reason, motion_id=0):
        record.aborts.append(reason)
        abort_motion(self, error_index, reason, motion_id)

    checker.MotionLimitChecker._check_position = check_position
    checker.MotionLimitChecker.report = report_violation
    abort_motion = FrankaSimServer._abort_with_error
    FrankaSimServer._abort_with_error = abort


def main() -> None:
    record, file = Record(), Path(sys.argv.pop(1))
    watch(record)
    request_real_time(20)  # a busy machine is not what is tested
    try:
        run_server.main()
    finally:
        file.write_text(json.dumps(vars(record)))


if __name__ == '__main__':
    main()
