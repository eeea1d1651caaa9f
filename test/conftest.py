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
"""Two workers share the tests: a file stays together, and one worker runs all that start nodes."""

import pytest

_WITH_NODES = ('test/integration/', 'test/cli/')


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):

        def _split_scope(self, nodeid: str) -> str:
            return 'nodes' if nodeid.startswith(_WITH_NODES) else nodeid.split('::')[0]

    return Scheduling(config, log)
