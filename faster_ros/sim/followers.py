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
What follows a robot's commands in the simulation: one follower for each topic.

The robot file's ``command_mode`` and ``gripper.mode`` choose them, as they choose the writers in
``robots/``. A gripper that is an action on the real robot has no follower here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from faster_ros.interfaces import FloatArray
from faster_ros.robot_spec import GripperSpec, NO_TOPIC, RobotSpec
from faster_ros.sim.forward_controller import ForwardController
from faster_ros.sim.joint_state_driver import JointStateDriver
from faster_ros.sim.trajectory_controller import TrajectoryController
from faster_ros.sim.ur_driver import ScaledTrajectoryController

STREAMED_GRIPPERS = ('joint_trajectory', 'forward_position', 'joint_state')
AGX_TOPIC = '/control/joint_states'  # of agx_arm_ros, whose rules differ from piper_ros'


class Follower(Protocol):
    """Holds, or leads a part of the joints along what it was commanded."""

    def hold(self, positions: FloatArray) -> None:
        """Forget all commands and stay at ``positions``, shape (J,)."""

    def sample(self, now_ns: int) -> tuple[FloatArray, FloatArray]:
        """Return set positions and velocities at ``now_ns``, each of shape (J,)."""


@dataclass(frozen=True)
class Channel:
    """
    A topic and what follows it; ``part``: of the robot's joint vector.

    ``gripper``: whose unit a forward command has, or None for that of the joints.
    """

    topic: str
    follower: Follower
    part: slice
    gripper: GripperSpec | None = None


def channels_of(spec: RobotSpec) -> list[Channel]:
    """Return the channels of all arms, in the order of a joint vector."""
    channels = []
    for arm, part in spec.parts.values():
        first, *others = followers_of(arm)
        fingers = slice(part.stop - len(others), part.stop)
        channels.append(Channel(arm.command_topic, first, slice(part.start, fingers.start)))
        channels += [Channel(arm.gripper.topic, other, fingers, arm.gripper) for other in others]
    return channels


def followers_of(spec: RobotSpec) -> list[Follower]:
    """Return the followers of one arm and of its gripper, or the one of both."""
    home, names = spec.home_positions, spec.driver_joint_names
    if spec.gripper.mode not in STREAMED_GRIPPERS:
        raise ValueError(
            f'robot {spec.robot}: the simulation takes gripper.mode '
            f"{', '.join(STREAMED_GRIPPERS)}, got '{spec.gripper.mode}', an action; faster_ros "
            'demo writes a robot file of which the gripper is streamed')
    if spec.command_mode == 'joint_state':
        return [JointStateDriver(names, home, spec.command_topic != AGX_TOPIC)]
    if spec.command_mode == 'joint_trajectory':
        kind = (TrajectoryController if spec.driver_speed_topic == NO_TOPIC
                else ScaledTrajectoryController)
        first: Follower = kind(names[:-1], home[:-1])
    else:
        first = ForwardController(home[:-1], velocity=spec.command_mode == 'forward_velocity')
    if spec.gripper.mode == 'joint_trajectory':
        return [first, TrajectoryController(names[-1:], home[-1:])]
    return [first, ForwardController(home[-1:])]
