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
"""Will commands reach the arm, only ours, and through a controller that is active."""

from __future__ import annotations

from faster_ros.doctor.facts import (
    ArmFacts,
    ControllerFacts,
    Endpoint,
    Facts,
    Quality,
    TargetFacts,
)
from faster_ros.doctor.report import critical, Line, ok, warning
from faster_ros.doctor.stream_checks import mismatch, node_names
from faster_ros.robot_spec import NO_TOPIC

OURS = 'control_node'
_OFFERED = Quality(reliable=True, transient_local=False)  # as nodes/qos.py COMMAND
_OF_AN_ARM = 'a leader arm, a teleoperation, an rqt panel or a joint_state_publisher'
_RIVALS = {'arm': _OF_AN_ARM, 'gripper': _OF_AN_ARM, 'base': 'a joystick or a navigation stack'}
_OF_ROS2_CONTROL = ('joint_trajectory', 'forward_position', 'forward_velocity')
_GATE = 'controller_active'  # of driver_gates: the arm's controller, or none without a manager
_LISTENERS_ONLY = ('_ros2cli', 'rosbag2', 'rqt', 'foxglove')


def command_lines(facts: Facts) -> list[Line]:
    """Return all lines about commands; a dry run commands nothing that could be wrong."""
    if facts.dry_run:
        return [ok('commands', 'dry run: only topics under /dry_run are commanded')]
    lines = [line.of(arm.name) for arm in facts.arms for line in _arm_lines(arm)]
    if facts.base is not None:
        lines += [receiver('base', facts.base), rivals('base', facts.base)]
    return lines


def _arm_lines(arm: ArmFacts) -> list[Line]:
    lines = []
    for target in arm.targets:
        label = 'arm' if target.topic == arm.spec.command_topic else 'gripper'
        lines += [receiver(label, target), rivals(label, target)]
        if arm.spec.command_mode in _OF_ROS2_CONTROL:
            named = arm.spec.driver_gates.get(_GATE, '') if label == 'arm' else NO_TOPIC
            lines.append(controller(label, target, arm.controllers, named))
    if arm.gripper_action:
        lines.append(gripper_action(arm))
    if arm.driver:
        lines.append(driver(arm))
    return lines


def receiver(label: str, target: TargetFacts) -> Line:
    """Say whether a driver takes the commands of this topic."""
    check = f'{label} receiver'
    drivers = tuple(end for end in target.receivers if not _only_listens(end))
    if not drivers:
        return critical(check, f'nobody takes commands on {target.topic}',
                        'start the driver or its controller, or correct the topic in the robot '
                        'file')
    names = node_names(drivers)
    wrong = sorted({end.type_name for end in drivers} - {target.type_name})
    if wrong:
        return critical(check, f"{names} takes {', '.join(wrong)} on {target.topic}; "
                        f'{target.type_name} would be sent', 'correct the command_mode or the '
                        'topic in the robot file')
    unfit = [f'{end.node}: {reason}' for end in drivers
             if (reason := mismatch(_OFFERED, end.quality))]
    if unfit:
        return critical(check, f"{target.topic}: {'; '.join(unfit)}",
                        'let the driver subscribe reliable and volatile, without a deadline')
    return ok(check, f'{names} on {target.topic}')


def rivals(label: str, target: TargetFacts) -> Line:
    """Say whether anybody else commands this topic."""
    check = f'{label} senders'
    ours = [end for end in target.publishers if _name(end) == OURS]
    others = tuple(end for end in target.publishers if _name(end) != OURS)
    if others:
        return critical(check, f'{node_names(others)} publishes on {target.topic}, which moves '
                        f'the {label}', f'stop it: {_RIVALS[label]} there fights with the policy')
    if len(ours) > 1:
        return critical(check, f'{len(ours)} control_nodes publish on {target.topic}',
                        'stop the bringup that was left running')
    return ok(check, 'nobody else')


def controller(label: str, target: TargetFacts, known: ControllerFacts, named: str = '') -> Line:
    """
    Say whether the controller behind a command topic is active.

    ``named``: what the robot file says of it, a controller, none for no controller manager, or ''.
    """
    name, check = _controller_name(target.topic), f'{label} controller'
    if not known.manager:
        return _without_manager(check, named)
    if known.problem:
        return warning(check, f'{known.manager}: {known.problem}',
                       'look with: ros2 control list_controllers')
    state = known.states.get(name, '')
    if state == 'active':
        return ok(check, f'active, says {known.manager}')
    active = ', '.join(other for other, its in known.states.items() if its == 'active') or 'none'
    if not state:
        return critical(check, f'{known.manager} knows no controller {name}; active: {active}',
                        'load it (config/controllers has examples), or correct the topic')
    return critical(check, f'it is {state}; active: {active}',
                    f'ros2 control switch_controllers --activate {name}')


def _without_manager(check: str, named: str) -> Line:
    found = 'no controller manager answers'
    if named == NO_TOPIC:
        return ok(check, f'{found}, and the robot file names none')
    if named:
        return critical(check, f'{found}; driver_gates of the robot file names {named}',
                        f'start the driver, correct its namespace, or say {_GATE}: none')
    return warning(check, f'{found}; whether the controller is active cannot be seen',
                   f'start the driver, or say in driver_gates {_GATE}: none if it has no manager')


def gripper_action(arm: ArmFacts) -> Line:
    """Say whether somebody serves the gripper's action."""
    if arm.gripper_served:
        return ok('gripper action', f'served on {arm.gripper_action}')
    return critical('gripper action', f'nobody serves {arm.gripper_action}',
                    'start the driver of the gripper, or correct gripper.topic and gripper.mode')


def driver(arm: ArmFacts) -> Line:
    """Repeat what the driver says about itself, or why that cannot be heard."""
    for stream in arm.driver:
        if not stream.publishers:
            return critical('driver ready', f'nobody publishes {stream.topic}',
                            'start the driver, or say none in the robot file')
        for end in stream.publishers:
            if reason := mismatch(end.quality, stream.requested):
                return critical('driver ready', f'{stream.topic} from {end.node}: {reason}',
                                'use the driver that the robot file is meant for')
    if arm.driver_problem:
        return critical('driver ready', arm.driver_problem,
                        'start the program on the robot, or set the speed slider to full')
    return ok('driver ready', 'the driver follows, at full speed')


def _controller_name(topic: str) -> str:
    """Return the controller of ``/.../<controller>/commands`` and the like."""
    return topic.strip('/').split('/')[-2] if '/' in topic.strip('/') else topic


def _name(end: Endpoint) -> str:
    return end.node.rsplit('/', 1)[-1]


def _only_listens(end: Endpoint) -> bool:
    return _name(end).startswith(_LISTENERS_ONLY)
