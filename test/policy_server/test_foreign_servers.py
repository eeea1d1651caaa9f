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
"""Servers of other people: a real websocket on this machine with scripted frames behind it."""

from threading import Thread

from faster_ros.interfaces import Observation
from faster_ros.policy_server.client import ServedPolicyClient
from faster_ros.policy_server.connection import ServerError
from faster_ros.policy_server.settings import (
    JointScale,
    ObservationKeys,
    ServerSettings,
    StatedPolicy,
)
from faster_ros.policy_server.wire import pack, unpack
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from websockets.sync.server import serve

SPEC = load_robot_spec('fr3')
ARM, FINGER = SPEC.arm_joint_names, SPEC.gripper.joint
HOME = SPEC.home_positions
KEYS = ObservationKeys(
    images={'front': 'observation/image', 'wrist': 'images > wrist'},
    state={'observation/joint_position': ARM, 'observation/gripper_position': (FINGER,)})


def stated(**given) -> StatedPolicy:
    values = {'step_s': 0.05, 'actions': 'joint_position', 'columns': (*ARM, FINGER), 'keys': KEYS,
              'example_instruction': 'do it'}
    return StatedPolicy(**(values | given))


class OtherServer:
    """Sends its metadata, keeps what it is asked, answers with ``answer`` and closes if asked."""

    def __init__(self, metadata=b'\x80') -> None:
        self.asked, self.answer, self.closes = [], pack({'actions': np.tile(HOME, (4, 1))}), False
        self._metadata = metadata
        self._server = serve(self._talk, '127.0.0.1', 0, compression=None, max_size=None)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def address(self) -> str:
        return f'ws://127.0.0.1:{self._server.socket.getsockname()[1]}'

    def _talk(self, connection) -> None:
        connection.send(self._metadata)
        for frame in connection:
            self.asked.append(unpack(frame))
            connection.send(self.answer)
            if self.closes:
                connection.close(1011)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()


@pytest.fixture
def other(request):
    def start(*arguments) -> OtherServer:
        server = OtherServer(*arguments)
        request.addfinalizer(server.stop)
        return server
    return start


@pytest.fixture
def client_of(request):
    def make(server: OtherServer, spec=SPEC, **given) -> ServedPolicyClient:
        settings = {'policy': stated()} | given
        client = ServedPolicyClient(ServerSettings(server.address, **settings), spec)
        request.addfinalizer(client.close)
        return client
    return make


def observation(height: int = 48, width: int = 64) -> Observation:
    images = {name: np.full((height, width, 3), 7, np.uint8) for name in SPEC.cameras}
    return Observation(5_000, images, HOME.copy(), 'pick up the cup')


def test_observations_go_out_as_the_file_says(other, client_of):
    server = other()
    client = client_of(server, policy=stated(
        image_size=(32, 32), channels_first=True,
        scale={FINGER: JointScale(factor=-0.04, offset=0.04)}))
    chunk = client.infer(observation())
    asked, = server.asked
    assert asked['prompt'] == 'pick up the cup'
    np.testing.assert_array_equal(asked['observation/joint_position'], HOME[:7])
    np.testing.assert_allclose(asked['observation/gripper_position'], [(HOME[7] - 0.04) / -0.04])
    image = asked['images']['wrist']
    assert image.shape == (3, 32, 32) == asked['observation/image'].shape
    assert (image[:, 4:28] == 7).all()
    assert (image[:, :4] == 0).all()
    assert (image[:, 28:] == 0).all()
    assert chunk.start_ns == 5_000
    assert chunk.step_ns == 50_000_000
    assert chunk.names == SPEC.joint_names
    np.testing.assert_allclose(chunk.actions[:, 7], 0.04 - 0.04 * HOME[7])
    assert np.isnan(client.infer_s)


def test_images_go_out_as_they_are_unless_a_size_is_stated(other, client_of):
    server = other()
    client_of(server).infer(observation())
    assert server.asked[0]['observation/image'].shape == (48, 64, 3)


@pytest.mark.parametrize('representation, expected', [
    ('joint_position', [[0.1, 0.02], [0.3, 0.01]]),
    ('joint_delta', [[HOME[0] + 0.1, 0.02], [HOME[0] + 0.3, 0.01]]),
    ('joint_step', [[HOME[0] + 0.1, 0.02], [HOME[0] + 0.4, 0.01]]),
])
def test_actions_become_joint_targets(other, client_of, representation, expected):
    server = other()
    rows = np.zeros((2, 8), np.float32)
    rows[:, 0], rows[:, 7] = [0.02, 0.01], [0.1, 0.3]  # the gripper comes first here
    server.answer = pack({'actions': rows})
    chunk = client_of(server, policy=stated(
        actions=representation, columns=(FINGER, *ARM[1:], ARM[0]))).infer(observation())
    np.testing.assert_allclose(chunk.actions[:, [0, 7]], expected, rtol=1e-6)
    assert chunk.names == SPEC.joint_names


def test_a_stated_policy_of_another_robot_is_refused_in_the_words_for_a_checkpoint(other,
                                                                                   client_of):
    server = other()
    with pytest.raises(ServerError, match="made for robot 'stated under 'policy'' with joints "
                                          "fr3_joint1.*; this robot is 'ur5e'"):
        client_of(server, load_robot_spec('ur5e'))
    keys = ObservationKeys(images={'side': 'i'}, state={'s': ARM})
    with pytest.raises(ServerError, match="it needs camera side; robot 'fr3' has front, wrist"):
        client_of(server, policy=stated(keys=keys))
    keys = ObservationKeys(images={'front': 'i'}, state={'s': ('elbow',)})
    with pytest.raises(ServerError, match="'s' of its observation wants elbow; robot 'fr3' has"):
        client_of(server, policy=stated(keys=keys))


def test_nothing_is_guessed_of_a_server_that_does_not_say_what_it_serves(other, client_of):
    server = other(pack({'reset_pose': [0.0]}))
    with pytest.raises(ServerError, match=f'policy server {server.address}: it sent a map of '
                                          'reset_pose; expected joints, time step and actions'):
        client_of(server, policy=None)


@pytest.mark.parametrize('metadata, words', [
    (b'hello', 'expected a msgpack map, got'),
    ('Traceback\n  ...\nKeyError: x\n', 'failed: KeyError: x'),
    (pack({'faster_ros': 3}), 'it says itself what its policy is'),
])
def test_a_greeting_that_is_no_metadata_is_refused(other, client_of, metadata, words):
    with pytest.raises(ServerError, match=words):
        client_of(other(metadata))


@pytest.mark.parametrize('answer, words', [
    ({'actions': np.zeros((4, 7))}, r'it answered an array of shape \(4, 7\) and type float64'),
    ({'actions': np.zeros(8)}, r'it answered an array of shape \(8,\).*shape \(H, 8\): fr3_j'),
    ({'actions': np.zeros((1, 8))}, r'it answered an array of shape \(1, 8\)'),
    ({'actions': np.zeros((4, 8), int)}, 'type int64; expected .*floats'),
    ({'actions': [[0.0] * 8] * 4}, r'it answered \[\[0.0'),
    ({'action': np.zeros((4, 8))}, "it answered a map of action; expected 'actions' as floats"),
    ({'actions': np.array([[0.0] * 8, [0.0] * 7 + [np.nan]])},
     'it answered nan for fr3_finger_joint1 in row 1; expected finite numbers'),
    ({'actions': np.array([[np.inf] * 8] * 2)}, 'it answered inf for fr3_joint1 in row 0'),
])
def test_an_answer_of_another_shape_is_refused(other, client_of, answer, words):
    server = other()
    client = client_of(server)
    client.infer(observation())
    server.answer = pack(answer)
    with pytest.raises(ServerError, match=f'policy server {server.address}: .*{words}'):
        client.infer(observation())


def test_an_answer_that_is_no_map_is_refused_and_the_connection_made_anew(other, client_of):
    server = other()
    client = client_of(server)
    right, server.answer = server.answer, b'\x80\x04K\x01.'  # a pickle
    with pytest.raises(ServerError, match='expected a msgpack map, got 5 bytes that are none'):
        client.infer(observation())
    server.answer = right
    assert client.infer(observation()).actions.shape == (4, 8)


def test_a_traceback_is_told_in_its_last_line_though_the_server_closes(other, client_of):
    server = other()
    client = client_of(server)
    right, server.answer = server.answer, 'Traceback (most recent call last):\n  ...\nOops: no\n'
    server.closes = True
    for _ in range(2):
        with pytest.raises(ServerError, match=f'policy server {server.address} failed: Oops: no'):
            client.infer(observation())
    server.answer, server.closes = right, False
    client.infer(observation())
