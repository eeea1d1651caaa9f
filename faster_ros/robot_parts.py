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
"""What a robot file is made of: joints, grippers, cameras and drivers; see ``robot_spec.py``."""

from __future__ import annotations

from dataclasses import dataclass, field

# Of a gripper's opening, 0 closed .. 1 open; what is between keeps the last decision.
CLOSE_BELOW, OPEN_ABOVE = 0.4, 0.6


@dataclass(frozen=True)
class JointLimits:
    """
    Limits of one joint: rad, rad/s, rad/s^2, rad/s^3; m instead of rad for a gripper finger.

    ``jerk`` 0: the vendor states none. ``envelope_offset`` (rad/s) and ``envelope_deceleration``
    (rad/s^2) describe a velocity limit that shrinks towards the stops; 0: there is none.
    """

    lower: float
    upper: float
    velocity: float
    acceleration: float
    jerk: float = 0.0
    envelope_offset: float = 0.0
    envelope_deceleration: float = 0.0


@dataclass(frozen=True)
class GripperSpec:
    """
    The gripper as one named joint: ``closed`` and ``open`` are its positions in m or rad.

    ``command_closed`` and ``command_open`` are what its driver is told for these two, in the
    driver's unit; ``topic`` is a topic or the name of an action, as ``mode`` says. ``effort`` is
    the driver's force (N, or N m), ``speed`` in the driver's unit per s; not every mode has them.
    ``latency_s``: how much later than the arm it follows; it is told that much earlier.
    ``binary``: it is told open or closed, with hysteresis; otherwise each action as it is.
    """

    joint: str
    closed: float
    open: float  # noqa: A003
    mode: str
    topic: str
    command_closed: float
    command_open: float
    effort: float
    speed: float
    latency_s: float = 0.0
    binary: bool = True


@dataclass(frozen=True)
class CameraSpec:
    """
    One camera: its image topic, size in pixels, rate and largest usable age.

    ``latency_s``: how long before its stamp an image was taken, by the clock of the joint states.
    """

    topic: str
    frame: str
    width: int
    height: int
    rate_hz: float
    max_age_s: float
    latency_s: float = 0.0


@dataclass(frozen=True)
class DriverSpec:
    """
    How one arm is told, and what it says.

    ``command_speed_percent`` goes with every command of mode joint_state. ``driver_ready_topic``
    (std_msgs/Bool) and ``driver_speed_topic`` (std_msgs/Float64, percent) may be ``none``.
    ``driver_names``: joint -> its name in the driver's messages, where that is another one.
    ``driver_gates``: kind -> topic, or name of the controller. ``recovery``: what ~/recover does.
    ``workspace``: walls in m for the tool in the base frame, such as ``z_min``. ``joint_prefix``
    stands before the joints and frames of a loaded spec, ``driver_namespace`` before the topics
    of arm and gripper; the URDF has neither.
    """

    tool_frame: str
    gripper: GripperSpec
    command_mode: str
    command_topic: str
    command_speed_percent: int
    driver_ready_topic: str
    driver_speed_topic: str
    state_topic: str
    driver_names: dict[str, str] = field(default_factory=dict)
    driver_gates: dict[str, str] = field(default_factory=dict)
    recovery: str = 'none'
    workspace: dict[str, float] = field(default_factory=dict)
    joint_prefix: str = ''
    driver_namespace: str = ''


@dataclass(frozen=True)
class BaseSpec:
    """
    A mobile base that takes velocities (geometry_msgs/Twist), in m/s and rad/s.

    The limits are what this package commands at most, in m/s, m/s^2, rad/s and rad/s^2.
    """

    topic: str
    linear_velocity: float
    linear_acceleration: float
    angular_velocity: float
    angular_acceleration: float

    @property
    def names(self) -> tuple[str, str]:
        """Return the names of the two columns of a chunk."""
        return 'base_linear_x', 'base_angular_z'
