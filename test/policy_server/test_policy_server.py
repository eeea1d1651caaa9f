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
import subprocess
import sys
from threading import Thread
from types import SimpleNamespace

from faster_ros.cli.policy import main, metadata_of
from faster_ros.doctor.checkpoint_checks import fit
from faster_ros.nodes.doctor_examination import checkpoint_facts
from faster_ros.policy_server.connection import Connection, ServerError
from faster_ros.policy_server.handshake import COMMITTED, KEY, served_policy
from faster_ros.policy_server.observation_map import ObservationMap
from faster_ros.policy_server.settings import ObservationKeys, ServerSettings
from faster_ros.policy_server.wire import pack, unpack
from faster_ros.robot_spec import load_robot_spec
import numpy as np
import pytest
from served import address, client_of, FOLDER, observation, SPEC
from websockets.sync.client import connect


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


def test_what_a_policy_said_comes_with_its_chunk(serving, policy):
    speaker = SimpleNamespace(infer=policy.infer, said='grasp the cube')
    client = client_of(serving(speaker))
    assert client.said == ''
    client.infer(observation())
    assert client.said == 'grasp the cube'
    speaker.said = ''
    client.infer(observation())
    assert client.said == ''
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


@pytest.mark.parametrize('change, words', [
    ({'instruction': 'dance'}, "'dance'"),
    ({'instruction': ''}, 'instruction'),
])
def test_what_the_policy_refuses_comes_back_in_its_words(serving, change, words):
    said = []
    client = client_of(serving(say=said.append))
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
            (COMMITTED, np.zeros((2, 3)), r'expected finite numbers of shape \(C, 8\)'),
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


def test_check_says_that_a_server_fits_and_how_long_it_takes(serving, tmp_path, capsys):
    server = serving()
    times = tmp_path / 'times.json'
    assert main(['check', address(server), '--calls', '5', '--json', str(times)]) == 0
    printed = capsys.readouterr().out
    assert f"{address(server)} serves a policy that fits robot 'fr3'" in printed
    assert '| 5 calls | p50 ms |' in printed
    assert '| added by the server |' in printed
    assert times.exists()


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
