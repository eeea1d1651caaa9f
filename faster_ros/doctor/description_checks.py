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
"""Do the limits of the robot file stay within those of the robot's own description."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

from faster_ros.doctor.report import critical, Line, ok, warning
from faster_ros.robot_spec import RobotSpec

_ROUNDING = 1e-3  # rad or m by which two descriptions of one limit may differ


def limits(spec: RobotSpec, topic: str, text: str) -> Line:
    """Compare an arm's limits with the URDF of a topic or, without one, of a file."""
    check = 'joint limits'
    if not text:
        return ok(check, f'no {topic} to compare with; those of the robot file are used')
    try:
        described = urdf_limits(text)
    except (ElementTree.ParseError, ValueError) as error:
        return warning(check, f'{topic} is not a readable URDF: {error}',
                       'see what publishes the description')
    names = _names(spec, topic, described)
    missing = [name for name in names.values() if name not in described]
    if missing:
        return critical(check, f"{topic} has no joint {', '.join(missing)}; it has "
                        f"{', '.join(described)}", 'name the robot that is connected, or its '
                        'joint_prefix')
    wider = [text for own, name in names.items()
             if (text := _position_problem(spec, own, described[name]))]
    if wider:
        return critical(check, f"wider than in {topic}: {', '.join(wider)}",
                        'narrow these joints in the robot file')
    faster = [text for own, name in names.items()
              if (text := _speed_problem(spec, own, described[name]))]
    if faster:
        return warning(check, f"faster than in {topic}: {', '.join(faster)}",
                       'lower velocity_scale or the limits in the robot file')
    return ok(check, f'within those of {topic}')


def _names(spec: RobotSpec, topic: str, described: Mapping[str, object]) -> dict[str, str]:
    """
    Return what a description calls the arm's joints, all after one rule.

    The package's own file has no prefix. A driver's may be of that arm alone, with the names in
    its messages, or of the whole robot, with those of the robot file.
    """
    own = spec.arm_joint_names
    if topic.endswith('.urdf'):
        return {name: spec.urdf_name(name) for name in own}
    drivers = dict(zip(own, spec.driver_joint_names))
    whole = set(own) <= set(described) and not set(drivers.values()) <= set(described)
    return dict(zip(own, own)) if whole else drivers


def urdf_limits(text: str) -> dict[str, tuple[float, float, float]]:
    """Return (lower, upper, velocity) by joint; a continuous joint has no bounds."""
    found = {}
    for joint in ElementTree.fromstring(text).iter('joint'):
        limit, kind = joint.find('limit'), joint.get('type')
        if kind not in ('revolute', 'prismatic', 'continuous'):
            continue
        values = {} if limit is None else limit.attrib
        free = float('inf') if kind == 'continuous' else 0.0
        found[str(joint.get('name'))] = (
            -free if free else float(values.get('lower', 0.0)),
            free if free else float(values.get('upper', 0.0)),
            float(values.get('velocity', 'inf')))
    return found


def _position_problem(spec: RobotSpec, name: str, described: tuple[float, float, float]) -> str:
    own, margin = spec.joints[name], spec.position_margin - _ROUNDING
    if own.lower + margin < described[0]:
        return f'{name} down to {own.lower:g} rad instead of {described[0]:g}'
    if own.upper - margin > described[1]:
        return f'{name} up to {own.upper:g} rad instead of {described[1]:g}'
    return ''


def _speed_problem(spec: RobotSpec, name: str, described: tuple[float, float, float]) -> str:
    used = spec.joints[name].velocity * spec.velocity_scale
    return f'{name} at {used:.2f} rad/s instead of {described[2]:g}' if used > described[2] else ''
