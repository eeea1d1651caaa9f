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
The policy server asked by openpi's own client, which wants numpy 1 and so cannot stand elsewhere.

The policy answers what it was shown, so that whatever changed on the way would be seen; what torch
does behind the same server is tested in ``test/policy_server``.
"""

from faster_ros.interfaces import ActionChunk
from faster_ros.policy_server.handshake import Metadata, PROTOCOL
from faster_ros.policy_server.server import PolicyServer
from faster_ros.policy_server.settings import ObservationKeys
from faster_ros.robot_spec import load_robot_spec
import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy
import pytest
from websockets.exceptions import InvalidStatus

pytestmark = pytest.mark.drivers
SPEC = load_robot_spec('fr3')
ROWS = 4
KEYS = ObservationKeys(
    images={'front': 'observation/image', 'wrist': 'observation/wrist_image'},
    state={'observation/state': SPEC.joint_names})


class Echo:
    """Joint targets made of all that an observation holds."""

    example_instruction = 'pick'

    def infer(self, observation) -> ActionChunk:
        if observation.instruction != 'pick':
            raise ValueError(f"instruction '{observation.instruction}' is not known")
        brightness = [image.mean() for image in observation.images.values()]
        actions = np.tile(observation.positions, (ROWS, 1))
        actions[:2, 0] = brightness
        return ActionChunk(observation.stamp_ns, 50_000_000, actions, SPEC.joint_names)


@pytest.fixture
def server():
    served = PolicyServer(Echo(), Metadata(
        protocol=PROTOCOL, checkpoint='echo', checkpoint_sha256='', checkpoint_format=1,
        action_representation='delta_joint', step_s=0.05, cameras=('front', 'wrist'),
        robot='fr3', joints=SPEC.joint_names, base=False, columns=SPEC.joint_names,
        action_horizon=ROWS, state_low=(0.0,) * 8, state_high=(1.0,) * 8, takes_committed=False,
        example_instruction='pick', keys=KEYS), ('127.0.0.1', 0), token='s3cret')
    yield served
    served.stop()


def observation(seed: int, prompt: str = 'pick') -> dict:
    noise = np.random.default_rng(seed)
    shape = (48, 64, 3)
    return {'observation/image': noise.integers(0, 256, shape, np.uint8),
            'observation/wrist_image': noise.integers(0, 256, shape, np.uint8),
            'observation/state': noise.normal(size=8), 'prompt': prompt}


def test_openpis_client_gets_each_answer_bit_for_bit_and_errors_in_words(server):
    client = WebsocketClientPolicy('127.0.0.1', server.port, api_key='s3cret')
    said = client.get_server_metadata()['faster_ros']
    assert tuple(said['joints']) == SPEC.joint_names
    for seed in range(20):
        asked = observation(seed)
        answer = client.infer(asked)
        expected = np.tile(asked['observation/state'], (ROWS, 1))
        expected[:2, 0] = [asked['observation/image'].mean(),
                           asked['observation/wrist_image'].mean()]
        np.testing.assert_array_equal(answer['actions'], expected)
        assert answer['server_timing']['infer_ms'] > 0
    with pytest.raises(RuntimeError, match="instruction 'dance' is not known"):
        client.infer(observation(0, 'dance'))
    assert client.infer(observation(1))['actions'].shape == (ROWS, 8)


def test_openpis_client_needs_the_token(server):
    with pytest.raises(InvalidStatus, match='401'):
        WebsocketClientPolicy('127.0.0.1', server.port, api_key='wrong')
