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
"""Is the machine ready to keep a period, and are all packages of this robot installed."""

from __future__ import annotations

from faster_ros.doctor.facts import SystemFacts
from faster_ros.doctor.report import critical, Line, ok, warning
from faster_ros.robot_spec import RobotSpec

_FAST_COMMANDS_HZ = 250.0  # from here on an ordinary kernel is late too often
_CORES = 2


def system_lines(spec: RobotSpec, system: SystemFacts) -> list[Line]:
    """Return the lines about the machine."""
    return [packages(system), priority(system), kernel(spec, system), power(system)]


def packages(system: SystemFacts) -> Line:
    """Name what is not installed and needed for this robot."""
    if not system.missing:
        return ok('packages', 'all that this robot needs are installed')
    judge = warning if all(package.optional for package in system.missing) else critical
    found = [f'{package.name} is missing, needed for {package.purpose}'
             for package in system.missing]
    remedies = dict.fromkeys(package.remedy for package in system.missing)
    return judge('packages', '; '.join(found), ', '.join(remedies))


def priority(system: SystemFacts) -> Line:
    """Say whether control_node may go before other programs."""
    if system.real_time:
        return ok('real-time priority', 'allowed')
    return warning('real-time priority', 'not allowed; other programs delay the commands',
                   'add "@realtime - rtprio 99" to /etc/security/limits.conf, join the group '
                   'realtime, log in again')


def kernel(spec: RobotSpec, system: SystemFacts) -> Line:
    """Say whether the kernel fits the rate of the commands."""
    if system.real_time_kernel:
        return ok('kernel', 'PREEMPT_RT')
    if spec.command_rate_hz < _FAST_COMMANDS_HZ:
        return ok('kernel', f'ordinary; enough for {spec.command_rate_hz:g} Hz here, the driver '
                  'may ask for PREEMPT_RT on its machine')
    return warning('kernel', f'ordinary, with commands at {spec.command_rate_hz:g} Hz',
                   'use a PREEMPT_RT kernel, or a lower command_rate_hz')


def power(system: SystemFacts) -> Line:
    """Say whether the cores are there and kept awake."""
    if system.cores < _CORES:
        return warning('processor', f'{system.cores} core; policy and control each need one',
                       'use a machine with at least two cores')
    if system.governor in ('', 'performance'):
        return ok('processor', f'{system.cores} cores')
    return warning('processor', f'{system.cores} cores, governor {system.governor}',
                   'sudo cpupower frequency-set -g performance')
