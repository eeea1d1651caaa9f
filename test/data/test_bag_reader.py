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
"""Bags of JointState without ROS: order of joints, rates, pauses, several topics, faults."""

from faster_ros.data.bag_reader import read_bags
from faster_ros.data.recordings import read_recording, Reading
import numpy as np
import pytest

pytest.importorskip('rosbags')
from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import get_typestore, Stores  # noqa: E402

STORE = get_typestore(Stores.ROS2_HUMBLE)
TYPES = STORE.types
START = 1_760_000_000.0
KINDS = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}


def message(stamp, names, positions):
    """Return a JointState."""
    nanoseconds = round(stamp * 1e9)
    header = TYPES['std_msgs/msg/Header'](
        TYPES['builtin_interfaces/msg/Time'](nanoseconds // 10**9, nanoseconds % 10**9), '')
    return TYPES['sensor_msgs/msg/JointState'](
        header, names, np.array(positions, float), np.zeros(0), np.zeros(0))


def bag(path, topics, storage='mcap', stamped=True):
    """Write a bag: topic -> list of (seconds, names, positions)."""
    kind = 'sensor_msgs/msg/JointState'
    with Writer(path, version=9, storage_plugin=KINDS[storage]) as writer:
        for topic, rows in topics.items():
            connection = writer.add_connection(topic, kind, typestore=STORE)
            arrival = 0.0  # of the recorder, which never goes back
            for seconds, names, positions in rows:
                stamp = START + seconds
                arrival = max(arrival, stamp)
                raw = STORE.serialize_cdr(message(stamp * stamped, names, positions), kind)
                writer.write(connection, round(arrival * 1e9), raw)
    return path


def ramp(times, names=('a', 'b')):
    """Return messages whose first joint is the time and whose second is its double."""
    return [(time, list(names), [time, 2 * time]) for time in times]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('stamped', [True, False])
def test_a_bag_is_an_episode_at_the_rate_of_its_messages(tmp_path, storage, stamped):
    jitter = np.random.default_rng(0).uniform(-0.01, 0.01, 60)
    paths = [bag(tmp_path / name, {'/joint_states': ramp(np.arange(60) / 20 + jitter)}, storage,
                 stamped) for name in ('one', 'two')]
    recording = read_recording(paths, 1.0)
    assert (recording.rate_hz, recording.names, len(recording.episodes)) == (20.0, ['a', 'b'], 2)
    np.testing.assert_allclose(np.diff(recording.episodes[0][:, 0]), 0.05, atol=1e-6)
    np.testing.assert_allclose(recording.episodes[0][:, 1], 2 * recording.episodes[0][:, 0])


def test_a_folder_of_mcap_files_is_read_file_by_file(tmp_path):
    for number in range(2):
        path = bag(tmp_path / f'bag_{number}', {'/joint_states': ramp(np.arange(30) / 10)})
        (file,) = path.glob('*.mcap')
        (tmp_path / 'all').mkdir(exist_ok=True)
        file.rename(tmp_path / 'all' / f'{number}.mcap')
    assert len(read_recording([tmp_path / 'all'], 1.0).episodes) == 2


def test_joints_are_taken_by_name_whatever_their_order(tmp_path):
    rows = ramp(np.arange(30) / 10)
    rows[7] = (0.7, ['b', 'x', 'a'], [1.4, 9.0, 0.7])
    recorded = read_bags([bag(tmp_path / 'bag', {'/joint_states': rows})])
    np.testing.assert_allclose(recorded.episodes[0].rows[7], [0.7, 1.4], atol=1e-6)


def test_a_pause_separates_two_episodes_and_is_named(tmp_path):
    times = np.concatenate([np.arange(20) / 10, 5 + np.arange(15) / 10])
    recording = read_recording([bag(tmp_path / 'bag', {'/joint_states': ramp(times)})], 1.0)
    assert [len(episode) for episode in recording.episodes] == [20, 15]
    assert recording.notes == [
        'bag: 3.1 s without messages, 1.9 s after its beginning, separate two episodes']


def test_topics_are_joined_in_time_where_all_of_them_speak(tmp_path):
    path = bag(tmp_path / 'bag', {
        '/left': ramp(np.arange(40) / 10),
        '/right': ramp(0.5 + np.arange(70) / 20, ['a', 'gripper'])})
    (episode,) = read_bags([path], ['/left', '/right'], 20.0).episodes
    assert len(episode.rows) == 69  # 0.5 s to 3.9 s
    np.testing.assert_allclose(episode.rows[:, 0], 0.5 + np.arange(69) / 20, atol=1e-5)
    np.testing.assert_allclose(episode.rows[:, 0], episode.rows[:, 2], atol=1e-5)
    names = read_bags([path], ['/left', '/right'], 20.0).names
    assert names == ['/left/a', '/left/b', '/right/a', '/right/gripper']


def test_stamps_that_go_back_leave_the_bag_out_by_name(tmp_path):
    good = [bag(tmp_path / name, {'/joint_states': ramp(np.arange(30) / 10)}) for name in 'ab']
    times = np.arange(30) / 10 - 2.0 * (np.arange(30) > 20)
    bad = bag(tmp_path / 'bad', {'/joint_states': ramp(times)})
    recording = read_recording([*good, bad], 1.0)
    (excluded,) = recording.excluded
    assert (excluded.where, excluded.reason) == ('bad', 'stamps of a go back by 1.9 s')


def test_a_nan_leaves_out_the_episode_it_is_in(tmp_path):
    rows = ramp(np.arange(30) / 10)
    rows[7] = (0.7, ['a', 'b'], [np.nan, 0.0])
    paths = [bag(tmp_path / name, {'/joint_states': ramp(np.arange(30) / 10)}) for name in 'ab']
    recording = read_recording([*paths, bag(tmp_path / 'c', {'/joint_states': rows})], 1.0)
    assert [item.where for item in recording.excluded] == ['c']
    assert 'a is nan' in recording.excluded[0].reason


@pytest.mark.parametrize(('topics', 'chosen', 'message'), [
    ({'/a': ramp([0.0, 0.1]), '/b': ramp([0.0, 0.1])}, (),
     'expected one topic of .*JointState, got /a, /b; choose with --topic'),
    ({'/a': ramp([0.0, 0.1])}, ('/c',), 'expected /c of .*JointState, got /a'),
    ({'/a': [*ramp([0.0]), (0.1, ['a'], [0.1])]}, (), 'message 1 of /a has no position of b'),
    ({'/a': [(0.0, [], [])]}, (), 'message 0 of /a has no position of any joint'),
    ({'/a': ramp([0.0])}, (), 'expected at least two messages'),
])
def test_a_bag_that_cannot_be_read_is_refused_by_topic(tmp_path, topics, chosen, message):
    path = bag(tmp_path / 'bag', topics)
    with pytest.raises(ValueError, match=message):
        read_recording([path], 1.0, Reading(topics=chosen))


def test_bags_of_different_rates_are_refused_unless_a_rate_is_chosen(tmp_path):
    paths = [bag(tmp_path / f'bag_{rate}', {'/joint_states': ramp(np.arange(60) / rate)})
             for rate in (10, 20)]
    with pytest.raises(ValueError, match='10 Hz in bag_10, 20 Hz in bag_20; choose one with --ra'):
        read_recording(paths, 1.0)
    assert read_recording(paths, 1.0, Reading(rate_hz=10.0)).rate_hz == 10.0


def test_what_is_no_bag_is_refused_by_file(tmp_path):
    (tmp_path / 'a.mcap').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='a.mcap: expected a rosbag2 or MCAP file'):
        read_recording([tmp_path / 'a.mcap'], 1.0)
