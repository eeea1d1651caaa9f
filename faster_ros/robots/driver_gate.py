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
What the driver says about itself: whether motion would reach the arm, and at what speed.

UR: ``robot_program_running`` is false while the arm's own program stands, and commands go nowhere;
``safety_mode`` tells a protective stop; ``speed_scaling`` is the speed at which the driver moves
the arm. It is published in percent (0 to 100), whatever the driver's documentation says, so 1.0
is one percent. Piper: ``arm_status``. Franka: the robot's mode, and that our controller is active,
which any ros2_control driver can tell. Called by ``nodes/driver_signals.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from faster_ros.robot_spec import NO_TOPIC, RobotSpec

_FULL_SPEED_PERCENT = 99.0
_SILENT_S = 1.0    # of a driver that reports many times a second
_TAKES_OVER_S = 1.0  # a Piper leaves standby with the first commands
_UR_SAFETY_MODES = dict(enumerate((
    'NORMAL', 'REDUCED', 'PROTECTIVE_STOP', 'RECOVERY', 'SAFEGUARD_STOP', 'SYSTEM_EMERGENCY_STOP',
    'ROBOT_EMERGENCY_STOP', 'VIOLATION', 'FAULT', 'VALIDATE_JOINT_ID', 'UNDEFINED'), 1))
_FRANKA_MODES = dict(enumerate((
    'OTHER', 'IDLE', 'MOVE', 'GUIDING', 'REFLEX', 'USER_STOPPED', 'AUTOMATIC_ERROR_RECOVERY')))
_PIPER_STATUS = dict(enumerate((
    'normal', 'emergency stop', 'no solution', 'singularity', 'angle beyond its limit',
    'joint communication', 'brake not released', 'collision', 'overspeed while taught',
    'joint error', 'other', 'teaching', 'teaching, executing', 'teaching, paused',
    'main controller too hot', 'discharge resistor too hot')))
_PIPER_MODES = dict(enumerate((
    'standby', 'CAN', 'teaching', 'ethernet', 'wifi', 'remote control', 'linked teaching',
    'offline trajectory')))


@dataclass(frozen=True)
class Signal:
    """
    One thing a driver reports.

    ``kind``: package, msg or srv, and name of its type; it may be missing here if ``optional``.
    ``judge``: what is wrong with a message, or ''; told for how long commands have been sent (s).
    A message that is not ``latched`` is outdated after a second.
    """

    kind: tuple[str, str, str]
    topic: str
    judge: Callable[[Any, float], str]
    latched: bool = False
    optional: bool = True


class DriverGate:
    """Remembers the driver's last words on each of its ``signals``, by topic or service."""

    def __init__(self, spec: RobotSpec) -> None:
        self.signals: dict[str, Signal] = {signal.topic: signal for signal in _signals(spec)}
        self._speed_topic = spec.driver_speed_topic
        self._heard: dict[str, tuple[Any, float]] = {}

    def hear(self, topic: str, message: Any, steady_s: float) -> None:
        """Note a message, or the answer of a service."""
        self._heard[topic] = message, steady_s

    def ignore(self, topic: str) -> None:
        """Give up a signal whose messages are not installed."""
        del self.signals[topic]

    def problem(self, steady_s: float, commanded_s: float = 0.0) -> str:
        """
        Return '' or the sentence that names the topic, what was expected and what came.

        ``commanded_s``: for how long the arm has been commanded without a pause.
        """
        for topic, signal in self.signals.items():
            if topic not in self._heard:
                return f'no message yet on {topic}; is the driver running?'
            message, heard_s = self._heard[topic]
            if not signal.latched and steady_s - heard_s > _SILENT_S:
                return (f'nothing on {topic} for {steady_s - heard_s:.1f} s; expected it many '
                        'times a second')
            problem = signal.judge(message, commanded_s)
            if problem:
                return f'{problem} on {topic}'
        return ''

    @property
    def speed(self) -> float:
        """Return the share of its speed at which the driver moves the arm, 1 if it never says."""
        if self._speed_topic not in self._heard:
            return 1.0
        message, _ = self._heard[self._speed_topic]
        if _judge_speed(message, 0.0) or message.data >= _FULL_SPEED_PERCENT:
            return 1.0
        return 0.01 * float(message.data)


def _signals(spec: RobotSpec) -> list[Signal]:
    """Return the signals of a robot, those that explain the others first."""
    kinds: Mapping[str, Callable[[str], Signal]] = {
        'ur_safety_mode': lambda topic: Signal(
            ('ur_dashboard_msgs', 'msg', 'SafetyMode'), topic, _judge_ur_safety, latched=True),
        'franka_mode': lambda topic: Signal(
            ('franka_msgs', 'msg', 'FrankaRobotState'), topic, _judge_franka),
        'piper_status': lambda topic: Signal(
            ('piper_msgs', 'msg', 'PiperStatusMsg'), topic, _judge_piper),
        'controller_active': lambda name: Signal(
            ('controller_manager_msgs', 'srv', 'ListControllers'),
            f'{spec.driver_root}/controller_manager/list_controllers',
            _controller_judge(name))}
    signals = [kinds[kind](topic) for kind, topic in spec.driver_gates.items()
               if topic != NO_TOPIC]
    if spec.driver_ready_topic != NO_TOPIC:
        signals.append(Signal(('std_msgs', 'msg', 'Bool'), spec.driver_ready_topic, _judge_ready,
                              latched=True, optional=False))
    if spec.driver_speed_topic != NO_TOPIC:
        signals.append(Signal(('std_msgs', 'msg', 'Float64'), spec.driver_speed_topic,
                              _judge_speed, optional=False))
    return signals


def _judge_speed(message: Any, _: float) -> str:
    percent = float(message.data)
    return '' if 0 <= percent <= 1000 else f'expected a speed in percent, got {percent:g}'


def _judge_ready(message: Any, _: float) -> str:
    return '' if message.data else ('expected true, got false (is the program running on the '
                                    'robot?)')


def _judge_ur_safety(message: Any, _: float) -> str:
    mode = int(message.mode)
    if mode in (1, 2):
        return ''
    return f'expected safety mode NORMAL or REDUCED, got {mode} {_UR_SAFETY_MODES.get(mode, "")}'


def _judge_franka(message: Any, _: float) -> str:
    mode = int(message.robot_mode)
    name = _FRANKA_MODES.get(mode, '')
    return '' if name == 'MOVE' else f'expected robot mode 2 MOVE, got {mode} {name}'


def _judge_piper(message: Any, commanded_s: float) -> str:
    status, mode = int(message.arm_status), int(message.ctrl_mode)
    if status != 0:
        return f'expected arm_status 0 normal, got {status} {_PIPER_STATUS.get(status, "")}'
    if mode == 1 or (mode == 0 and commanded_s < _TAKES_OVER_S):
        return ''
    return f'expected ctrl_mode 1 CAN, got {mode} {_PIPER_MODES.get(mode, "")}'


def _controller_judge(name: str) -> Callable[[Any, float], str]:
    def judge(answer: Any, _: float) -> str:
        states = {controller.name: controller.state for controller in answer.controller}
        said = states.get(name, 'not loaded')
        return '' if said == 'active' else f'expected {name} to be active, got {said}'
    return judge
