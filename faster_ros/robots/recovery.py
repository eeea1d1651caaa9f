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
What sets a stopped arm going again, as its vendor documents it: one tuple of steps per driver.

Nothing here runs by itself: ``nodes/recovery_runner.py`` performs the steps when ``~/recover`` is
called, and none of them arms. None takes the power from a motor either: an arm that falls is
worse than one that stands, so a Piper's reset stays with a person who holds the arm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from faster_ros.robot_spec import RobotSpec

_TRIGGER = ('std_srvs', 'srv', 'Trigger')


@dataclass(frozen=True)
class Call:
    """
    Call a service, or an action until its result.

    ``kind``: package, srv or action, and name of its type. ``request``: fields that differ from
    their defaults. ``good``: whether an answer, or the result of an action, means success.
    """

    name: str
    kind: tuple[str, str, str]
    good: Callable[[Any], bool]
    request: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Step:
    """
    One step: wait, then command the measured pose if ``hold``, then call.

    ``calls``: the first that succeeds is enough. If ``needed`` is false, the sequence goes on
    without a success.
    """

    text: str
    calls: tuple[Call, ...] = ()
    wait_s: float = 0.0
    hold: bool = False
    needed: bool = True


def _succeeded(answer: Any) -> bool:
    return bool(answer.success)


def _trigger(name: str) -> Call:
    return Call(name, _TRIGGER, _succeeded)


_HOLD = Step('command the measured pose', hold=True)


def recovery_steps(spec: RobotSpec) -> tuple[Step, ...]:
    """Return the steps of a robot's ``recovery``, arm by arm; none for 'none'."""
    return tuple(_below(arm.driver_root, step)
                 for arm, _ in spec.parts.values() for step in _arm_steps(arm))


def _below(root: str, step: Step) -> Step:
    return replace(step, calls=tuple(replace(call, name=root + call.name)
                                     for call in step.calls))


def _arm_steps(spec: RobotSpec) -> tuple[Step, ...]:
    controller = spec.command_topic.strip('/').rpartition('/')[0]
    sequences: dict[str, tuple[Step, ...]] = {
        'none': (),
        'simulation': (Step('reset the simulation', (_trigger('/sim_node/reset'),)),),
        'ur': _UR, 'franka': _franka(controller), 'multipanda': _MULTIPANDA, 'piper': _PIPER,
        'agx_piper': _AGX_PIPER}
    return sequences[spec.recovery]


# A protective stop may be unlocked 5 s after it came. The stop only pauses the robot's program:
# it is ended, so that no motion from before is taken up, and started anew.
_UR = (
    Step('wait until a protective stop may be unlocked', wait_s=5.5),
    Step('unlock the protective stop', (_trigger('/dashboard_client/unlock_protective_stop'),)),
    Step('stop the paused program', (_trigger('/dashboard_client/stop'),), needed=False),
    Step('start the program', (_trigger('/io_and_status_controller/resend_robot_program'),
                               _trigger('/dashboard_client/play'))))


def _franka(controller: str) -> tuple[Step, ...]:
    """Return the steps of franka_ros2, whose order is mandatory."""
    return (
        Step('clear the error', (Call(
            '/action_server/error_recovery', ('franka_msgs', 'action', 'ErrorRecovery'),
            lambda result: True, timeout_s=20.0),)),
        Step('activate the hardware', (Call(
            '/controller_manager/set_hardware_component_state',
            ('controller_manager_msgs', 'srv', 'SetHardwareComponentState'),
            lambda answer: bool(answer.ok),
            {'name': 'FrankaHardwareInterface', 'target_state.id': 3,
             'target_state.label': 'active'}, timeout_s=20.0),)),
        Step(f'activate {controller}', (Call(
            '/controller_manager/switch_controller',
            ('controller_manager_msgs', 'srv', 'SwitchController'),
            lambda answer: bool(answer.ok),
            {'activate_controllers': [controller], 'strictness': 2}),)))


# Its control loop resumes by itself, towards the last target: that has to be where the arm is.
_MULTIPANDA = (
    _HOLD,
    Step('clear the error', tuple(
        Call(name, ('franka_msgs', 'srv', 'ErrorRecovery'), _succeeded)
        for name in ('/panda_error_recovery_service_server/error_recovery',
                     '/error_recovery_service_server/error_recovery',
                     '/service_server/error_recovery'))))

# Enabling closes the gripper. An arm in an emergency stop needs a reset first, which cuts the
# motors: not here.
_PIPER = (
    Step('enable the motors', (Call(
        '/enable_srv', ('piper_msgs', 'srv', 'Enable'),
        lambda answer: bool(answer.enable_response), {'enable_request': True}),)),
    _HOLD)

_AGX_PIPER = (
    Step('enable the motors', (Call(
        '/enable_agx_arm', ('std_srvs', 'srv', 'SetBool'), _succeeded, {'data': True}),)),
    _HOLD)
