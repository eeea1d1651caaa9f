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
RobotSpec: the facts about one robot, read strictly from ``config/<robot>.yaml``.

An unknown key, a missing key, a wrong type or an impossible value is a ValueError that names the
file, the key, what was expected and what came. A file may begin with ``based_on: <file>`` and
state only what differs. A checkpoint carries the spec it was trained with, for the record.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, Field, field, fields, MISSING
from pathlib import Path
import sys
from typing import Any

from faster_ros.interfaces import FloatArray
import numpy as np
import yaml

NO_TOPIC = 'none'
# How the arm is commanded, and how the gripper is; robots/ has one writer for each.
COMMAND_MODES = ('joint_trajectory', 'forward_position', 'forward_velocity', 'joint_state')
GRIPPER_MODES = ('joint_trajectory', 'forward_position', 'joint_state', 'gripper_command',
                 'parallel_gripper_command', 'franka')
DRIVER_GATES = ('ur_safety_mode', 'piper_status', 'franka_mode', 'controller_active')
RECOVERIES = (NO_TOPIC, 'simulation', 'franka', 'multipanda', 'ur', 'piper', 'agx_piper')
WALLS = ('x_min', 'x_max', 'y_min', 'y_max', 'z_min', 'z_max')


@dataclass(frozen=True)
class JointLimits:
    """Limits of one joint: rad, rad/s, rad/s^2; m, m/s, m/s^2 for a gripper finger."""

    lower: float
    upper: float
    velocity: float
    acceleration: float


@dataclass(frozen=True)
class GripperSpec:
    """
    The gripper as one named joint: ``closed`` and ``open`` are its positions in m or rad.

    ``command_closed`` and ``command_open`` are what its driver is told for these two, in the
    driver's unit; ``topic`` is a topic or the name of an action, as ``mode`` says. ``effort`` is
    the driver's force (N, or N m), ``speed`` in the driver's unit per s; not every mode has them.
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


@dataclass(frozen=True)
class CameraSpec:
    """One camera: its image topic, size in pixels, rate and largest usable age."""

    topic: str
    frame: str
    width: int
    height: int
    rate_hz: float
    max_age_s: float


@dataclass(frozen=True)
class RobotSpec:
    """
    Everything the package needs to know about one robot.

    ``joints``: joint name -> limits as the vendor states them; the order of the mapping is the
    order of every joint vector in the package. ``velocity_scale`` and ``acceleration_scale`` are
    the shares of the vendor's limits that this package uses. ``command_speed_percent`` goes with
    every command of mode joint_state. ``driver_ready_topic`` (std_msgs/Bool) and
    ``driver_speed_topic`` (std_msgs/Float64, percent) may be ``none``. ``workspace``: WALLS in m
    for the tool in the base frame. ``driver_gates``: kind -> topic, or name of the controller.
    """

    robot: str
    urdf: str
    base_frame: str
    tool_frame: str
    joints: dict[str, JointLimits]
    gripper: GripperSpec
    home: dict[str, float]
    velocity_scale: float
    acceleration_scale: float
    position_margin: float
    command_mode: str
    command_topic: str
    command_rate_hz: float
    command_speed_percent: int
    driver_ready_topic: str
    driver_speed_topic: str
    state_topic: str
    state_rate_hz: float
    state_max_age_s: float
    cameras: dict[str, CameraSpec]
    workspace: dict[str, float] = field(default_factory=dict)
    driver_gates: dict[str, str] = field(default_factory=dict)
    recovery: str = NO_TOPIC

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Return all D controlled joints, arm first, gripper last."""
        return tuple(self.joints)

    @property
    def arm_joint_names(self) -> tuple[str, ...]:
        """Return the joints of the arm without the gripper."""
        return tuple(name for name in self.joints if name != self.gripper.joint)

    @property
    def gripper_index(self) -> int:
        """Return the index of the gripper in a joint vector."""
        return self.joint_names.index(self.gripper.joint)

    @property
    def home_positions(self) -> FloatArray:
        """Return the home pose, shape (D,)."""
        return np.array([self.home[name] for name in self.joints])

    def limit_array(self, field: str) -> FloatArray:
        """Return one vendor limit (``lower``, ``upper``, ``velocity``, ...) of all joints."""
        return np.array([getattr(limits, field) for limits in self.joints.values()])

    def to_dict(self) -> dict[str, Any]:
        """Return the same plain mapping that the YAML file holds."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Any, source: str) -> RobotSpec:
        """Build and check a spec; ``source`` names the file in errors."""
        spec: RobotSpec = _build(RobotSpec, data, source, '')
        _check_values(spec, source)
        return spec


def config_path(name: str) -> Path:
    """Return the path of a shipped file such as ``config/fr3.yaml`` or ``urdf/fr3.urdf``."""
    package = Path(__file__).resolve().parent
    candidates = [
        package.parent / name,
        Path(sys.prefix) / 'share' / 'faster_ros' / name,
        *(parent / 'share' / 'faster_ros' / name for parent in package.parents),
    ]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = ', '.join(str(candidate) for candidate in candidates[:2])
    raise FileNotFoundError(f'{name} of package faster_ros not found; looked in {looked}')


def load_robot_spec(robot: str) -> RobotSpec:
    """Load a robot by name (``fr3`` -> ``config/fr3.yaml``) or by the path of a YAML file."""
    path = Path(robot)
    if path.suffix not in ('.yaml', '.yml'):
        known = sorted(file.stem for file in config_path('config').glob('*.yaml'))
        if robot not in known:
            raise ValueError(f"robot '{robot}' is unknown; expected one of {', '.join(known)} "
                             'or the path of a .yaml file')
        path = config_path(f'config/{robot}.yaml')
    return RobotSpec.from_dict(_read(path), str(path))


def _read(path: Path, depth: int = 0) -> Any:
    """Return the mapping of a file, laid over that of the file it is based on."""
    try:
        data = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ValueError(f'robot file {path} does not exist') from None
    except yaml.YAMLError as error:
        raise ValueError(f'robot file {path} is not valid YAML: {error}') from error
    if not isinstance(data, dict) or 'based_on' not in data:
        return data
    if depth == 3:
        raise ValueError(f"robot file {path}: 'based_on' goes through too many files; at most 3")
    base = _read(path.parent / str(data.pop('based_on')), depth + 1)
    return _laid_over(base, data)


def _laid_over(base: Any, data: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(data, dict):
        return data
    return base | {key: _laid_over(base.get(key), value) for key, value in data.items()}


_NESTED = {'JointLimits': JointLimits, 'GripperSpec': GripperSpec, 'CameraSpec': CameraSpec}


def _build(cls: Any, data: Any, source: str, prefix: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{source}: '{prefix or 'file'}' must be a mapping, got {data!r}")
    names = [entry.name for entry in fields(cls)]
    for key in data:
        if key not in names:
            raise ValueError(f"{source}: unknown key '{prefix}{key}'; expected {', '.join(names)}")
    for entry in fields(cls):
        if entry.name not in data and not _has_default(entry):
            raise ValueError(f"{source}: key '{prefix}{entry.name}' is missing")
    return cls(**{entry.name: _value(str(entry.type), data[entry.name], source,
                                     f'{prefix}{entry.name}')
                  for entry in fields(cls)
                  if entry.name in data and not (_has_default(entry) and data[entry.name] == {})})


def _has_default(entry: Field[Any]) -> bool:
    return entry.default is not MISSING or entry.default_factory is not MISSING


def _value(kind: str, value: Any, source: str, key: str) -> Any:
    if kind.startswith('dict['):
        inner = kind.removeprefix('dict[str, ').removesuffix(']')
        if not isinstance(value, dict) or not value:
            raise ValueError(f"{source}: '{key}' must be a mapping with entries, got {value!r}")
        return {str(name): _value(inner, item, source, f'{key}.{name}')
                for name, item in value.items()}
    if kind in _NESTED:
        return _build(_NESTED[kind], value, source, f'{key}.')
    if kind == 'float':
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{source}: '{key}' must be a plain number in SI units "
                             f'(rad, m, s, Hz), got {value!r}')
        if not np.isfinite(value):
            raise ValueError(f"{source}: '{key}' must be finite, got {value!r}")
        return float(value)
    if kind == 'int':
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{source}: '{key}' must be a whole number, got {value!r}")
        return value
    if not isinstance(value, str) or not value:
        raise ValueError(f"{source}: '{key}' must be a text, got {value!r}")
    return value


def _check_values(spec: RobotSpec, source: str) -> None:
    for name, limits in spec.joints.items():
        _check_limits(limits, f'joints.{name}', source)
    _check_gripper_and_home(spec, source)
    _check_commands(spec, source)
    _check_safety(spec, source)
    for name in ('velocity_scale', 'acceleration_scale'):
        if not 0 < getattr(spec, name) <= 1:
            raise ValueError(f"{source}: '{name}' must be in (0, 1], got {getattr(spec, name)}")
    _check_positive(spec, ('command_rate_hz', 'state_rate_hz', 'state_max_age_s'), '', source)
    for name, camera in spec.cameras.items():
        _check_positive(camera, ('width', 'height', 'rate_hz', 'max_age_s'), f'cameras.{name}.',
                        source)


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
    if spec.command_mode == 'joint_state' and spec.command_rate_hz > 200:
        raise ValueError(f"{source}: 'command_rate_hz' must be at most 200 in mode joint_state "
                         f'(the driver replans at each command), got {spec.command_rate_hz}')
    if gripper.command_closed == gripper.command_open:
        raise ValueError(f"{source}: 'gripper.command_closed' and 'gripper.command_open' must "
                         f'differ, got {gripper.command_closed} for both')
    _check_positive(gripper, ('effort', 'speed'), 'gripper.', source)
    if not 1 <= spec.command_speed_percent <= 100:
        raise ValueError(f"{source}: 'command_speed_percent' must be in [1, 100], got "
                         f'{spec.command_speed_percent}')


def _check_safety(spec: RobotSpec, source: str) -> None:
    for key, values, known in (('workspace', spec.workspace, WALLS),
                               ('driver_gates', spec.driver_gates, DRIVER_GATES),
                               ('recovery', [spec.recovery], RECOVERIES)):
        for value in values:
            if value not in known:
                raise ValueError(f"{source}: '{key}' must be of {', '.join(known)}, got '{value}'")
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
    for name in ('closed', 'open'):
        if not limits.lower <= getattr(gripper, name) <= limits.upper:
            raise ValueError(f"{source}: 'gripper.{name}' must lie in [{limits.lower}, "
                             f'{limits.upper}], got {getattr(gripper, name)}')
    if set(spec.home) != set(spec.joints):
        raise ValueError(f"{source}: 'home' must name exactly the joints "
                         f"{', '.join(spec.joints)}, got {', '.join(spec.home)}")
    for name, value in spec.home.items():
        limits = spec.joints[name]
        if not limits.lower <= value <= limits.upper:
            raise ValueError(f"{source}: 'home.{name}' must lie in [{limits.lower}, "
                             f'{limits.upper}], got {value}')
