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
"""A function in a process of its own."""

from threading import Event

from faster_ros.nodes.worker_process import offer, received, Worker


def echo(inbox, outbox, greeting):
    """Serve a worker: greet, then repeat what comes; end at 'end'."""
    offer(outbox, greeting)
    while (messages := received(inbox)) is not None:
        for message in messages:
            if message == 'end':
                return
            offer(outbox, message)


def start(ended):
    heard, answered = [], Event()

    def hear(message):
        heard.append(message)
        answered.set()

    return Worker(echo, ('hello',), 0, hear, ended.set), heard, answered


def test_messages_go_both_ways_and_a_closed_pipe_ends_it_in_peace():
    ended = Event()
    worker, heard, answered = start(ended)
    assert answered.wait(60.0)
    answered.clear()
    worker.send([1, 2])
    assert answered.wait(60.0)
    worker.stop()
    assert heard == ['hello', [1, 2]]
    assert not ended.is_set()


def test_an_end_that_nobody_asked_for_is_told():
    ended = Event()
    worker, _, answered = start(ended)
    assert answered.wait(60.0)
    worker.send('end')
    assert ended.wait(60.0)
    worker.send('nobody listens')
    worker.stop()
