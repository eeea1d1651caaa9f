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
"""The policy of the package behind a real websocket on this machine."""

from pathlib import Path
import ssl
import subprocess
import sys
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from faster_ros.bringup import default_checkpoint
from faster_ros.cli.policy import main, metadata_of
from faster_ros.doctor.checkpoint_checks import fit
from faster_ros.interfaces import Observation
from faster_ros.nodes.doctor_examination import checkpoint_facts
from faster_ros.policy.checkpoint import load_policy
from faster_ros.policy_server.client import ServedPolicyClient
from faster_ros.policy_server.connection import Connection, ServerError
from faster_ros.policy_server.handshake import KEY, served_policy
from faster_ros.policy_server.observation_map import ObservationMap
from faster_ros.policy_server.server import PolicyServer, tls_context
from faster_ros.policy_server.settings import ObservationKeys, ServerSettings
from faster_ros.policy_server.wire import pack, unpack
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

SPEC = load_robot_spec('fr3')
FOLDER = default_checkpoint()


@pytest.fixture(scope='module')
def policy():
    return load_policy(FOLDER, SPEC, 'cpu')


@pytest.fixture
def serving(policy, request):
    """Return a function that starts a server, by default of the package's policy."""
    def start(served=policy, keys=None, port=0, **given) -> PolicyServer:
        server = PolicyServer(served, metadata_of(policy, Path(FOLDER), keys),
                              ('127.0.0.1', port), **given)
        request.addfinalizer(server.stop)
        return server
    return start


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


class Slow:
    """A policy that answers when it may."""

    example_instruction = 'pick'

    def __init__(self, policy) -> None:
        self.policy, self.may_answer = policy, Event()

    def infer(self, asked: Observation):
        self.may_answer.wait(30.0)
        return self.policy.infer(asked)


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_a_served_chunk_is_the_local_one(serving, policy, seed):
    client = client_of(serving())
    for given in ({}, {'committed': np.tile(SPEC.home_positions, (2, 1))}):
        asked = observation(seed, **given)
        served, local = client.infer(asked), policy.infer(asked)
        assert np.array_equal(served.actions, local.actions)
        assert served.actions.dtype == local.actions.dtype
        assert (served.start_ns, served.step_ns, served.names) == (
            local.start_ns, local.step_ns, local.names)
    assert client.takes_committed == policy.takes_committed
    assert 0 < client.decode_s <= client.infer_s
    assert client.added_s > 0
    client.close()


def test_joint_prefixes_are_the_robots_own_affair(serving, policy):
    left = load_robot_spec('fr3', 'left_')
    asked = observation()
    client = client_of(serving(), left)
    chunk = client.infer(asked)
    assert chunk.names == left.joint_names
    assert np.array_equal(chunk.actions, policy.infer(asked).actions)
    client.close()


def test_openpis_names_and_several_clients_at_once(serving, policy):
    keys = ObservationKeys(
        images={'front': 'observation/image', 'wrist': 'observation > wrist'},
        state={'joints': SPEC.arm_joint_names, 'hand': (SPEC.gripper.joint,)}, prompt='task')
    server = serving(keys=keys)
    asked = [observation(seed) for seed in range(3)]
    chunks = {}

    def ask(number: int) -> None:
        client = client_of(server)
        chunks[number] = client.infer(asked[number])
        client.close()

    threads = [Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, chunk in chunks.items():
        assert np.array_equal(chunk.actions, policy.infer(asked[number]).actions)


@pytest.mark.parametrize('keys, words', [
    ({'images': {'front': 'a'}, 'state': {'s': SPEC.joint_names}}, 'cameras front; the policy'),
    ({'images': {'front': 'a', 'wrist': 'b'}, 'state': {'s': SPEC.arm_joint_names}},
     'the keys have joints fr3_joint1, fr3_joint2')])
def test_keys_that_leave_something_out_are_refused(serving, keys, words):
    with pytest.raises(ValueError, match=words):
        serving(keys=ObservationKeys(**keys))


def test_a_robot_that_does_not_fit_is_refused_in_the_words_for_a_checkpoint(serving):
    server = serving()
    with pytest.raises(ServerError, match=f'policy server {address(server)}: it is made for robot '
                                          "'fr3' with joints .*; this robot is 'ur5e'"):
        client_of(server, load_robot_spec('ur5e'))


@pytest.mark.parametrize('change, words', [
    ({'checkpoint_format': 9}, 'expected format 1 with delta_joint actions, got 9'),
    ({'action_representation': 'pose'}, 'expected format 1 with delta_joint actions, got 1'),
    ({'cameras': ['side']}, "it needs camera side; robot 'fr3' has front, wrist"),
    ({'step_s': 0.0}, 'step_s must be positive'),
    ({'base': True}, "it is made for robot 'fr3' with a mobile base"),
    ({'protocol': 2}, 'it speaks version 2 of the protocol; expected 1'),
    ({'columns': ['a']}, 'its actions have columns a; expected fr3_joint1'),
    ({'more': 1}, "its metadata: unknown key 'more'"),
])
def test_what_a_server_says_of_itself_is_compared_with_the_robot(policy, change, words):
    said = unpack(pack(metadata_of(policy, Path(FOLDER)).message()))
    said[KEY] |= change
    with pytest.raises(ValueError, match=words):
        served = served_policy(said, None, SPEC)
        served.check(SPEC)
        ObservationMap(served, SPEC)


def test_a_token_opens_the_server_and_nothing_else_does(serving, tmp_path):
    said = []
    server = serving(token='s3cret', say=said.append)
    right, wrong = tmp_path / 'right', tmp_path / 'wrong'
    right.write_text('s3cret\n')
    wrong.write_text('s3crat\n')
    client = client_of(server, token_file=str(right))
    assert client.infer(observation()).actions.shape == (16, 8)
    client.close()
    for given in ({}, {'token_file': str(wrong)}):
        with pytest.raises(ServerError, match=f'policy server {address(server)} refused the '
                           'connection: HTTP 401, the token is wrong or missing') as caught:
            client_of(server, **given)
        assert 's3cr' not in str(caught.value)
    assert sum('refused: the token is wrong or missing' in line for line in said) == 2
    assert not any('s3cr' in line for line in said)


def test_health_needs_no_token_and_web_pages_are_kept_out(serving):
    server = serving(token='s3cret')
    page = f'http://127.0.0.1:{server.port}'
    assert urlopen(f'{page}/healthz', timeout=10.0).read() == b'OK\n'
    with pytest.raises(HTTPError, match='401'):
        urlopen(Request(page), timeout=10.0)
    with pytest.raises(InvalidStatus, match='403'):
        connect(f'ws://127.0.0.1:{server.port}', origin='http://evil.example', proxy=None,
                additional_headers={'Authorization': 'Api-Key s3cret'}).__enter__()


def test_tls_keeps_it_private_and_a_certificate_of_nobody_is_refused(serving, tmp_path):
    certificate, key = tmp_path / 'certificate.pem', tmp_path / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=robot',
                    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', str(key), '-out',
                    str(certificate)], check=True, capture_output=True)
    server = serving(tls=tls_context(str(certificate), str(key)))
    settings = ServerSettings(address(server, 'wss'), certificate_authority=str(certificate))
    client = ServedPolicyClient(settings, SPEC)
    assert client.infer(observation()).actions.shape == (16, 8)
    client.close()
    with pytest.raises(ServerError, match='TLS failed: .*expected a certificate for this name'):
        ServedPolicyClient(ServerSettings(address(server, 'wss')), SPEC)
    with pytest.raises(ValueError, match='certificate /no/c with key /no/k cannot be used'):
        tls_context('/no/c', '/no/k')
    assert isinstance(tls_context(str(certificate), str(key)), ssl.SSLContext)


@pytest.mark.parametrize('change, words', [
    ({'instruction': 'dance'}, "'dance'"),
    ({'instruction': ''}, 'instruction'),
    ({'committed': np.zeros((2, 3))}, r"entry 'faster_ros/committed': expected finite numbers of"),
])
def test_what_the_policy_refuses_comes_back_in_its_words(serving, policy, change, words):
    said = []
    client = client_of(serving(say=said.append))
    client.served.__dict__['takes_committed'] = True
    connection = client._connection
    for _ in range(2):
        with pytest.raises(ServerError, match=f'policy server .* failed: .*{words}'):
            client.infer(observation(**change))
    assert client.infer(observation()).actions.shape == (16, 8)
    assert client._connection is connection
    assert sum('gets no answer' in line for line in said) == 1
    client.close()


def test_what_a_message_lacks_is_named(serving):
    connection = Connection(ServerSettings(address(serving())))
    front = np.zeros((96, 128, 3), np.uint8)
    message = {'observation/state': np.zeros(8), 'prompt': 'pick up the red cube',
               'observation/images/front': front, 'observation/images/wrist': front}
    assert connection.ask(message, 30.0)['actions'].shape == (16, 8)
    for key, value, words in (
            ('observation/state', np.zeros(7), r'expected 8 numbers \(fr3_joint1, .*shape \(7,\)'),
            ('observation/state', None, 'got nothing'),
            ('prompt', 3, 'expected the task in words, got 3'),
            ('observation/images/front', front[..., 0], r'RGB image as uint8 .*shape \(96, 128\)'),
            ('observation/images/wrist', front * 1.0, 'type float64')):
        with pytest.raises(ServerError, match=f"entry '{key}': .*{words}"):
            connection.ask(message | {key: value}, 30.0)
    connection.close()


def test_objects_are_refused_by_name_on_both_sides(serving):
    server = serving()
    connection = Connection(ServerSettings(address(server)))
    with pytest.raises(ValueError, match="entry 'observation/state' has type object"):
        connection.ask({'observation/state': np.array([{}])}, 10.0)
    with connect(address(server), proxy=None) as raw:
        assert KEY in unpack(raw.recv())
        raw.send('hello')
        assert 'expected a msgpack map in a binary message' in raw.recv()
        raw.send(b'\x81\xa1x\x84' + b'\xc4\x0b__ndarray__\xc3' + b'\xc4\x04data\xc4\x01.'
                 + b'\xc4\x05dtype\xa2|O' + b'\xc4\x05shape\x91\x01')
        assert raw.recv() == ("entry 'x' has type object; expected booleans, integers or floats "
                              'of 1 to 8 bytes')
    connection.close()


def test_a_slow_answer_is_an_error_and_never_that_to_the_next_question(serving, policy):
    slow = Slow(policy)
    slow.may_answer.set()
    client = client_of(serving(slow), answer_timeout_s=0.2)
    client.infer(observation(0))
    slow.may_answer.clear()
    with pytest.raises(ServerError, match='expected a msgpack map with actions within 0.2 s, got '
                                          'none'):
        client.infer(observation(1))
    slow.may_answer.set()
    client.settings.__dict__['answer_timeout_s'] = 30.0
    asked = observation(2)
    assert np.array_equal(client.infer(asked).actions, policy.infer(asked).actions)
    client.close()


def test_a_server_that_goes_is_named_until_it_is_back(serving, monkeypatch):
    monkeypatch.setattr('faster_ros.policy_server.client._RECONNECT_S', 0.0)
    server = serving()
    client, name = client_of(server), address(server)
    client.infer(observation())
    server.stop()
    with pytest.raises(ServerError, match=f'policy server {name}'):
        client.infer(observation())
    with pytest.raises(ServerError, match=f'policy server {name}: expected a connection, got .*'
                                          'is it running there'):
        client.infer(observation())
    serving(port=server.port)
    assert client.infer(observation()).actions.shape == (16, 8)
    client.close()


def test_a_server_that_is_away_is_tried_once_in_a_while(serving, monkeypatch):
    monkeypatch.setattr('faster_ros.policy_server.client._RECONNECT_S', 1e9)
    server = serving()
    client = client_of(server)
    server.stop()
    errors = []
    for _ in range(3):
        with pytest.raises(ServerError) as caught:
            client.infer(observation())
        errors.append(caught.value)
    assert errors[2] is errors[1]
    client.close()


def test_a_server_that_comes_back_with_another_policy_is_refused(serving, policy, monkeypatch):
    monkeypatch.setattr('faster_ros.policy_server.client._RECONNECT_S', 0.0)
    server = serving()
    client = client_of(server)
    server.stop()
    serving(port=server.port, keys=ObservationKeys(
        images={'front': 'a', 'wrist': 'b'}, state={'s': SPEC.joint_names}))
    with pytest.raises(ServerError):
        client.infer(observation())
    with pytest.raises(ServerError, match='it came back with another policy than'):
        client.infer(observation())
    client.close()


def test_closing_ends_a_wait_for_an_answer(serving, policy):
    slow = Slow(policy)
    client = client_of(serving(slow))
    ended = []

    def ask() -> None:
        try:
            client.infer(observation())
        except ServerError as error:
            ended.append(str(error))

    thread = Thread(target=ask)
    thread.start()
    client.close()
    thread.join(20.0)
    slow.may_answer.set()
    assert len(ended) == 1


def test_check_says_that_a_server_fits_and_how_long_it_takes(serving, tmp_path, capsys):
    server = serving()
    times = tmp_path / 'times.json'
    assert main(['check', address(server), '--calls', '5', '--json', str(times)]) == 0
    printed = capsys.readouterr().out
    assert f"{address(server)} serves a policy that fits robot 'fr3'" in printed
    assert '| 5 calls | p50 ms |' in printed
    assert '| added by the server |' in printed
    assert times.exists()


@pytest.mark.parametrize('words, said', [
    (['--host', '0.0.0.0'], '--host 0.0.0.0 can be reached from other machines; expected --token'),
    (['--key', 'k.pem'], '--certificate and --key: expected both or none'),
    (['--checkpoint', '/no/such'], 'checkpoint /no/such: config.json is missing'),
    (['--token-file', '/no/such'], 'token file /no/such cannot be read'),
])
def test_a_server_that_would_be_open_or_cannot_start_says_why(words, said):
    with pytest.raises(ValueError, match=said):
        main(['serve', '--port', '0', *words])


def test_a_port_in_use_is_named(serving):
    with pytest.raises(ValueError, match='cannot listen on 127.0.0.1:.*in use'):
        serving(port=serving().port)


def test_the_doctor_examines_a_served_policy(serving):
    server = serving()
    state, pose = fit(SPEC, checkpoint_facts(address(server), SPEC),
                      dict(zip(SPEC.joint_names, SPEC.home_positions)))
    assert state.found.startswith('joints, cameras front, wrist and representation fit')
    assert pose.found == 'within what the policy was trained on'
    server.stop()
    line, = fit(SPEC, checkpoint_facts(address(server), SPEC), {})
    assert line.found.startswith(f'policy server {address(server)}: expected a connection')


def test_the_side_of_the_robot_needs_no_torch():
    done = subprocess.run(
        [sys.executable, '-c', 'import sys\n'
         'from faster_ros.nodes.policy_loading import load\n'
         'from faster_ros.policy_server.client import ServedPolicyClient\n'
         'print({"torch", "transformers", "mujoco"} & set(sys.modules))'],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout == 'set()\n'
