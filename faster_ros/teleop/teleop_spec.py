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
TeleopSpec: what leads an arm by hand, read strictly from ``config/teleop/<device>.yaml``.

An unknown key, a missing one or a wrong type is a ValueError that names the file and the key.
Axes and buttons are counted from 0, as sensor_msgs/Joy does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from faster_ros.robot_spec import config_path
from faster_ros.strict_yaml import build, read_yaml

_CARTESIAN = ('x', 'y', 'z', 'rx', 'ry', 'rz')
FOLLOW = ('relative', 'absolute')
FRAMES = ('base', 'tool')


@dataclass(frozen=True)
class JointMap:
    """Robot's joint = ``scale`` x leader's joint + ``offset``, in rad."""

    leader: str
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class GripperMap:
    """
    The readings ``closed`` and ``open`` of a leader's handle.

    It is either the joint ``leader``, or a std_msgs/Float32 on ``topic``.
    """

    closed: float
    open: float  # noqa: A003
    leader: str = ''
    topic: str = ''


@dataclass(frozen=True)
class JointLeaderSpec:
    """
    A leader arm that publishes sensor_msgs/JointState.

    ``joints``: robot's joint, as its driver calls it -> leader's; empty: the same names.
    ``follow``: relative keeps the distance that the arms have when the leader is engaged; absolute
    refuses one of more than ``align_within`` rad and closes the rest at ``align_speed`` rad/s.
    """

    topic: str
    joints: dict[str, JointMap] = field(default_factory=dict)
    gripper: GripperMap | None = None
    follow: str = 'relative'
    align_within: float = 0.5
    align_speed: float = 0.2


@dataclass(frozen=True)
class PoseLeaderSpec:
    """
    A hand, controller or phone that publishes geometry_msgs/PoseStamped.

    ``scale``: metres of the tool for a metre of the hand. ``roll``, ``pitch``, ``yaw``: attitude
    of the device's frame in the robot's base frame, fixed axes, rad. ``turns``: whether the tool
    turns with the hand.
    """

    topic: str
    scale: float = 1.0
    roll: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    turns: bool = True


@dataclass(frozen=True)
class Axis:
    """``speed`` (m/s or rad/s) at full deflection of an axis, or by two buttons."""

    speed: float
    axis: int = -1
    plus: int = -1
    minus: int = -1


@dataclass(frozen=True)
class JoyLeaderSpec:
    """
    A gamepad, joystick or keyboard that publishes sensor_msgs/Joy.

    ``cartesian``: x, y, z, rx, ry, rz -> axis, in the robot's base frame, or the tool's.
    ``joints``: number of the arm's joint, from 1 -> axis. The button ``mode`` changes between the
    two. Deflections below ``dead_zone`` count as none.
    """

    topic: str
    cartesian: dict[str, Axis] = field(default_factory=dict)
    joints: dict[str, Axis] = field(default_factory=dict)
    mode: int = -1
    frame: str = 'base'
    dead_zone: float = 0.1


@dataclass(frozen=True)
class TwistLeaderSpec:
    """A SpaceMouse that publishes geometry_msgs/Twist; scales make m/s and rad/s of it."""

    topic: str
    linear: float
    angular: float
    frame: str = 'base'
    dead_zone: float = 0.02


@dataclass(frozen=True)
class GripperButtons:
    """Buttons on a sensor_msgs/Joy that close and open the gripper; the same one toggles it."""

    topic: str
    close: int
    open: int  # noqa: A003


@dataclass(frozen=True)
class LeaderSpec:
    """What leads one arm: exactly one of ``joint_state``, ``joy``, ``twist`` and ``pose``."""

    joint_state: JointLeaderSpec | None = None
    joy: JoyLeaderSpec | None = None
    twist: TwistLeaderSpec | None = None
    pose: PoseLeaderSpec | None = None
    gripper: GripperButtons | None = None


@dataclass(frozen=True)
class Button:
    """One button of a sensor_msgs/Joy."""

    topic: str
    button: int


@dataclass(frozen=True)
class TeleopSpec:
    """
    ``leaders``: arm of the robot file -> what leads it; ``arm`` for a robot with one arm.

    ``deadman``: the arm is led while it is held. ``toggle``: each press engages, or releases and
    hands back to a policy. ``hand_back``: each press hands back. ``record``: each press starts a
    recording, or saves it. ``timeout_s``: silence after which a leader counts as lost.
    """

    leaders: dict[str, LeaderSpec]
    timeout_s: float
    deadman: Button | None = None
    toggle: Button | None = None
    hand_back: Button | None = None
    record: Button | None = None


def teleop_names() -> tuple[str, ...]:
    """Return the devices that come with the package: the names of ``config/teleop/*.yaml``."""
    return tuple(sorted(file.stem for file in config_path('config/teleop').glob('*.yaml')))


def load_teleop_spec(device: str) -> TeleopSpec:
    """Load a device by name or by the path of a YAML file."""
    path = Path(device)
    if path.suffix not in ('.yaml', '.yml'):
        if device not in teleop_names():
            raise ValueError(f"teleop device '{device}' is unknown; expected one of "
                             f"{', '.join(teleop_names())} or the path of a .yaml file")
        path = config_path(f'config/teleop/{device}.yaml')
    spec = build(TeleopSpec, read_yaml(path, 'teleop file'), str(path))
    _check(spec, str(path))
    return spec


def _check(spec: TeleopSpec, source: str) -> None:
    if not spec.timeout_s > 0:
        raise ValueError(f"{source}: 'timeout_s' must be positive, got {spec.timeout_s}")
    if spec.deadman and spec.toggle:
        raise ValueError(f"{source}: expected 'deadman' or 'toggle', got both")
    for arm, leader in spec.leaders.items():
        where = f'{source}: leaders.{arm}'
        kinds = [kind for kind in ('joint_state', 'joy', 'twist', 'pose')
                 if getattr(leader, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f'{where}: expected exactly one of joint_state, joy, twist and pose, '
                             f"got {', '.join(kinds) or 'none'}")
        if leader.joint_state is not None:
            _check_joint_leader(leader.joint_state, f'{where}.joint_state')
        if leader.joy is not None:
            _check_joy(leader.joy, f'{where}.joy')
        if leader.twist is not None:
            _one_of(leader.twist.frame, FRAMES, f'{where}.twist.frame')


def _check_joint_leader(spec: JointLeaderSpec, where: str) -> None:
    _one_of(spec.follow, FOLLOW, f'{where}.follow')
    if not (spec.align_within > 0 and spec.align_speed > 0):
        raise ValueError(f"{where}: 'align_within' and 'align_speed' must be positive")
    gripper = spec.gripper
    if gripper is not None and bool(gripper.leader) == bool(gripper.topic):
        raise ValueError(f"{where}.gripper: expected 'leader', a joint, or 'topic'")
    if gripper is not None and gripper.closed == gripper.open:
        raise ValueError(f"{where}.gripper: 'closed' and 'open' must differ, got {gripper.open}")


def _check_joy(spec: JoyLeaderSpec, where: str) -> None:
    _one_of(spec.frame, FRAMES, f'{where}.frame')
    if not 0 <= spec.dead_zone < 1:
        raise ValueError(f"{where}: 'dead_zone' must be in [0, 1), got {spec.dead_zone}")
    if not spec.cartesian and not spec.joints:
        raise ValueError(f"{where}: expected axes in 'cartesian' or 'joints'")
    for name in spec.cartesian:
        _one_of(name, _CARTESIAN, f'{where}.cartesian')
    for name in spec.joints:
        if not name.isdigit() or int(name) < 1:
            raise ValueError(f"{where}.joints: expected numbers from 1, got '{name}'")
    for name, axis in (spec.cartesian | spec.joints).items():
        if (axis.axis >= 0) == (axis.plus >= 0 and axis.minus >= 0):
            raise ValueError(f"{where}: '{name}' needs an axis, or the buttons plus and minus")


def _one_of(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise ValueError(f"{where}: expected one of {', '.join(known)}, got '{value}'")
