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
"""Do the joint states have the robot's joints, by name, in rad and m, within their limits."""

from __future__ import annotations

from math import degrees, isfinite, radians

from faster_ros.doctor.facts import JointFacts
from faster_ros.doctor.report import critical, Line, ok, warning
from faster_ros.robot_spec import JointLimits, RobotSpec

_OUTSIDE_RAD = 0.05  # a measured joint this far beyond its limit is more than a tolerance


def names(spec: RobotSpec, joints: JointFacts) -> Line:
    """Say whether every joint is there; the order does not matter, as names are matched."""
    check, expected = 'joint names', spec.driver_joint_names
    twice = sorted({name for name in joints.names if joints.names.count(name) > 1})
    if twice:
        return critical(check, f"{', '.join(twice)} more than once in one message",
                        'let every joint have one name and one publisher')
    if not joints.complete:
        return critical(check, joints.problem or f"got {', '.join(joints.names)}",
                        _missing_remedy(spec, joints.names))
    count = len(joints.stream.arrivals_ns)
    if joints.complete < count:
        return warning(check, f'{joints.complete} of {count} messages have all joints; '
                       f'{joints.problem}', 'merge the states of arm and gripper into one topic '
                       '(joint_state_publisher with source_list)')
    order = tuple(name for name in joints.names if name in expected)
    found = 'in the order of the robot file' if order == expected else (
        f'{order[0]} first, not {expected[0]}: they are matched by name')
    return ok(check, f'all {len(expected)}, {found}')


def _missing_remedy(spec: RobotSpec, present: tuple[str, ...]) -> str:
    expected = spec.driver_joint_names
    for name in present:
        prefix = name.removesuffix(expected[0])
        prefixed = {prefix + other for other in expected[:spec.gripper_index]}
        if prefix not in ('', name) and prefixed <= set(present):
            return (f'the driver puts {prefix} before every name: joint_prefix:={prefix}, or '
                    'driver_names of one arm among several')
    if not set(present) & set(expected):
        return 'is this the robot that is connected? correct the robot, or joints of its file'
    return ('start what publishes the missing joint and merge it into this topic, or correct '
            'joints or driver_names of the robot file')


def measured(spec: RobotSpec, joints: JointFacts) -> dict[str, float]:
    """Return the newest positions by the robot file's names, which a driver may not use."""
    own = dict(zip(spec.driver_joint_names, spec.joint_names))
    return {own[name]: value for name, value in zip(joints.names, joints.positions)
            if name in own}


def units(spec: RobotSpec, joints: JointFacts) -> Line:
    """Find degrees where rad are expected, mm where m are, and joints beyond their limits."""
    check = 'joint units'
    limits = dict(zip(spec.driver_joint_names, spec.joints.values()))
    known = {name: value for name, value in zip(joints.names, joints.positions)
             if name in limits}
    for name, value in known.items():
        if not isfinite(value):
            return critical(check, f'{name} is {value}', 'see the log of the driver')
    outside = {name: value for name, value in known.items()
               if not _inside(value, limits[name])}
    if not outside:
        return ok(check, 'all joints within their limits')
    found = ', '.join(f'{name} at {value:.4g}' for name, value in outside.items())
    gripper = spec.driver_joint_names[spec.gripper_index]
    guesses = [_guess(value, limits[name], name == gripper) for name, value in outside.items()]
    guess = next((f'{name} {text}' for name, text in zip(outside, guesses) if text), '')
    if guess:
        return critical(check, f'{found}; {guess}',
                        'let the driver publish SI units: rad and m')
    return warning(check, f'{found}; outside of the limits of the robot file',
                   'move the arm inwards by hand, or correct the limits')


def _guess(value: float, limits: JointLimits, gripper: bool) -> str:
    """Return which unit would explain a value, or '' if it is only beyond a limit."""
    reach = max(abs(limits.lower), abs(limits.upper))
    if gripper and abs(value) > 3 * reach and _inside(value / 1000, limits):
        return 'looks like mm'
    if gripper and abs(value) > 3 * reach:
        return 'is not in m or rad; percent or counts?'
    if abs(value) > 1.5 * reach and _inside(radians(value), limits):
        return (f'looks like degrees ({value:.4g} degrees are {radians(value):.3f} '
                f'rad, limits {degrees(limits.lower):.0f} to {degrees(limits.upper):.0f})')
    return ''


def _inside(value: float, limits: JointLimits) -> bool:
    tolerance = min(_OUTSIDE_RAD, 0.1 * (limits.upper - limits.lower))
    return limits.lower - tolerance <= value <= limits.upper + tolerance
