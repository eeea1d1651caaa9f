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
Which policy server is meant, and how it is reached: an address, or a YAML file about it.

An address (``ws://host:8000``, ``wss://host``) is enough for a server of this package without a
token. The file adds a token, the authority of a certificate, times, and ``policy``: the facts of
a policy whose server does not state them, such as one of openpi.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from faster_ros.strict_yaml import build, read_yaml

ADDRESSES = ('ws://', 'wss://')
FILES = ('.yaml', '.yml')
NESTED = '>'  # between the keys of a map and of the map in it; openpi's own keys hold '/' and '.'
REPRESENTATIONS = ('joint_position', 'joint_delta', 'joint_step')


@dataclass(frozen=True)
class ObservationKeys:
    """
    What entries of an observation and of its answer are called.

    ``images``: camera of the robot file -> key. ``state``: key -> the joints in it, in order.
    """

    images: dict[str, str]
    state: dict[str, tuple[str, ...]]
    prompt: str = 'prompt'
    actions: str = 'actions'

    def __post_init__(self) -> None:
        """Refuse two entries with one key."""
        keys = [*self.images.values(), *self.state, self.prompt]
        for key in keys:
            if keys.count(key) > 1 or not all(part.strip() for part in key.split(NESTED)):
                raise ValueError(f"key '{key}' of an observation is used twice or incomplete; "
                                 'expected one key each, such as observation/state, or map '
                                 f'{NESTED} key')


@dataclass(frozen=True)
class JointScale:
    """Our value is ``offset`` + ``factor`` x the server's; of a step the offset is left out."""

    factor: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a factor without an inverse."""
        if self.factor == 0.0:
            raise ValueError('factor of a joint must not be 0')


@dataclass(frozen=True)
class StatedPolicy:
    """
    A policy whose server does not say what it is; nothing here has a value of ours.

    ``step_s``: time between two actions. ``actions``: joint_position (targets), joint_delta (from
    the observed joints) or joint_step (from the target before; the first from the observed
    joints); a gripper is a position in each. ``columns``: the joints of an action, in order.
    ``image_size``: width and height that images are fitted into with black bars; empty sends them
    as they are. ``example_instruction``: words for the first calls.
    """

    step_s: float
    actions: str
    columns: tuple[str, ...]
    keys: ObservationKeys
    example_instruction: str
    image_size: tuple[int, ...] = ()
    channels_first: bool = False
    scale: dict[str, JointScale] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no policy can be."""
        if not self.step_s > 0:
            raise ValueError(f'step_s must be positive, got {self.step_s}')
        if self.actions not in REPRESENTATIONS:
            raise ValueError(f"actions '{self.actions}'; expected {', '.join(REPRESENTATIONS)}")
        if self.image_size and (len(self.image_size) != 2 or min(self.image_size) < 1):
            raise ValueError('image_size must be width and height in pixels, got '
                             f'{list(self.image_size)}')
        unknown = [name for name in self.scale if name not in self.columns]
        if unknown:
            raise ValueError(f"scale names {', '.join(unknown)}; expected some of "
                             f"{', '.join(self.columns)}")


@dataclass(frozen=True)
class ServerSettings:
    """
    One policy server.

    ``connect_timeout_s``: for the connection and what the server says of itself.
    ``answer_timeout_s``: for one answer, beyond which the arm has stopped anyway;
    ``first_answer_timeout_s``: for those before the first motion, of a server that still compiles.
    """

    address: str
    token_file: str = ''
    certificate_authority: str = ''
    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 2.0
    first_answer_timeout_s: float = 60.0
    policy: StatedPolicy | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be connected to."""
        if not self.address.startswith(ADDRESSES):
            raise ValueError(f"address '{self.address}'; expected {' or '.join(ADDRESSES)}host:"
                             'port')
        for name in ('connect_timeout_s', 'answer_timeout_s', 'first_answer_timeout_s'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, got {getattr(self, name)}')
        if self.certificate_authority and not self.encrypted:
            raise ValueError(f'certificate_authority is of no use with {self.address}; expected '
                             'wss://')

    @property
    def encrypted(self) -> bool:
        """Return whether the connection is one of TLS."""
        return self.address.startswith('wss://')

    @property
    def token(self) -> str:
        """Return the token, '' for none."""
        return read_token(Path(self.token_file)) if self.token_file else ''


def is_server(checkpoint: str) -> bool:
    """Say whether a parameter ``checkpoint`` means a policy server rather than a folder."""
    return checkpoint.startswith(ADDRESSES) or checkpoint.endswith(FILES)


def server_settings(source: str) -> ServerSettings:
    """Return the server of an address or of a YAML file; paths in it are relative to it."""
    if source.startswith(ADDRESSES):
        return ServerSettings(source)
    file = Path(source).expanduser()
    data = read_yaml(file, 'policy server file')
    text = f'policy server file {file}'
    try:
        settings = build(ServerSettings, data, text)
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(text) else f'{text}: {error}') from (
            None)
    paths = {name: _beside(file, getattr(settings, name))
             for name in ('token_file', 'certificate_authority')}
    return ServerSettings(**{**vars(settings), **paths})


def observation_keys(file: Path) -> ObservationKeys:
    """Return the keys of a YAML file that holds nothing else."""
    return build(ObservationKeys, read_yaml(file, 'file of keys'), f'file of keys {file}')


def read_token(file: Path) -> str:
    """Return the one word of a file; anything else in it is a ValueError that does not show it."""
    try:
        token = file.read_text(encoding='utf-8').strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'token file {file} cannot be read: {error}') from None
    if not token or any(sign <= ' ' or sign > '~' for sign in token):
        raise ValueError(f'token file {file}: expected one word of ASCII letters, digits and '
                         'signs')
    return token


def _beside(file: Path, name: str) -> str:
    return str(file.absolute().parent / Path(name).expanduser()) if name else ''
