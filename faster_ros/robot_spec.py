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

A robot has one arm, or several: then the file has ``arms``, each with the keys of an arm or
``based_on`` another file, and the joints of all arms are one vector, arm after arm, with the
arm's name before the joint's (``left_joint1``). A joint's name in messages is its driver's own.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
import sys
from typing import Any

from faster_ros.interfaces import FloatArray
from faster_ros.robot_checks import check_arm, check_command_rate, check_entry, check_robot
from faster_ros.robot_naming import namespace_root, NO_TOPIC, with_names
from faster_ros.robot_parts import BaseSpec, CameraSpec, DriverSpec, GripperSpec, JointLimits
from faster_ros.strict_yaml import build, check_keys, read_layered
import numpy as np
from numpy.typing import NDArray

__all__ = ['BaseSpec', 'CameraSpec', 'config_path', 'DriverSpec', 'GripperSpec', 'JointLimits',
           'load_robot_spec', 'NO_TOPIC', 'RobotSpec']


@dataclass(frozen=True)
class RobotSpec:
    """
    Everything the package needs to know about one robot.

    ``joints``: joint name -> limits as the vendor states them; the order of the mapping is the
    order of every joint vector in the package. ``velocity_scale`` and ``acceleration_scale`` are
    the shares of the vendor's limits that this package uses. ``driver`` is of a robot with one
    arm, and its entries are also attributes of the spec; ``arms`` are of one with several, each
    a RobotSpec with one arm. To serve both, ask ``parts``, ``arm_mask`` and ``grippers``. A mobile
    ``base`` adds velocities to the columns of a chunk, not to the joints. ``arm_latency_s``: how
    long after its due time a set point is reached; it is sent that much earlier.
    """

    robot: str
    urdf: str
    base_frame: str
    joints: dict[str, JointLimits]
    home: dict[str, float]
    velocity_scale: float
    acceleration_scale: float
    position_margin: float
    command_rate_hz: float
    state_rate_hz: float
    state_max_age_s: float
    cameras: dict[str, CameraSpec]
    arm_latency_s: float = 0.0
    base: BaseSpec | None = None
    driver: DriverSpec | None = None
    arms: dict[str, RobotSpec] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, tuple[RobotSpec, slice]]:
        """Return each arm's own spec and its place in a joint vector, by the arm's name."""
        if not self.arms:
            return {'': (self, slice(0, len(self.joints)))}
        ends = np.cumsum([len(arm.joints) for arm in self.arms.values()]).tolist()
        return {name: (arm, slice(end - len(arm.joints), end))
                for (name, arm), end in zip(self.arms.items(), ends)}

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Return all D controlled joints, each arm first, its gripper last."""
        return tuple(self.joints)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Return the columns of a chunk: the joints, then the velocities of a base."""
        return self.joint_names + (self.base.names if self.base else ())

    @property
    def arm_mask(self) -> NDArray[np.bool_]:
        """Return which joints are of an arm rather than a gripper, shape (D,)."""
        grippers = {gripper.joint for gripper in self.grippers}
        return np.array([name not in grippers for name in self.joints])

    @property
    def grippers(self) -> tuple[GripperSpec, ...]:
        """Return the gripper of each arm, in their order in a joint vector."""
        return tuple(arm.gripper for arm, _ in self.parts.values())

    @property
    def gripper_indices(self) -> list[int]:
        """Return the place of each arm's gripper in a joint vector."""
        return [self.joint_names.index(gripper.joint) for gripper in self.grippers]

    @property
    def state_topics(self) -> tuple[str, ...]:
        """Return the topic of each arm's joint states."""
        return tuple(arm.state_topic for arm, _ in self.parts.values())

    @property
    def home_positions(self) -> FloatArray:
        """Return the home pose, shape (D,)."""
        return np.array([self.home[name] for name in self.joints])

    def urdf_name(self, name: str) -> str:
        """Return the name that a joint or a frame has in the URDF."""
        return name.removeprefix(self.joint_prefix)

    def limit_array(self, field: str) -> FloatArray:
        """Return one vendor limit (``lower``, ``upper``, ``velocity``, ...) of all joints."""
        return np.array([getattr(limits, field) for limits in self.joints.values()])

    @property
    def _only(self) -> DriverSpec:
        if self.driver is None:
            raise ValueError(f"robot {self.robot} has arms {', '.join(self.arms)}; this serves "
                             'robots with one arm only')
        return self.driver

    @property
    def arm_joint_names(self) -> tuple[str, ...]:
        """Return the joints of the one arm without the gripper."""
        return tuple(name for name in self.joints if name != self.gripper.joint)

    @property
    def driver_joint_names(self) -> tuple[str, ...]:
        """Return all joints of the one arm as its driver's messages call them."""
        return tuple(self._only.driver_names.get(name, name) for name in self.joints)

    @property
    def gripper(self) -> GripperSpec:
        """Return the gripper of the one arm."""
        return self._only.gripper

    @property
    def gripper_index(self) -> int:
        """Return the index of the one gripper in a joint vector."""
        return self.joint_names.index(self.gripper.joint)

    @property
    def tool_frame(self) -> str:
        """Return the frame at the tip of the one arm."""
        return self._only.tool_frame

    @property
    def command_mode(self) -> str:
        """Return how the one arm is commanded."""
        return self._only.command_mode

    @property
    def command_topic(self) -> str:
        """Return where the one arm is commanded."""
        return self._only.command_topic

    @property
    def command_speed_percent(self) -> int:
        """Return the speed that goes with each command of the one arm in mode joint_state."""
        return self._only.command_speed_percent

    @property
    def driver_ready_topic(self) -> str:
        """Return where the one arm's driver says whether it follows, or ``none``."""
        return self._only.driver_ready_topic

    @property
    def driver_speed_topic(self) -> str:
        """Return where the one arm's driver says how fast it follows, or ``none``."""
        return self._only.driver_speed_topic

    @property
    def state_topic(self) -> str:
        """Return the topic of the one arm's joint states."""
        return self._only.state_topic

    @property
    def driver_gates(self) -> dict[str, str]:
        """Return what else the one arm's driver says: kind -> topic, or name of a controller."""
        return self._only.driver_gates

    @property
    def recovery(self) -> str:
        """Return which sequence ``~/recover`` runs for the one arm."""
        return self._only.recovery

    @property
    def joint_prefix(self) -> str:
        """Return what stands before the joints and frames of the one arm, and not in its URDF."""
        return self._only.joint_prefix

    @property
    def driver_namespace(self) -> str:
        """Return the namespace before the topics of the one arm."""
        return self._only.driver_namespace

    @property
    def driver_root(self) -> str:
        """Return the namespace of the one arm's driver as a name begins with it, '' for none."""
        return namespace_root(self._only.driver_namespace)

    @property
    def workspace(self) -> dict[str, float]:
        """Return the walls for the tool of the one arm in its base frame, m."""
        return self._only.workspace

    def to_dict(self) -> dict[str, Any]:
        """Return the same plain mapping that the YAML file holds."""
        data: dict[str, Any] = _plain(self)
        if self.driver is not None:
            data |= _plain(self.driver)
        if self.arms:
            del data['joints'], data['home']  # of the arms
            data['arms'] = {name: _arm_to_dict(name, arm) for name, arm in self.arms.items()}
        return data

    def check_rate(self, rate_hz: float, what: str) -> None:
        """Refuse a command rate that does not suit an arm's ``command_mode``, as ``what``."""
        for arm, _ in self.parts.values():
            check_command_rate(arm.command_mode, rate_hz, what)

    @staticmethod
    def from_dict(data: Any, source: str) -> RobotSpec:
        """Build and check a spec; ``source`` names the file in errors."""
        if isinstance(data, dict) and 'arms' in data:
            return _several_arms(data, source)
        spec = _one_arm(data, source)
        check_robot(spec, source)
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


def robot_names() -> tuple[str, ...]:
    """Return the robots that come with the package: the names of ``config/*.yaml``."""
    return tuple(sorted(file.stem for file in config_path('config').glob('*.yaml')))


def load_robot_spec(robot: str, joint_prefix: str = '', driver_namespace: str = '') -> RobotSpec:
    """
    Load a robot by name (``fr3`` -> ``config/fr3.yaml``) or by the path of a YAML file.

    ``joint_prefix`` and ``driver_namespace`` replace those of the file unless they are empty.
    """
    path = Path(robot)
    if path.suffix not in ('.yaml', '.yml'):
        if robot not in robot_names():
            raise ValueError(f"robot '{robot}' is unknown; expected one of "
                             f"{', '.join(robot_names())} or the path of a .yaml file")
        path = config_path(f'config/{robot}.yaml')
    spec = RobotSpec.from_dict(read_layered(path, _ARM_KEYS), str(path))
    if spec.arms:
        if joint_prefix or driver_namespace:
            raise ValueError(f'{path}: joint_prefix and driver_namespace are of robots with one '
                             f"arm; this one has {', '.join(spec.arms)}")
        return spec
    return with_names(spec, joint_prefix or spec.joint_prefix,
                      driver_namespace or spec.driver_namespace)


_DRIVER_KEYS = tuple(entry.name for entry in fields(DriverSpec))
_ARM_KEYS = ('base_frame', 'joints', 'home', *_DRIVER_KEYS)  # the rest is the whole robot's


def _one_arm(data: Any, source: str) -> RobotSpec:
    check_keys((RobotSpec, DriverSpec), data, source, given=('driver', 'arms'))
    driver = {key: value for key, value in data.items() if key in _DRIVER_KEYS}
    shared = {key: value for key, value in data.items() if key not in _DRIVER_KEYS}
    spec = build(RobotSpec, shared, source, driver=build(DriverSpec, driver, source), arms={})
    check_arm(spec, source)
    return spec


def _several_arms(data: dict[str, Any], source: str) -> RobotSpec:
    wanted, shared = data['arms'], {key: data[key] for key in data if key != 'arms'}
    if not isinstance(wanted, dict) or len(wanted) < 2:
        raise ValueError(f"{source}: 'arms' must be a mapping of two arms or more, got {wanted!r}")
    of_the_arms = ('joints', 'home', 'driver', 'arms')
    check_keys((RobotSpec,), shared, source, given=of_the_arms)
    arms = {str(name): _prefixed(f'{name}_', _one_arm(
        _arm_data(arm, shared, f'{source}: arms.{name}'), f'{source}: arms.{name}'))
        for name, arm in wanted.items()}
    spec = build(
        RobotSpec, shared, source, driver=None, arms=arms,
        joints={name: limits for arm in arms.values() for name, limits in arm.joints.items()},
        home={name: value for arm in arms.values() for name, value in arm.home.items()})
    check_robot(spec, source)
    return spec


def _arm_data(arm: Any, shared: dict[str, Any], source: str) -> Any:
    check_entry(arm, _ARM_KEYS, source)
    return {key: value for key, value in shared.items() if key != 'base'} | arm


def _prefixed(prefix: str, arm: RobotSpec) -> RobotSpec:
    """Return an arm whose joints have names of their own, and their driver's in its messages."""
    arm = with_names(arm, '', arm.driver_namespace)
    driver = arm.driver
    assert driver is not None
    names = dict(zip(arm.joints, arm.driver_joint_names))
    return replace(
        arm,
        joints={prefix + name: limits for name, limits in arm.joints.items()},
        home={prefix + name: value for name, value in arm.home.items()},
        driver=replace(
            driver, gripper=replace(driver.gripper, joint=prefix + driver.gripper.joint),
            driver_names={prefix + name: word for name, word in names.items()}))


def _plain(part: RobotSpec | DriverSpec) -> dict[str, Any]:
    return {key: value for key, value in asdict(part).items()
            if key not in ('driver', 'arms') and value is not None and value != {}}


def _arm_to_dict(name: str, arm: RobotSpec) -> dict[str, Any]:
    """Return an arm as its robot's file holds it, joints without the arm's name before them."""
    data, prefix = arm.to_dict(), f'{name}_'
    for key in ('joints', 'home', 'driver_names'):
        data[key] = {joint.removeprefix(prefix): value for joint, value in data[key].items()}
    data['gripper']['joint'] = data['gripper']['joint'].removeprefix(prefix)
    return {key: value for key, value in data.items() if key in _ARM_KEYS}
