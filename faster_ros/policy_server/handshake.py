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
What is known of a policy behind a server before it is asked: its metadata, or what a file states.

A server of this package sends ``Metadata`` when a client connects, under the key ``faster_ros``.
Other servers send what they like, so their policy is stated in the client's file, see
``settings.StatedPolicy``. Either is compared with the robot by the code that compares a
checkpoint in a folder: ``policy/compatibility.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from faster_ros.policy.compatibility import check_compatible, check_fits
from faster_ros.policy_server.settings import JointScale, ObservationKeys, StatedPolicy
from faster_ros.policy_server.wire import describe
from faster_ros.robot_spec import RobotSpec
from faster_ros.strict_yaml import build

PROTOCOL = 1
KEY = 'faster_ros'
COMMITTED, ANSWER_WITHIN = 'faster_ros/committed', 'faster_ros/answer_within_s'


@dataclass(frozen=True)
class Metadata:
    """
    What a server of this package says of its policy.

    ``checkpoint_format`` to ``base``: as in the checkpoint's config.json. ``columns``: of the
    actions, which are joint targets in rad and m. ``state_low`` and ``state_high``: range of the
    training. ``image_size``: width and height of the images it takes, () for those of the cameras.
    """

    protocol: int
    checkpoint: str
    checkpoint_sha256: str
    checkpoint_format: int
    action_representation: str
    step_s: float
    cameras: tuple[str, ...]
    robot: str
    joints: tuple[str, ...]
    base: bool
    columns: tuple[str, ...]
    action_horizon: int
    state_low: tuple[float, ...]
    state_high: tuple[float, ...]
    takes_committed: bool
    example_instruction: str
    keys: ObservationKeys
    image_size: tuple[int, ...] = ()

    def message(self) -> dict[str, Any]:
        """Return what is sent when a client connects."""
        return {KEY: asdict(self)}


@dataclass(frozen=True)
class ServedPolicy:
    """
    What a client has to know.

    ``config``: what is compared with a robot, as in config.json. ``fit_images``: with black bars
    into ``image_size``; otherwise the aspect must be right. ``action_horizon``: None where the
    server does not say. ``says_format``: of a server of this package.
    """

    config: Mapping[str, Any]
    actions: str
    columns: tuple[str, ...]
    keys: ObservationKeys
    example_instruction: str
    image_size: tuple[int, ...] = ()
    fit_images: bool = False
    channels_first: bool = False
    scale: Mapping[str, JointScale] = field(default_factory=dict)
    action_horizon: int | None = None
    takes_committed: bool = False
    says_format: bool = False

    @property
    def step_ns(self) -> int:
        """Return the time between two actions."""
        return round(float(self.config['step_s']) * 1e9)

    def check(self, spec: RobotSpec) -> None:
        """Raise a ValueError if it is not for this robot."""
        (check_compatible if self.says_format else check_fits)(self.config, spec)


def served_policy(message: Mapping[str, Any], stated: StatedPolicy | None,
                  spec: RobotSpec) -> ServedPolicy:
    """Return the policy of a server that sent ``message``; a ValueError says what is missing."""
    if KEY not in message:
        if stated is None:
            raise ValueError(
                f'it sent {describe(message)}; expected joints, time step and actions under '
                f"'{KEY}', or a YAML file as checkpoint that states them under 'policy', see "
                'docs/policy_server.md')
        return _of_file(stated, spec)
    if stated is not None:
        raise ValueError('it says itself what its policy is; expected a YAML file without the '
                         "key 'policy'")
    own = message[KEY]
    protocol = own.get('protocol') if isinstance(own, Mapping) else None
    if protocol != PROTOCOL:
        raise ValueError(f'it speaks version {protocol} of the protocol; expected {PROTOCOL}: '
                         'install one version of faster_ros on both sides')
    return _of_metadata(build(Metadata, own, 'its metadata'))


def _of_metadata(own: Metadata) -> ServedPolicy:
    robot: dict[str, Any] = {'robot': own.robot, 'joints': own.joints}
    if own.base:
        robot['base'] = True
    config = {
        'format': own.checkpoint_format, 'action_representation': own.action_representation,
        'step_s': own.step_s, 'policy': {'cameras': own.cameras}, 'robot': robot,
        'state_normaliser': {'low': own.state_low, 'high': own.state_high},
        'checkpoint_sha256': own.checkpoint_sha256}
    return ServedPolicy(
        config, 'joint_position', own.columns, own.keys, own.example_instruction, own.image_size,
        action_horizon=own.action_horizon, takes_committed=own.takes_committed, says_format=True)


def _of_file(stated: StatedPolicy, spec: RobotSpec) -> ServedPolicy:
    base = spec.base.names if spec.base else ()
    joints = [name for name in stated.columns if name not in base]
    if sorted(joints) == sorted(spec.joint_names):  # columns may come in any order
        joints = list(spec.joint_names)
    robot: dict[str, Any] = {'robot': "stated under 'policy'", 'joints': joints}
    if base and set(base) <= set(stated.columns):
        robot['base'] = True
    config = {'step_s': stated.step_s, 'policy': {'cameras': tuple(stated.keys.images)},
              'robot': robot}
    return ServedPolicy(
        config, stated.actions, stated.columns, stated.keys, stated.example_instruction,
        stated.image_size, fit_images=True, channels_first=stated.channels_first,
        scale=stated.scale)
