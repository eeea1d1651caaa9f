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
The values of a robot file: each impossible one is a ValueError that names the file and the key.

What is of the wrong type or missing is found before, by ``strict_yaml.py``. Called by
``robot_spec.py``.
"""

from __future__ import annotations

from typing import Any

from faster_ros.robot_parts import JointLimits
import numpy as np

RobotSpec = Any  # it is made of what is checked here
# How the arm is commanded, and how the gripper is; robots/ has one writer for each.
COMMAND_MODES = ('joint_trajectory', 'forward_position', 'forward_velocity', 'joint_state',
                 'ee_pose', 'ee_pose_matrix', 'ee_twist')
GRIPPER_MODES = ('joint_trajectory', 'forward_position', 'joint_state', 'gripper_command',
                 'parallel_gripper_command', 'franka')
# Controllers that do not interpolate what they are sent; multipanda's want 200 Hz.
_WRITTEN_AS_SENT = ('forward_position', 'ee_pose_matrix')
_LEAST_RATE_AS_SENT = 200.0  # Hz
DRIVER_GATES = ('ur_safety_mode', 'piper_status', 'franka_mode', 'controller_active')
RECOVERIES = ('none', 'simulation', 'franka', 'multipanda', 'ur', 'piper', 'agx_piper')
LONGEST_LATENCY_S = 0.5
WALLS = ('x_min', 'x_max', 'y_min', 'y_max', 'z_min', 'z_max')


def check_entry(arm: Any, keys: tuple[str, ...], source: str) -> None:
    """Check what ``arms`` holds for one of several arms, before it is read."""
    if not isinstance(arm, dict) or not set(arm) <= set(keys):
        raise ValueError(f"{source} must be a mapping with keys of an arm ({', '.join(keys)}), "
                         f'got {arm!r}')
    if arm.get('joint_prefix'):
        raise ValueError(f"{source}: 'joint_prefix' is {arm['joint_prefix']!r}; expected none, as "
                         "the arm's name stands before its joints: say in driver_names what its "
                         'driver calls them')


def check_arm(spec: RobotSpec, source: str) -> None:
    """Check what belongs to a robot with one arm, or to one arm of several."""
    for name, limits in spec.joints.items():
        _check_limits(limits, f'joints.{name}', source)
    _check_gripper_and_home(spec, source)
    _check_commands(spec, source)
    _check_driver_names(spec, source)
    _check_safety(spec, source)


def check_robot(spec: RobotSpec, source: str) -> None:
    """Check what belongs to the whole robot, and that its arms do not meet on a topic."""
    for field in ('velocity_scale', 'acceleration_scale'):
        if not 0 < getattr(spec, field) <= 1:
            raise ValueError(f"{source}: '{field}' must be in (0, 1], got {getattr(spec, field)}")
    _check_positive(spec, ('command_rate_hz', 'state_rate_hz', 'state_max_age_s'), '', source)
    for name, camera in spec.cameras.items():
        _check_positive(camera, ('width', 'height', 'rate_hz', 'max_age_s'), f'cameras.{name}.',
                        source)
        _check_latency(camera.latency_s, f'cameras.{name}.latency_s', source)
    _check_latency(spec.arm_latency_s, 'arm_latency_s', source)
    if spec.base is not None:
        _check_positive(spec.base, ('linear_velocity', 'linear_acceleration', 'angular_velocity',
                                    'angular_acceleration'), 'base.', source)
    _check_topics(spec, source)


def _check_latency(seconds: float, key: str, source: str) -> None:
    if not 0 <= seconds <= LONGEST_LATENCY_S:
        raise ValueError(f"{source}: '{key}' must be in [0, {LONGEST_LATENCY_S:g}] s, got "
                         f'{seconds}')


def _check_topics(spec: RobotSpec, source: str) -> None:
    """Refuse a topic that two arms share, in whatever role."""
    seen: dict[str, str] = {}
    for name, arm in spec.arms.items():
        roles = {'state_topic': arm.state_topic, 'command_topic': arm.command_topic}
        if arm.gripper.topic != arm.command_topic:
            roles['gripper.topic'] = arm.gripper.topic
        for role, topic in roles.items():
            place = f'arms.{name}.{role}'
            if topic in seen:
                raise ValueError(f"{source}: '{seen[topic]}' and '{place}' are both {topic}; each "
                                 'arm needs topics of its own')
            seen[topic] = place


def _check_driver_names(spec: RobotSpec, source: str) -> None:
    given = spec.driver.driver_names if spec.driver is not None else {}
    unknown = [name for name in given if name not in spec.joints]
    if unknown:
        raise ValueError(f"{source}: 'driver_names' has {', '.join(unknown)}; expected joints "
                         f"among {', '.join(spec.joints)}")
    names = spec.driver_joint_names
    if len(set(names)) < len(names):
        raise ValueError(f"{source}: 'driver_names' gives two joints one name: "
                         f"{', '.join(names)}")


def _check_positive(holder: Any, names: tuple[str, ...], prefix: str, source: str) -> None:
    for name in names:
        if getattr(holder, name) <= 0:
            raise ValueError(f"{source}: '{prefix}{name}' must be positive, got "
                             f'{getattr(holder, name)}')


def _check_limits(limits: JointLimits, key: str, source: str) -> None:
    if limits.lower >= limits.upper:
        raise ValueError(f"{source}: '{key}.lower' must be below '{key}.upper', got "
                         f'{limits.lower} and {limits.upper}')
    if max(abs(limits.lower), abs(limits.upper)) > 4 * np.pi:
        raise ValueError(f"{source}: '{key}' limits [{limits.lower}, {limits.upper}] exceed "
                         '4 pi; expected rad (or m), these look like degrees')
    _check_positive(limits, ('velocity', 'acceleration'), f'{key}.', source)
    for field in ('jerk', 'envelope_offset', 'envelope_deceleration'):
        if getattr(limits, field) < 0:
            raise ValueError(f"{source}: '{key}.{field}' must be positive, or 0 for none, got "
                             f'{getattr(limits, field)}')
    if limits.envelope_offset > 0 and limits.envelope_deceleration == 0:
        raise ValueError(f"{source}: '{key}.envelope_offset' needs '{key}.envelope_deceleration'")


def _check_commands(spec: RobotSpec, source: str) -> None:
    gripper = spec.gripper
    for key, value, known in (('command_mode', spec.command_mode, COMMAND_MODES),
                              ('gripper.mode', gripper.mode, GRIPPER_MODES)):
        if value not in known:
            raise ValueError(f"{source}: '{key}' must be one of {', '.join(known)}, got '{value}'")
    if spec.command_topic == spec.state_topic:
        raise ValueError(f"{source}: 'command_topic' and 'state_topic' are both "
                         f'{spec.command_topic}; what the arm reports would be commanded to it')
    if (gripper.mode == 'joint_state') != (spec.command_mode == 'joint_state'):
        raise ValueError(f"{source}: 'gripper.mode' joint_state and 'command_mode' joint_state go "
                         'together (one message holds the arm and the gripper), got '
                         f"'{gripper.mode}' and '{spec.command_mode}'")
    if gripper.mode == 'joint_state' and gripper.topic != spec.command_topic:
        raise ValueError(f"{source}: 'gripper.topic' must be the command_topic "
                         f'{spec.command_topic} in mode joint_state, got {gripper.topic}')
    check_command_rate(spec.command_mode, spec.command_rate_hz, f"{source}: 'command_rate_hz'")
    if gripper.command_closed == gripper.command_open:
        raise ValueError(f"{source}: 'gripper.command_closed' and 'gripper.command_open' must "
                         f'differ, got {gripper.command_closed} for both')
    _check_positive(gripper, ('effort', 'speed'), 'gripper.', source)
    if not 0 <= gripper.latency_s <= 2:
        raise ValueError(f"{source}: 'gripper.latency_s' must be in [0, 2], got "
                         f'{gripper.latency_s}')
    if not 1 <= spec.command_speed_percent <= 100:
        raise ValueError(f"{source}: 'command_speed_percent' must be in [1, 100], got "
                         f'{spec.command_speed_percent}')


def check_command_rate(mode: str, rate: float, what: str) -> None:
    """Refuse a rate in Hz that does not suit a ``command_mode``; ``what`` states it."""
    if mode == 'joint_state' and rate > 200:
        raise ValueError(f'{what} must be at most 200 in mode joint_state (the driver replans at '
                         f'each command), got {rate:g}')
    if mode in _WRITTEN_AS_SENT and rate < _LEAST_RATE_AS_SENT:
        raise ValueError(f'{what} must be at least {_LEAST_RATE_AS_SENT:g} in mode {mode} (the '
                         'controller does not interpolate: each command is a step of the motor), '
                         f'got {rate:g}')


def _check_safety(spec: RobotSpec, source: str) -> None:
    for key, values, known in (('workspace', spec.workspace, WALLS),
                               ('driver_gates', spec.driver_gates, DRIVER_GATES),
                               ('recovery', [spec.recovery], RECOVERIES)):
        for value in values:
            if value not in known:
                raise ValueError(f"{source}: '{key}' must be of {', '.join(known)}, got "
                                 f"'{value}'")
    walls = spec.workspace
    for low, high in zip(WALLS[::2], WALLS[1::2]):
        if walls.get(low, -np.inf) >= walls.get(high, np.inf):
            raise ValueError(f"{source}: 'workspace.{low}' must be below 'workspace.{high}', got "
                             f'{walls[low]} and {walls[high]}')


def _check_gripper_and_home(spec: RobotSpec, source: str) -> None:
    gripper = spec.gripper
    if gripper.joint != spec.joint_names[-1]:
        raise ValueError(f"{source}: 'gripper.joint' must be the last entry of 'joints' "
                         f"('{spec.joint_names[-1]}'), got '{gripper.joint}'")
    if gripper.closed == gripper.open:
        raise ValueError(f"{source}: 'gripper.closed' and 'gripper.open' must differ, got "
                         f'{gripper.closed} for both')
    limits = spec.joints[gripper.joint]
    for field in ('closed', 'open'):
        if not limits.lower <= getattr(gripper, field) <= limits.upper:
            raise ValueError(f"{source}: 'gripper.{field}' must lie in [{limits.lower}, "
                             f'{limits.upper}], got {getattr(gripper, field)}')
    if set(spec.home) != set(spec.joints):
        raise ValueError(f"{source}: 'home' must name exactly the joints "
                         f"{', '.join(spec.joints)}, got {', '.join(spec.home)}")
    for name, value in spec.home.items():
        limits = spec.joints[name]
        if not limits.lower <= value <= limits.upper:
            raise ValueError(f"{source}: 'home.{name}' must lie in [{limits.lower}, "
                             f'{limits.upper}], got {value}')
