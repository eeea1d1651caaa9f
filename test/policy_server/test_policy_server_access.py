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
"""Who gets into a policy server, and what others can read."""

import ssl
import subprocess
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from faster_ros.cli.policy import main
from faster_ros.policy_server.client import ServedPolicyClient
from faster_ros.policy_server.connection import ServerError
from faster_ros.policy_server.server import tls_context
from faster_ros.policy_server.settings import ServerSettings
import pytest
from served import address, client_of, observation, SPEC
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect


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
