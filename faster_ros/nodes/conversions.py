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
Joint messages to typed objects and back; joints by name, never by place.

An input that cannot be used is a ValueError that says what was expected and what came. Called by
the nodes; images are in ``images.py``, what an arm's driver is sent is in ``robots/``.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from builtin_interfaces.msg import Duration, Time
from faster_ros.data import joint_messages
from faster_ros.interfaces import ActionChunk, JointCommand, PoseChunk
from faster_ros.robot_spec import RobotSpec
from geometry_msgs.msg import Transform
import numpy as np
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import (
    JointTrajectory,
    JointTrajectoryPoint,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
)

# Read by the code that also reads those of bags.
to_ns = joint_messages.to_ns
state_from_message = joint_messages.state_from_message
is_of_other_hardware = joint_messages.is_of_other_hardware


def to_time(time_ns: int) -> Time:
    """Return a stamp."""
    return Time(sec=time_ns // 10**9, nanosec=time_ns % 10**9)


def to_duration(time_ns: int) -> Duration:
    """Return a duration."""
    return Duration(sec=time_ns // 10**9, nanosec=time_ns % 10**9)


def chunk_to_message(chunk: ActionChunk) -> JointTrajectory:
    """Return a chunk as a trajectory: stamp of the observation, row k at k steps after it."""
    message = JointTrajectory(joint_names=list(chunk.names))
    message.header.stamp = to_time(chunk.start_ns)
    message.points = [
        JointTrajectoryPoint(positions=array('d', row),
                             time_from_start=to_duration(index * chunk.step_ns))
        for index, row in enumerate(chunk.actions.tolist())]
    return message


def chunk_from_message(message: JointTrajectory) -> ActionChunk:
    """Return the chunk of a trajectory whose points are evenly spaced, the first at 0 s."""
    points = message.points
    if not points:
        raise ValueError('chunk has no points; expected at least one')
    widths = sorted({len(point.positions) for point in points})
    if widths != [len(message.joint_names)]:
        raise ValueError(f"chunk has rows of {', '.join(map(str, widths))} positions; expected "
                         f'{len(message.joint_names)}, one per joint name')
    actions = np.array([point.positions for point in points], dtype=float)
    return ActionChunk(to_ns(message.header.stamp), _step_ns(points), actions,
                       tuple(message.joint_names))


def pose_chunk_from_message(message: MultiDOFJointTrajectory, spec: RobotSpec) -> PoseChunk:
    """
    Return the chunk of a trajectory of tool poses, with the same times as a joint chunk.

    A name that is a gripper's joint has its position as ``translation.x``, and nothing else.
    """
    if not message.points:
        raise ValueError('chunk of poses has no points; expected at least one')
    names = list(message.joint_names)
    widths = sorted({len(point.transforms) for point in message.points})
    if widths != [len(names)] or len(set(names)) < len(names):
        raise ValueError(f"chunk of poses has rows of {', '.join(map(str, widths))} transforms; "
                         f"expected one for each of {', '.join(names) or 'no names'}, once")
    poses = np.array([[_pose(transform) for transform in point.transforms]
                      for point in message.points])
    grippers = [gripper.joint for gripper in spec.grippers]
    columns = {name: poses[:, index] for index, name in enumerate(names)}
    return PoseChunk(to_ns(message.header.stamp), _step_ns(message.points),
                     message.header.frame_id,
                     {name: pose for name, pose in columns.items() if name not in grippers},
                     {name: pose[:, 0] for name, pose in columns.items() if name in grippers})


def _pose(transform: Transform) -> list[float]:
    place, turn = transform.translation, transform.rotation
    return [place.x, place.y, place.z, turn.x, turn.y, turn.z, turn.w]


def _step_ns(points: Sequence[JointTrajectoryPoint | MultiDOFJointTrajectoryPoint]) -> int:
    """Return the step of a time grid that begins at 0, or the ValueError of another one."""
    times = [to_ns(point.time_from_start) for point in points]
    step_ns = times[1] - times[0] if len(times) > 1 else 1
    if step_ns <= 0 or any(time != index * step_ns for index, time in enumerate(times)):
        raise ValueError('chunk has points at '
                         f"{', '.join(f'{time * 1e-9:g}' for time in times[:4])} ... s; expected "
                         'evenly spaced times from 0')
    return step_ns


def trace_id(observation_ns: int) -> str:
    """Return the stamp of an observation as a text, such as 12.000000345, or '' for 0."""
    seconds, rest = divmod(observation_ns, 10**9)
    return f'{seconds}.{rest:09d}' if observation_ns else ''


def command_to_state(command: JointCommand, names: tuple[str, ...]) -> JointState:
    """
    Return a command as it is recorded: a row of a chunk, and the velocities of the joints.

    ``frame_id`` is the stamp of the observation that led to it, '' where none did.
    """
    message = JointState(name=list(names))
    message.header.stamp = to_time(command.stamp_ns)
    message.header.frame_id = trace_id(command.observation_ns)
    base: list[float] = [] if command.base is None else command.base.tolist()
    message.position = array('d', [*command.positions, *base])
    message.velocity = array('d', [*command.velocities, *(np.nan for _ in base)])
    return message
