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
"""The package's policy, and servers of it that end with the test."""

from pathlib import Path

from faster_ros.cli.policy import metadata_of
from faster_ros.policy.checkpoint import load_policy
from faster_ros.policy_server.server import PolicyServer
import pytest
from served import FOLDER, SPEC


@pytest.fixture(scope='package')
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
