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
"""The parameters of ``control_node``, and the controller that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from faster_ros.nodes.parameters import parameter, RobotParameters
from faster_ros.robot_spec import RobotSpec
from faster_ros.runtime.controller import MotionConfig, MotionController
from faster_ros.runtime.deadman import Deadman
from faster_ros.runtime.supervisor import Gates


@dataclass(frozen=True)
class ControlParameters(RobotParameters):
    """Parameters of control_node."""

    rate_hz: float = parameter(0.0, "commands per second in Hz; 0 takes the robot file's rate",
                               0.0, 1000.0)
    merge: str = parameter('smooth', 'how chunks are joined: smooth, crossfade, average, '
                           'ensemble, hard_switch, restart or synchronous')
    blend: float = parameter(0.12, 'length of the seam between two chunks in s',
                             0.0, 1.0)
    command_lead: float = parameter(0.02, 'time from sending a set point to its due time in s',
                                    0.001, 0.2)
    actuation_latency: float = parameter(0.0, 'delay of the arm behind its set points in s, made '
                                         'up for by commanding earlier; on top of the robot '
                                         "file's arm_latency_s", 0.0, 0.5)
    engage_distance: float = parameter(0.1, 'largest distance of the first target from the '
                                       'measured pose in rad', 0.001, 3.2)
    tracking_error: float = parameter(0.3, 'largest distance between commanded and measured '
                                      'joint in rad', 0.001, 3.2)
    starve_grace: float = parameter(0.5, 'time without actions after which the arm must be '
                                    'armed again in s', 0.0, 60.0)
    chunk_jump: float = parameter(0.5, 'largest distance between two rows of a chunk in rad',
                                  0.001, 6.3)
    limit_tolerance: float = parameter(0.1, "how far beyond the vendor's range a joint may be "
                                       'measured in rad', 0.0, 3.2)
    deadman_topic: str = parameter('', 'joystick (sensor_msgs/Joy) of which a button has to be '
                                   'held; empty for none')
    deadman_button: int = parameter(0, 'which button, counted from 0', 0, 63)
    deadman_timeout: float = parameter(0.3, 'time without a report after which the button counts '
                                       'as released in s', 0.02, 5.0)
    stamp_commands: bool = parameter(True, 'state when a trajectory starts; false lets the '
                                     'receiver start it on arrival')
    gripper_repeat: float = parameter(1.0, 'time after which an unchanged gripper command is '
                                      'sent again in s', 0.05, 60.0)
    dry_run: bool = parameter(False, 'command nothing: every topic gets the prefix /dry_run, no '
                              'action is called, and the arm need not follow')
    require_doctor: bool = parameter(False, 'refuse to arm until doctor/verdict has no critical '
                                     'line')
    pose_chunks: bool = parameter(False, 'also follow chunks of tool poses on policy/chunk_ee, by '
                                  'inverse kinematics')
    realtime_priority: int = parameter(20, 'SCHED_FIFO priority to ask for; 0 asks for none',
                                       0, 99)


def make_controller(spec: RobotSpec, config: ControlParameters,
                    rate_hz: float) -> MotionController:
    """Return the controller of a robot with these parameters; a ValueError names a wrong one."""
    _check_rate(spec, rate_hz, config.command_lead)
    gates = Gates(config.engage_distance, inf if config.dry_run else config.tracking_error,
                  config.starve_grace, config.chunk_jump, config.limit_tolerance)
    deadman = Deadman(config.deadman_topic, config.deadman_button,
                      config.deadman_timeout) if config.deadman_topic else None
    latency_s = config.command_lead + config.actuation_latency + spec.arm_latency_s
    return MotionController(
        spec, MotionConfig(config.merge, config.blend, latency_s, config.command_lead, gates),
        rate_hz, deadman)


def _check_rate(spec: RobotSpec, rate_hz: float, lead_s: float) -> None:
    spec.check_rate(rate_hz, "parameter 'rate_hz'")
    for arm, _ in spec.parts.values():
        if arm.command_mode == 'joint_trajectory' and lead_s < 0.999 / rate_hz:
            raise ValueError(f"parameter 'command_lead' must be at least a period, "
                             f'{1 / rate_hz:.4g} s at {rate_hz:g} Hz, got {lead_s:g}: the arm '
                             'would begin to brake before the next command')


def deadman_text(config: ControlParameters) -> str:
    """Return the line of the start-up table."""
    if not config.deadman_topic:
        return 'none'
    return f'button {config.deadman_button} on {config.deadman_topic} has to be held'
