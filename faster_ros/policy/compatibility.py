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
Does a checkpoint fit a robot; reads its ``config.json`` only, so it needs no torch.

Called before the weights are loaded, and by the doctor before anything is started.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from faster_ros.policy.embodiment import Embodiment, representation
from faster_ros.robot_spec import RobotSpec

FORMAT = 1
_ONE_COMMAND = 1 - 1e-6
FILES = ('policy.safetensors', 'tokenizer.safetensors')


def read_config(folder: Path) -> dict[str, Any]:
    """Return the config of a checkpoint, or raise a ValueError that names what is missing."""
    file = folder / 'config.json'
    if not file.exists():
        raise ValueError(f'checkpoint {folder}: config.json is missing; expected a folder made '
                         'by faster_ros train')
    try:
        config = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f'checkpoint {folder}: config.json is not usable: {error}') from error
    if not isinstance(config, dict):
        raise ValueError(f'checkpoint {folder}: config.json is not usable: expected a mapping, '
                         f'got {config!r}')
    return config


def check_compatible(config: Mapping[str, Any], spec: Embodiment) -> None:
    """Raise a ValueError if a checkpoint cannot run on this robot; facts beside may differ."""
    wanted = representation(spec)
    if config['format'] != FORMAT or config['action_representation'] != wanted:
        raise ValueError(f'expected format {FORMAT} with {wanted} actions, got '
                         f"{config['format']} with {config['action_representation']}")
    check_fits(config, spec)


def check_fits(config: Mapping[str, Any], spec: Embodiment) -> None:
    """Raise a ValueError if joints, base, time step or cameras of a policy are not the robot's."""
    made_for = config['robot']
    joints = _joint_names(made_for)
    if not _same_names(joints, spec.joint_names):
        raise ValueError(f"it is made for robot '{made_for['robot']}' with joints "
                         f"{', '.join(joints)}; this robot is '{spec.robot}' with "
                         f"joints {', '.join(spec.joint_names)}")
    with_base = 'base' in made_for
    if with_base != (spec.base is not None):
        raise ValueError(f"it is made for robot '{made_for['robot']}' "
                         f"{'with' if with_base else 'without'} a mobile base; this robot is "
                         f"'{spec.robot}' {'without' if with_base else 'with'} one")
    _check_step(float(config['step_s']), spec)
    missing = [camera for camera in config['policy']['cameras'] if camera not in spec.cameras]
    if missing:
        raise ValueError(f"it needs camera {', '.join(missing)}; robot '{spec.robot}' has "
                         f"{', '.join(spec.cameras)}")


def _check_step(step_s: float, spec: Embodiment) -> None:
    if not step_s > 0:
        raise ValueError(f'step_s must be positive, got {step_s}')
    if isinstance(spec, RobotSpec) and step_s * spec.command_rate_hz < _ONE_COMMAND:
        raise ValueError(f'its actions are {step_s:g} s apart (step_s), closer than the commands '
                         f"of robot '{spec.robot}' at {spec.command_rate_hz:g} Hz: raise "
                         f'command_rate_hz to {1 / step_s:g} or more')


def _joint_names(made_for: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the joints of a robot as a checkpoint holds it, arm after arm."""
    if 'arms' not in made_for:
        return tuple(made_for['joints'])
    return tuple(f'{name}_{joint}' for name, arm in made_for['arms'].items()
                 for joint in arm['joints'])


def _same_names(made_for: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Compare joints; a prefix before every name is another arm of the same kind."""
    if len(made_for) != len(names):
        return False
    prefix = names[0].removesuffix(made_for[0])
    return names == tuple(prefix + name for name in made_for)
