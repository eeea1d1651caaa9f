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
"""What the tests of the policy server ask it with."""

from faster_ros.bringup import default_checkpoint
from faster_ros.interfaces import Observation
from faster_ros.policy_server.client import ServedPolicyClient
from faster_ros.policy_server.server import PolicyServer
from faster_ros.policy_server.settings import ServerSettings
from faster_ros.robot_spec import load_robot_spec
import numpy as np

SPEC = load_robot_spec('fr3')
FOLDER = default_checkpoint()


def address(server: PolicyServer, scheme: str = 'ws') -> str:
    return f'{scheme}://127.0.0.1:{server.port}'


def client_of(server: PolicyServer, spec=SPEC, **settings) -> ServedPolicyClient:
    return ServedPolicyClient(ServerSettings(address(server), **settings), spec)


def observation(seed: int = 0, **given) -> Observation:
    noise = np.random.default_rng(seed)
    images = {name: noise.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
              for name, camera in SPEC.cameras.items()}
    positions = SPEC.home_positions + noise.uniform(-0.05, 0.05, len(SPEC.joint_names))
    values = {'instruction': 'pick up the red cube', **given}
    return Observation(1_000 + seed, images, positions, **values)
