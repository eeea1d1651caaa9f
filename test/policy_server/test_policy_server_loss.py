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
"""A policy server that is slow, away, or back with something else."""

from dataclasses import replace
from threading import Event, Thread

from faster_ros.interfaces import Observation
from faster_ros.policy_server.connection import ServerError
from faster_ros.policy_server.settings import ObservationKeys
import numpy as np
import pytest
from served import address, client_of, observation, SPEC


class Slow:
    """A policy that answers when it may."""

    example_instruction = 'pick'

    def __init__(self, policy) -> None:
        self.policy, self.may_answer = policy, Event()

    def infer(self, asked: Observation):
        self.may_answer.wait(30.0)
        return self.policy.infer(asked)


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
    client.settings = replace(client.settings, answer_timeout_s=30.0)
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
