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
"""A recorder_node that cannot go on says why, and stays to say it."""

from threading import Lock
from types import SimpleNamespace

from faster_ros.data.recording_session import RECORDING
from faster_ros.data.running_episode import RecordingFailed
from faster_ros.nodes.recorder_node import RecorderNode


def test_a_failure_of_the_polling_is_said_also_where_the_episode_cannot_be_stopped():
    def stop(reason):
        raise RecordingFailed('the episode is lost: no space left')

    said = []
    session = SimpleNamespace(state=RECORDING, reason='', stop=stop)
    node = SimpleNamespace(
        context=SimpleNamespace(ok=lambda: True), _lock=Lock(), _failure='', _session=session,
        get_logger=lambda: SimpleNamespace(fatal=said.append))
    RecorderNode._polling_failed(node, RuntimeError('a bug'))
    for words in ('a bug', 'start recorder_node again', 'the episode is lost: no space left'):
        assert words in session.reason
    assert node._failure == session.reason and 'a bug' in said[0]
