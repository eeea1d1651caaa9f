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
Between an Observation and the map that travels, and back; between an answer and joint targets.

Joints are in rad and m on both sides, in the order that ``ObservationKeys.state`` and the columns
of the actions have; a server whose numbers differ has them scaled by the client's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
from faster_ros.interfaces import FloatArray, ImageArray, Observation
from faster_ros.policy.action_representation import from_deltas
from faster_ros.policy.image_size import resize
from faster_ros.policy_server.handshake import ANSWER_WITHIN, COMMITTED, ServedPolicy
from faster_ros.policy_server.settings import NESTED, ObservationKeys
from faster_ros.policy_server.wire import describe
from faster_ros.robot_spec import RobotSpec
import numpy as np

_NO_SCALE = (1.0, 0.0)


class ObservationMap:
    """What the client sends for a robot, and what it makes of the answer."""

    def __init__(self, served: ServedPolicy, spec: RobotSpec) -> None:
        """Raise a ValueError that names the key if the joints of a key are not the robot's."""
        self._served = served
        joints = dict(zip(served.config['robot']['joints'], spec.joint_names))  # with a prefix
        self._columns = [joints.get(name, name) for name in served.columns]
        if sorted(self._columns) != sorted(spec.action_names):
            raise ValueError(f"its actions have columns {', '.join(served.columns)}; expected "
                             f"{', '.join(spec.action_names)}")
        self._order = [self._columns.index(name) for name in spec.action_names]
        self._state: dict[str, list[int]] = {}
        for key, names in served.keys.state.items():
            unknown = [name for name in names if name not in joints]
            if unknown:
                raise ValueError(f"'{key}' of its observation wants {', '.join(unknown)}; robot "
                                 f"'{spec.robot}' has {', '.join(spec.joint_names)}")
            self._state[key] = [spec.joint_names.index(joints[name]) for name in names]
        scale = {joints.get(name, name): (item.factor, item.offset)
                 for name, item in served.scale.items()}
        self._factors, self._offsets = np.array(
            [scale.get(name, _NO_SCALE) for name in spec.action_names]).T
        self._absolute = [*spec.gripper_indices,
                          *range(len(spec.joint_names), len(spec.action_names))]

    def message(self, observation: Observation, within_s: float | None) -> dict[str, Any]:
        """Return the map of an observation; ``within_s``: how long the answer may take there."""
        served, size = self._served, len(observation.positions)
        message: dict[str, Any] = {}
        for camera, key in served.keys.images.items():
            if camera not in observation.images:
                raise ValueError(f"image of camera '{camera}' is missing; the policy needs "
                                 f"{', '.join(served.keys.images)}")
            _put(message, key, self._image(observation.images[camera]))
        state = (observation.positions - self._offsets[:size]) / self._factors[:size]
        for key, places in self._state.items():
            _put(message, key, state[places])
        _put(message, served.keys.prompt, observation.instruction)
        if served.takes_committed and observation.committed is not None:
            message[COMMITTED] = observation.committed
        if served.says_format and within_s is not None:
            message[ANSWER_WITHIN] = within_s
        return message

    def actions(self, answer: Mapping[str, Any], positions: FloatArray) -> FloatArray:
        """Return joint targets (H, D) of an answer; what is no such is a ValueError."""
        served = self._served
        rows = _get(answer, served.keys.actions)
        horizon = served.action_horizon or 'H'
        expected = (f"'{served.keys.actions}' as floats of shape ({horizon}, "
                    f"{len(served.columns)}): {', '.join(served.columns)}")
        right = (isinstance(rows, np.ndarray) and rows.dtype.kind == 'f' and rows.ndim == 2
                 and rows.shape[1] == len(served.columns) and len(rows) > 1
                 and served.action_horizon in (None, len(rows)))
        if not right:
            came = describe(answer if rows is None else rows)
            raise ValueError(f'it answered {came}; expected {expected}')
        if not np.isfinite(rows).all():
            row, column = np.argwhere(~np.isfinite(rows))[0]
            raise ValueError(f'it answered {rows[row, column]} for {served.columns[column]} in '
                             f'row {row}; expected finite numbers')
        return self._targets(np.asarray(rows[:, self._order], np.float64), positions)

    def _targets(self, rows: FloatArray, positions: FloatArray) -> FloatArray:
        if self._served.actions == 'joint_position':
            return np.asarray(rows * self._factors + self._offsets)
        steps = rows * self._factors
        steps[:, self._absolute] += self._offsets[self._absolute]
        start = np.append(positions, np.zeros(rows.shape[1] - len(positions)))
        if self._served.actions == 'joint_step':
            return from_deltas(steps, start, self._absolute)
        targets: FloatArray = start + steps
        targets[:, self._absolute] = steps[:, self._absolute]
        return targets

    def _image(self, image: ImageArray) -> ImageArray:
        served = self._served
        if served.image_size:
            width, height = served.image_size
            image = (_fit if served.fit_images else resize)(image, width, height)
        return np.ascontiguousarray(image.transpose(2, 0, 1)) if served.channels_first else image


def read_observation(message: Mapping[str, Any], keys: ObservationKeys,
                     joints: tuple[str, ...]) -> Observation:
    """Return what a client of a server of this package sent; a ValueError names the entry."""
    positions = np.full(len(joints), np.nan)
    for key, names in keys.state.items():
        state = _get(message, key)
        if not isinstance(state, np.ndarray) or state.shape != (len(names),):
            raise ValueError(f"entry '{key}': expected {len(names)} numbers ({', '.join(names)}), "
                             f'got {_came(state)}')
        positions[[joints.index(name) for name in names]] = state
    prompt = _get(message, keys.prompt)
    if not isinstance(prompt, str):
        raise ValueError(f"entry '{keys.prompt}': expected the task in words, got "
                         f'{_came(prompt)}')
    committed, within_s = message.get(COMMITTED), message.get(ANSWER_WITHIN)
    if committed is not None and not (
            isinstance(committed, np.ndarray) and committed.ndim == 2
            and committed.shape[1] == len(joints) and np.isfinite(committed).all()):
        raise ValueError(f"entry '{COMMITTED}': expected finite numbers of shape (C, "
                         f'{len(joints)}), got {_came(committed)}')
    if within_s is not None and not isinstance(within_s, (int, float)):
        raise ValueError(f"entry '{ANSWER_WITHIN}': expected seconds, got {_came(within_s)}")
    images = {camera: _pixels(message, key) for camera, key in keys.images.items()}
    return Observation(0, images, positions, prompt, committed, within_s)


def _pixels(message: Mapping[str, Any], key: str) -> ImageArray:
    image = _get(message, key)
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3
            and image.shape[2] == 3 and image.size):
        raise ValueError(f"entry '{key}': expected an RGB image as uint8 of shape (height, width, "
                         f'3), got {_came(image)}')
    return image


def _fit(image: ImageArray, width: int, height: int) -> ImageArray:
    """Return an image in the middle of a black one of (height, width, 3), as large as it may."""
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    fitted = np.zeros((height, width, 3), np.uint8)
    fitted[top:top + inner[1], left:left + inner[0]] = small
    return fitted


def _put(message: dict[str, Any], key: str, value: Any) -> None:
    *outer, last = (part.strip() for part in key.split(NESTED))
    for part in outer:
        message = message.setdefault(part, {})
    message[last] = value


def _get(message: Mapping[str, Any], key: str) -> Any:
    """Return an entry, or None if there is none."""
    found: Any = message
    for part in key.split(NESTED):
        found = found.get(part.strip()) if isinstance(found, Mapping) else None
    return found


def _came(value: Any) -> str:
    return 'nothing' if value is None else describe(value)
