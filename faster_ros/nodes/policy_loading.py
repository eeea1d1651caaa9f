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
The policy of policy_node: read from its folder, or reached at its server, and made ready.

The only place of the nodes where torch is imported; a policy behind a server needs none here.
"""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from faster_ros.interfaces import Observation, Policy
from faster_ros.policy_server.settings import is_server, server_settings
from faster_ros.robot_spec import RobotSpec
import numpy as np

if TYPE_CHECKING:
    from faster_ros.policy_server.client import ServedPolicyClient

LoadPolicy = Callable[[Path, RobotSpec, str], Policy]
_WARM_UP_CALLS = 3  # the first calls of a network are many times slower than the rest


def load(checkpoint: str, spec: RobotSpec, device: str, load_policy: LoadPolicy) -> Policy:
    """Return the policy of a folder or hub, by ``load_policy``, or of a server."""
    return connect(checkpoint, spec) if is_server(checkpoint) else load_policy(
        Path(checkpoint), spec, device)


def connect(server: str, spec: RobotSpec) -> ServedPolicyClient:
    """Return the policy of a server, by its address or the YAML file about it."""
    try:
        from faster_ros.policy_server.client import ServedPolicyClient
    except ModuleNotFoundError as error:
        raise ValueError(f'checkpoint {server} is a policy server, which needs the Python package '
                         f'{error.name}: pip install websockets msgpack') from None
    return ServedPolicyClient(server_settings(server), spec)


def load_checkpoint(folder: Path, spec: RobotSpec, device: str) -> Policy:
    """Load the trained policy of a folder, or owner/name of a hub; imports torch."""
    if folder == Path():
        raise ValueError("parameter 'checkpoint' is empty; expected a folder of a policy, or the "
                         'address of a policy server')
    from faster_ros.policy.checkpoint import load_policy
    policy: Policy = load_policy(folder, spec, device)
    return policy


def prepare(policy: Policy, spec: RobotSpec, threads: int) -> None:
    """
    Run the policy on blank images: it works, and the first real call is not the slowest.

    ``threads``: how many torch may use, if it is loaded; 0 leaves a core to other processes.
    """
    torch = sys.modules.get('torch')
    if torch is not None:
        torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) - 1))
    blank = {name: np.zeros((camera.height, camera.width, 3), np.uint8)
             for name, camera in spec.cameras.items()}
    for _ in range(_WARM_UP_CALLS):
        policy.infer(Observation(0, blank, spec.home_positions, policy.example_instruction))
