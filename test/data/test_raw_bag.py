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
"""Raw bags: what is written is read, and what a crash leaves is read as well."""

from pathlib import Path
from threading import Event
import time

from faster_ros.data import raw_bag
from faster_ros.data.bag_reader import read_bags
from faster_ros.data.raw_bag import RawBag, salvage
import numpy as np
import pytest
from test_bag_reader import message, START, STORE

KIND = 'sensor_msgs/msg/JointState'


def write(folder, seconds=3.0, end=True):
    """Write a bag of a JointState at 20 Hz."""
    bag = RawBag(folder, {'/joint_states': KIND})
    for k in range(int(20 * seconds)):
        stamp = START + k / 20
        raw = bytes(STORE.serialize_cdr(message(stamp, ['a', 'b'], [k / 20, 1.0]), KIND))
        assert bag.write('/joint_states', round(stamp * 1e9), raw)
    if end:
        bag.close()
    return bag


def test_a_bag_is_read_back(tmp_path):
    bag = write(tmp_path / 'bag')
    (episode,) = read_bags([tmp_path / 'bag']).episodes
    np.testing.assert_allclose(episode.rows[:, 0], np.arange(60) / 20, atol=1e-6)
    assert (bag.written['/joint_states'], bag.dropped.total()) == (60, 0)


@pytest.mark.parametrize('cut', [1, 500, 1500])
def test_a_bag_without_its_end_is_salvaged_up_to_the_cut(tmp_path, cut):
    bag = write(tmp_path / 'bag', 5.0, end=False)
    while bag._queue.waiting:
        pass
    bag.cancel()
    path = tmp_path / 'bag/bag.mcap'
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    assert salvage(path) > 0
    (episode,) = read_bags([path]).episodes
    assert 20 <= len(episode.rows) <= 100
    np.testing.assert_allclose(np.diff(episode.rows[:, 0]), 0.05, atol=1e-6)
    assert salvage(path) == 0


@pytest.mark.parametrize('end', ['close', 'cancel'])
def test_a_bag_that_the_disk_refuses_is_given_up_with_its_file_closed(tmp_path, end):
    bag = RawBag(tmp_path / 'bag', {'/joint_states': KIND})
    storage = bag._writer.storage
    storage.bio.close()
    storage.bio = Path('/dev/full').open('wb')
    storage.bio.write(b'what waits to be written')
    if end == 'close':
        with pytest.raises(OSError, match='No space left'):
            bag.close()
    else:
        bag.cancel()
    assert storage.bio.closed


def test_what_waits_for_a_slow_disk_is_bounded_in_bytes_and_the_rest_is_counted(
        tmp_path, monkeypatch):
    monkeypatch.setattr(raw_bag, '_ROOM', 1000)
    bag = RawBag(tmp_path / 'bag', {'/camera': KIND})
    goes_on, write = Event(), bag._writer.write

    def slow(*message):
        assert goes_on.wait(20.0)
        write(*message)

    monkeypatch.setattr(bag._writer, 'write', slow)
    assert bag.write('/camera', 0, bytes(100))
    end = time.monotonic() + 20.0
    while bag._stored < 100:  # the first has left the queue and is being written
        assert time.monotonic() < end
    assert [bag.write('/camera', 0, bytes(400)) for _ in range(3)] == [True, True, False]
    goes_on.set()
    while bag._stored < 900:
        assert time.monotonic() < end
    assert bag.write('/camera', 0, bytes(400))
    assert (bag.written['/camera'], bag.dropped['/camera']) == (4, 1)
    bag.close()


def test_a_type_that_no_bag_can_describe_is_refused_by_topic(tmp_path):
    with pytest.raises(ValueError, match='/arm .*franka_msgs/msg/State.*: no message type'):
        RawBag(tmp_path / 'bag', {'/arm': 'franka_msgs/msg/State'})
